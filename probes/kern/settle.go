package kern

import (
	"context"
	"sync"
)

// Settling asks readers to hand over what they would still wait with: records in
// a ring, answers that seem to be over. It is for a last look; who looks again
// and again waits for the readers' own pace. Its methods may be called from any
// goroutine; the nil Settling asks nobody.
type Settling struct {
	mu      sync.Mutex
	readers map[*Settler]struct{}
}

// Settler is one reader that can be asked.
type Settler struct {
	of    *Settling
	wake  func()
	asked chan chan struct{}
	gone  chan struct{}
}

// Join makes a reader one that is asked. Wake must end its waiting; it may be
// called from any goroutine until Leave returns.
func (s *Settling) Join(wake func()) *Settler {
	r := &Settler{of: s, wake: wake, asked: make(chan chan struct{}, 1), gone: make(chan struct{})}
	if s == nil {
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers == nil {
		s.readers = make(map[*Settler]struct{})
	}
	s.readers[r] = struct{}{}
	return r
}

// Leave ends what Join began. Call it once.
func (r *Settler) Leave() {
	close(r.gone)
	if r.of == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.readers, r)
}

// Answer runs settle when the reader was asked, and reports whether it was.
func (r *Settler) Answer(settle func()) bool {
	select {
	case done := <-r.asked:
		settle()
		close(done)
		return true
	default:
		return false
	}
}

// Settle returns when every reader has handed over what it had at the call, or
// with ctx.
func (s *Settling) Settle(ctx context.Context) {
	if s == nil {
		return
	}
	var all sync.WaitGroup
	s.mu.Lock()
	for r := range s.readers {
		all.Go(func() { r.ask(ctx) })
	}
	s.mu.Unlock()
	all.Wait()
}

func (r *Settler) ask(ctx context.Context) {
	done := make(chan struct{})
	select {
	case r.asked <- done:
	case <-r.gone:
		return
	case <-ctx.Done():
		return
	}
	r.of.mu.Lock()
	if _, ok := r.of.readers[r]; ok {
		r.wake()
	}
	r.of.mu.Unlock()
	select {
	case <-done:
	case <-r.gone:
	case <-ctx.Done():
	}
}
