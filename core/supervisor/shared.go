package supervisor

import (
	"context"
	"errors"
	"sync"
)

// Shared is what several units use together and what exists once for each key,
// for example what is loaded for an executable: the first to acquire it loads
// it, the last to release it unloads it. It may be used from any goroutine.
type Shared[K comparable, V any] struct {
	// Load makes the thing; all or nothing. A panic is an error.
	Load func(context.Context, K) (V, error)
	// Unload ends it. The thing counts as gone, whatever Unload says.
	Unload func(context.Context, K, V) error

	mu sync.Mutex
	by map[K]*held[V]
}

// held is one thing. Its fields but users are written before ready is closed.
type held[V any] struct {
	users int
	ready chan struct{} // closed when it is loaded, or could not be
	value V
	err   error
	gone  chan struct{} // set when the last user left; closed when it is unloaded
}

// Acquire returns the thing of a key. Those who come while it is being loaded
// wait for it, those who come while it is being unloaded load it anew; other
// keys are not waited for. Release must be called once it is no longer used;
// more often does nothing.
func (s *Shared[K, V]) Acquire(ctx context.Context, key K) (value V, release func(context.Context) error, err error) {
	for {
		h, first := s.enter(key)
		switch {
		case h.gone != nil:
			if err := await(ctx, h.gone); err != nil {
				return value, nil, err
			}
			continue
		case first:
			h.err = outside(func() (err error) { h.value, err = s.Load(ctx, key); return err })
			close(h.ready)
		default:
			if err := await(ctx, h.ready); err != nil {
				return value, nil, errors.Join(err, s.leave(context.WithoutCancel(ctx), key, h))
			}
		}
		if h.err == nil {
			var once sync.Once
			return h.value, func(ctx context.Context) (err error) {
				once.Do(func() { err = s.leave(ctx, key, h) })
				return err
			}, nil
		}
		_ = s.leave(ctx, key, h) // nothing was loaded, so nothing is unloaded
		// The loader gave up, not the thing: whoever still wants it tries again.
		gaveUp := errors.Is(h.err, context.Canceled) || errors.Is(h.err, context.DeadlineExceeded)
		if first || !gaveUp || ctx.Err() != nil {
			return value, nil, h.err
		}
	}
}

// enter counts a user in; first when it has to load. A thing that is being
// unloaded, which has gone set, is not entered.
func (s *Shared[K, V]) enter(key K) (h *held[V], first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h = s.by[key]; h != nil {
		if h.gone != nil {
			return &held[V]{gone: h.gone}, false
		}
		h.users++
		return h, false
	}
	if s.by == nil {
		s.by = make(map[K]*held[V])
	}
	h = &held[V]{users: 1, ready: make(chan struct{})}
	s.by[key] = h
	return h, true
}

// leave counts a user out; the last one unloads.
func (s *Shared[K, V]) leave(ctx context.Context, key K, h *held[V]) error {
	s.mu.Lock()
	if h.users--; h.users > 0 {
		s.mu.Unlock()
		return nil
	}
	h.gone = make(chan struct{})
	s.mu.Unlock()
	var err error
	if h.err == nil {
		err = outside(func() error { return s.Unload(ctx, key, h.value) })
	}
	s.mu.Lock()
	delete(s.by, key)
	s.mu.Unlock()
	close(h.gone)
	return err
}

// outside runs foreign code in a goroutine of its own, so that it cannot end
// ours, and waits for it.
func outside(f func() error) error {
	p := start(nil, "", f)
	<-p.done
	return p.err
}

// Users returns how many use the thing of a key; 0 when there is none.
func (s *Shared[K, V]) Users(key K) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.by[key]; h != nil {
		return h.users
	}
	return 0
}

func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
