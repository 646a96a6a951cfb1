package supervisor

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shop is what a Shared loads and unloads, with the faults that a test wants.
type shop struct {
	Shared[string, *int]
	loads, unloads, now atomic.Int64
	takes               time.Duration
	fail                atomic.Pointer[error]
}

func newShop() *shop {
	s := &shop{}
	s.Load = func(ctx context.Context, key string) (*int, error) {
		s.loads.Add(1)
		if s.takes > 0 {
			select {
			case <-time.After(s.takes):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if err := s.fail.Load(); err != nil {
			return nil, *err
		}
		if n := s.now.Add(1); n < 0 {
			return nil, errors.New("negative")
		}
		return new(int), nil
	}
	s.Unload = func(context.Context, string, *int) error {
		s.unloads.Add(1)
		s.now.Add(-1)
		return nil
	}
	return s
}

func TestI34_OneLoadForAllAndTheLastOneOutUnloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.takes = time.Second
		var all sync.WaitGroup
		var mu sync.Mutex
		var releases []func(context.Context) error
		values := map[*int]bool{}
		began := time.Now()
		for range 50 {
			all.Go(func() {
				v, release, err := s.Acquire(t.Context(), "/usr/bin/node")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				values[v] = true
				releases = append(releases, release)
			})
		}
		all.Wait()
		if s.loads.Load() != 1 || len(values) != 1 || time.Since(began) != time.Second || s.Users("/usr/bin/node") != 50 {
			t.Errorf("%d loads of %d things in %v, %d users", s.loads.Load(), len(values), time.Since(began), s.Users("/usr/bin/node"))
		}
		for i, release := range releases {
			if s.unloads.Load() != 0 {
				t.Fatalf("unloaded with %d users left", 50-i)
			}
			for range 2 { // releasing twice is releasing once
				if err := release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		if s.unloads.Load() != 1 || s.now.Load() != 0 || s.Users("/usr/bin/node") != 0 || len(s.by) != 0 {
			t.Errorf("%d unloads, %d loaded", s.unloads.Load(), s.now.Load())
		}
	})
}

func TestI34_FailedLoadLeavesNothingAndIsTriedAnew(t *testing.T) {
	s := newShop()
	refused := errors.New("stripped")
	s.fail.Store(&refused)
	if _, _, err := s.Acquire(t.Context(), "x"); !errors.Is(err, refused) || s.unloads.Load() != 0 || len(s.by) != 0 {
		t.Errorf("%v, %d unloads", err, s.unloads.Load())
	}
	s.fail.Store(nil)
	_, release, err := s.Acquire(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := release(t.Context()); err != nil || s.now.Load() != 0 {
		t.Errorf("%v, %d loaded", err, s.now.Load())
	}
	s.Load = func(context.Context, string) (*int, error) { runtime.Goexit(); return nil, nil }
	if _, _, err := s.Acquire(t.Context(), "x"); err == nil || len(s.by) != 0 {
		t.Errorf("a load that ends its goroutine: %v", err)
	}
	s.Load = func(context.Context, string) (*int, error) { panic("boom") }
	if _, _, err := s.Acquire(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "boom") || len(s.by) != 0 {
		t.Errorf("a panic: %v", err)
	}
}

// The first one gives up while loading: those who wait get their own load, not
// somebody else's cancellation.
func TestI34_GivingUpHitsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.takes = 10 * time.Second
		first, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, _, err := s.Acquire(first, "x"); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		time.Sleep(time.Second)
		all.Go(func() {
			impatient, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			if _, _, err := s.Acquire(impatient, "x"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one: %v", err)
			}
		})
		all.Go(func() {
			_, release, err := s.Acquire(t.Context(), "x")
			if err != nil {
				t.Errorf("the patient one: %v", err)
				return
			}
			_ = release(t.Context())
		})
		time.Sleep(2 * time.Second)
		cancel()
		all.Wait()
		if s.now.Load() != 0 || len(s.by) != 0 {
			t.Errorf("%d loaded, %d held", s.now.Load(), len(s.by))
		}
	})
}

// A slow executable delays nobody else, and whoever comes while one is being
// unloaded waits for that and loads it anew: never two at once.
func TestI34_SlowOnesDelayNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.Unload = func(context.Context, string, *int) error { time.Sleep(5 * time.Second); s.now.Add(-1); return nil }
		_, release, err := s.Acquire(t.Context(), "slow")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = release(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		_, quick, err := s.Acquire(t.Context(), "quick")
		if err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, _, err := s.Acquire(t.Context(), "slow"); err != nil || time.Since(began) != 5*time.Second || s.now.Load() != 2 {
			t.Errorf("%v after %v, %d loaded", err, time.Since(began), s.now.Load())
		}
		_ = quick(t.Context())
	})
}

func TestI34_AtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.takes = time.Millisecond
		most := map[string]*atomic.Int64{"a": {}, "b": {}, "c": {}}
		load, unload := s.Load, s.Unload
		s.Load = func(ctx context.Context, key string) (*int, error) {
			v, err := load(ctx, key)
			if err == nil && most[key].Add(1) > 1 {
				t.Errorf("%s is loaded twice", key)
			}
			return v, err
		}
		s.Unload = func(ctx context.Context, key string, v *int) error {
			time.Sleep(time.Millisecond)
			most[key].Add(-1)
			return unload(ctx, key, v)
		}
		var all sync.WaitGroup
		for seed := range uint64(20) {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 7))
				for range 50 {
					key := string(rune('a' + rng.IntN(3)))
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(3000))*time.Microsecond)
					if _, release, err := s.Acquire(ctx, key); err == nil {
						time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
						_ = release(t.Context())
					}
					cancel()
				}
			})
		}
		all.Wait()
		if s.now.Load() != 0 || len(s.by) != 0 || s.loads.Load() < 3 {
			t.Errorf("%d loaded, %d held, %d loads", s.now.Load(), len(s.by), s.loads.Load())
		}
	})
}
