package kit

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := l.Use(ctx, func(w *wire) error { <-w.closed; return net.ErrClosed })
	if !errors.Is(err, context.DeadlineExceeded) || len(made) != 1 {
		t.Errorf("%v, %d made", err, len(made))
	}
}

func TestLineClosedWhileUsed(t *testing.T) {
	var made []*wire
	l := line(&made)
	go func() { time.Sleep(10 * time.Millisecond); l.Close(); l.Close() }()
	err := l.Use(t.Context(), func(w *wire) error { <-w.closed; return net.ErrClosed })
	if !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := l.Use(t.Context(), func(*wire) error { return nil }); !errors.Is(err, net.ErrClosed) || len(made) != 1 {
		t.Errorf("used after its end: %v, %d made", err, len(made))
	}
}
