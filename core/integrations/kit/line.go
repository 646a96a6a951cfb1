package kit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Line keeps the one connection that a collector has to its server. Use may be
// called by one goroutine at a time, Close by any.
type Line[C interface{ Close() error }] struct {
	// Connect makes a connection, logged in and ready, within ctx.
	Connect func(ctx context.Context) (C, error)
	// Keep reports whether an error of Use leaves the connection usable: the server
	// refused something and goes on. nil keeps it after no error.
	Keep func(error) bool

	mu     sync.Mutex
	conn   C
	open   bool
	closed bool
}

// Use calls f with the connection, made when there is none. The end of ctx closes
// it, so that f need not watch ctx. A connection that was kept from before and
// fails is replaced once: the server may have been restarted since. f may
// therefore run twice.
func (l *Line[C]) Use(ctx context.Context, f func(C) error) error {
	c, kept, err := l.take(ctx)
	if err != nil {
		return err
	}
	err = l.with(ctx, c, f)
	if err == nil || !kept || ctx.Err() != nil || l.keeps(err) {
		return err
	}
	if c, _, err = l.take(ctx); err != nil {
		return err
	}
	return l.with(ctx, c, f)
}

func (l *Line[C]) with(ctx context.Context, c C, f func(C) error) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := f(c)
	if ended := !stop(); ended || err != nil && !l.keeps(err) {
		l.drop()
		if ended {
			err = context.Cause(ctx)
		}
	}
	return err
}

func (l *Line[C]) keeps(err error) bool { return l.Keep != nil && l.Keep(err) }

func (l *Line[C]) take(ctx context.Context) (c C, kept bool, err error) {
	l.mu.Lock()
	c, kept = l.conn, l.open
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return c, false, net.ErrClosed
	}
	if kept {
		return c, true, nil
	}
	if c, err = l.Connect(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return c, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return c, false, net.ErrClosed
	}
	l.conn, l.open = c, true
	return c, false, nil
}

// drop closes the connection; the next Use makes another.
func (l *Line[C]) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		l.conn.Close()
	}
	var none C
	l.conn, l.open = none, false
}

// Close ends the connection and makes every Use fail from now on.
func (l *Line[C]) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.drop()
}
