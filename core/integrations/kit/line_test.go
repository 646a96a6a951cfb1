package kit

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
)

// expiring is a context whose time is over when expire is called, and not before.
func expiring(t *testing.T) (ctx context.Context, expire func()) {
	c := timed{t.Context(), make(chan struct{})}
	return c, sync.OnceFunc(func() { close(c.over) })
}

type timed struct {
	context.Context
	over chan struct{}
}

func (c timed) Done() <-chan struct{} { return c.over }

func (c timed) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

type wire struct{ closed chan struct{} }

func (w *wire) Close() error {
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	return nil
}

func line(made *[]*wire) *Line[*wire] {
	return &Line[*wire]{Connect: func(context.Context) (*wire, error) {
		w := &wire{closed: make(chan struct{})}
		*made = append(*made, w)
		return w, nil
	}}
}

func TestLineKeepsOneConnection(t *testing.T) {
	var made []*wire
	l := line(&made)
	refused := errors.New("refused")
	l.Keep = func(err error) bool { return errors.Is(err, refused) }
	for range 3 {
		if err := l.Use(t.Context(), func(*wire) error { return refused }); !errors.Is(err, refused) {
			t.Fatal(err)
		}
	}
	if len(made) != 1 {
		t.Errorf("%d connections", len(made))
	}
}

func TestLineReplacesWhatBrokeMeanwhile(t *testing.T) {
	var made []*wire
	l := line(&made)
	broken := errors.New("broken")
	if err := l.Use(t.Context(), func(*wire) error { return broken }); !errors.Is(err, broken) || len(made) != 1 {
		t.Fatalf("a fresh connection that fails is not tried again at once: %v, %d made", err, len(made))
	}
	if err := l.Use(t.Context(), func(*wire) error { return nil }); err != nil || len(made) != 2 {
		t.Fatalf("%v, %d made", err, len(made))
	}
	err := l.Use(t.Context(), func(w *wire) error {
		if w == made[1] {
			return broken
		}
		return nil
	})
	if err != nil || len(made) != 3 {
		t.Errorf("the server was restarted: %v, %d made", err, len(made))
	}
	for i, w := range made[:2] {
		select {
		case <-w.closed:
		default:
			t.Errorf("connection %d is left open", i)
		}
	}
}

func TestLineEndsWithItsContext(t *testing.T) {
	var made []*wire
	l := line(&made)
	ctx, expire := expiring(t)
	err := l.Use(ctx, func(w *wire) error { expire(); <-w.closed; return net.ErrClosed })
	if !errors.Is(err, context.DeadlineExceeded) || len(made) != 1 {
		t.Errorf("%v, %d made", err, len(made))
	}
}

func TestLineClosedWhileUsed(t *testing.T) {
	var made []*wire
	l := line(&made)
	err := l.Use(t.Context(), func(w *wire) error {
		go func() { l.Close(); l.Close() }()
		<-w.closed
		return net.ErrClosed
	})
	if !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := l.Use(t.Context(), func(*wire) error { return nil }); !errors.Is(err, net.ErrClosed) || len(made) != 1 {
		t.Errorf("used after its end: %v, %d made", err, len(made))
	}
}
