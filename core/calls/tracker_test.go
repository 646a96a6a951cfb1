package calls

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// track runs f beside a tracker that tells after a minute, every ten seconds,
// and returns how often it told within each step.
func track(t *testing.T, f func(tell func(core.Outcome), after func(time.Duration) int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tr := NewTracker(New(), time.Minute, 10*time.Second)
		var told atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); tr.Run(ctx, func(Failing) { told.Add(1) }) }()
		time.Sleep(time.Second) // off the ticks
		f(func(o core.Outcome) { tr.Begin("push"); tr.End("push", o, 0) }, func(d time.Duration) int {
			before := told.Load()
			time.Sleep(d)
			synctest.Wait()
			return int(told.Load() - before)
		})
		cancel()
		<-done
	})
}

func TestC20_NothingIsToldWhileNothingFails(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeOK)
		end(core.OutcomeCancelled) // says nothing about the other side
		if n := after(10 * time.Minute); n != 0 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestC21_NothingIsToldBeforeTheThreshold(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeError)
		if n := after(58 * time.Second); n != 0 {
			t.Errorf("told %d times within the threshold", n)
		}
	})
}

func TestC22_FailingForLongerThanTheThresholdIsTold(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeTimeout)
		after(58 * time.Second)
		if n := after(12 * time.Second); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestC23_FailingIsToldOnEveryTick(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeError)
		after(time.Minute)
		if n := after(time.Minute); n != 6 {
			t.Errorf("told %d times in a minute", n)
		}
	})
}

func TestC24_SuccessEndsTheTelling(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeError)
		if after(2*time.Minute) == 0 {
			t.Error("never told")
		}
		end(core.OutcomeOK)
		if n := after(10 * time.Minute); n != 0 {
			t.Errorf("told %d times after it succeeded", n)
		}
	})
}

func TestC25_FailureAfterSuccessStartsTheClockAnew(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		end(core.OutcomeError)
		after(50 * time.Second)
		end(core.OutcomeOK)
		end(core.OutcomeError)
		if n := after(58 * time.Second); n != 0 {
			t.Errorf("told %d times: the clock runs from the first failure", n)
		}
		if n := after(12 * time.Second); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestC26_RepeatedFailureDoesNotStartTheClockAnew(t *testing.T) {
	track(t, func(end func(core.Outcome), after func(time.Duration) int) {
		for range 6 {
			end(core.OutcomeError)
			after(10 * time.Second)
		}
		end(core.OutcomePanic)
		if n := after(10 * time.Second); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// The same sequence gives the same durations and the same tellings, to the
// nanosecond: every time in this package comes from the clock of the bubble.
func TestC27_TimeIsDeterministic(t *testing.T) {
	play := func() (got []Failing, row Row) {
		synctest.Test(t, func(t *testing.T) {
			tr := NewTracker(New(), time.Second, time.Second)
			for range 100 {
				c := core.StartCall(tr, "push")
				time.Sleep(33 * time.Millisecond)
				c.End(context.DeadlineExceeded)
			}
			got, row = tr.Stuck(), tr.Rows()[0]
		})
		return got, row
	}
	first, row := play()
	if len(first) != 1 || first[0] != (Failing{"push", 99 * 33 * time.Millisecond, 100}) || row.Last != 33*time.Millisecond {
		t.Fatalf("%+v %+v", first, row)
	}
	for range 20 {
		again, r := play()
		if again[0] != first[0] || r.Duration.Sum != row.Duration.Sum {
			t.Fatalf("%+v, then %+v", first, again)
		}
	}
}
