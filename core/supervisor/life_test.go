package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

func TestI06_NormalLifeInOrder(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.wantPhase(req, core.PhaseNew)
		l.up(10)
		r := l.wantPhase(req, core.PhaseRunning)
		if r.Health != core.HealthOK {
			t.Errorf("health %q", r.Health)
		}
		l.down(10)
		l.wantPhase(req, core.PhaseOff)
		l.wantPath(req, "attaching starting running detaching off")
		if got, want := p.log(), "make attach select serve served detach"; got != want {
			t.Errorf("calls\n got %s\nwant %s", got, want)
		}
	})
}

func TestI14_EndOfServeIsToldOnceWithItsReason(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nil":       {nil, "without being asked"},
		"cancelled": {context.Canceled, "canceled"},
		"error":     {errFlaky, "flaky"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &plant{serve: func(ctx context.Context, n int, ready func()) error {
				ready()
				if n == 1 {
					time.Sleep(time.Second)
					return c.err
				}
				<-ctx.Done()
				return nil
			}}
			inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
				wait(10 * time.Second)
				told := 0
				for _, e := range l.events {
					if e.To == string(core.PhaseDetaching) && strings.Contains(e.Error, c.want) {
						told++
					}
				}
				if told != 1 {
					t.Errorf("told %d times: %+v", told, l.events)
				}
			})
		})
	}
}

func TestI15_FailedRunIsRetried(t *testing.T) {
	p := &plant{serve: func(ctx context.Context, n int, ready func()) error {
		ready()
		if n <= 3 {
			time.Sleep(100 * time.Millisecond)
			return errFlaky
		}
		<-ctx.Done()
		return nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		const id = "instrumentation/usage"
		wait(500 * time.Millisecond)
		r := l.wantPhase(id, core.PhaseBackoff)
		if r.Health != core.HealthRecovering || r.Attempts != 1 || r.Message != "flaky" || time.Until(r.NextTry) != 600*time.Millisecond {
			t.Errorf("row in back-off: %+v, next in %v", r, time.Until(r.NextTry))
		}
		if p.attached() != 0 {
			t.Error("attached while backing off")
		}
		// 0.1 run, 1 wait, 0.1 run, 2 wait, 0.1 run, 4 wait, then it holds.
		wait(6700 * time.Millisecond)
		l.wantPhase(id, core.PhaseBackoff)
		wait(200 * time.Millisecond)
		if r := l.wantPhase(id, core.PhaseRunning); r.Health != core.HealthRecovering || r.Attempts != 3 {
			t.Errorf("fresh from failures: %+v", r)
		}
		wait(time.Minute)
		if r := l.row(id); r.Health != core.HealthOK || r.Attempts != 0 {
			t.Errorf("proven: %+v", r)
		}
	})
}

func TestBackoffDoublesIsJitteredAndBounded(t *testing.T) {
	l := Limits{}.withDefaults()
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 10000: time.Minute} {
		if got := backoff(l, n, 0); got != want {
			t.Errorf("failure %d: %v, want %v", n, got, want)
		}
	}
	if lo, hi := backoff(l, 3, 0), backoff(l, 3, 0.999); lo != 4*time.Second || hi <= lo || hi > 6*time.Second {
		t.Errorf("jitter spreads %v to %v", lo, hi)
	}
}

func TestI16_PermanentFailureWaitsToBeAsked(t *testing.T) {
	remedied := &core.Remedied{Err: errors.New("no BTF"), Remedy: "use a kernel with CONFIG_DEBUG_INFO_BTF", Permanent: true}
	for name, c := range map[string]struct {
		err    error
		phase  core.Phase
		health core.Health
	}{
		"permanent":    {remedied, core.PhaseFailed, core.HealthPermanent},
		"unsupported":  {fmt.Errorf("attach x: %w", core.ErrUnsupported), core.PhaseUnsupp, core.HealthUnknown},
		"no privilege": {fmt.Errorf("load: %w", syscall.EPERM), core.PhaseFailed, core.HealthPermanent},
		"no such call": {fmt.Errorf("load: %w", syscall.ENOSYS), core.PhaseUnsupp, core.HealthUnknown},
		"busy":         {syscall.EBUSY, core.PhaseBackoff, core.HealthRecovering},
		"memory":       {syscall.ENOMEM, core.PhaseBackoff, core.HealthRecovering},
	} {
		t.Run(name, func(t *testing.T) {
			var works atomic.Bool
			p := &plant{attach: func(context.Context, int) (core.Parts, error) {
				if works.Load() {
					return nil, nil
				}
				return nil, c.err
			}}
			inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
				const id = "instrumentation/usage"
				r := l.wantPhase(id, c.phase)
				if r.Health != c.health || r.Message != core.Clean(c.err.Error(), 1000) {
					t.Errorf("row %+v", r)
				}
				wait(time.Hour)
				if tries := p.count("attach"); (tries == 1) != (c.phase != core.PhaseBackoff) {
					t.Errorf("%d attempts in an hour", tries)
				}
				works.Store(true)
				l.submit(core.Intent{Op: core.IntentRetry, Unit: id})
				l.wantPhase(id, core.PhaseRunning)
			})
		})
	}
}

// A firewall's EPERM may pass: only the kernel's refusal of a probe is final.
func TestI16_RefusedDestinationIsRetried(t *testing.T) {
	d := &plant{attach: func(_ context.Context, n int) (core.Parts, error) {
		if n == 1 {
			return nil, syscall.EPERM
		}
		return nil, nil
	}}
	inLab(t, Config{Specs: []core.Spec{d.destination("push")}}, func(l *lab) {
		l.wantPhase("destination/push", core.PhaseBackoff)
		wait(2 * time.Second)
		l.wantPhase("destination/push", core.PhaseRunning)
	})
}

func TestI17_RetryReachesAllThatFailedAndNobodyElse(t *testing.T) {
	var works atomic.Bool
	fail := func(context.Context, int) (core.Parts, error) {
		if works.Load() {
			return nil, nil
		}
		return nil, core.ErrUnsupported
	}
	a, b, well := &plant{attach: fail}, &plant{attach: fail}, &plant{}
	inLab(t, Config{Specs: []core.Spec{a.machineWide("a"), b.machineWide("b"), well.machineWide("c")}}, func(l *lab) {
		works.Store(true)
		l.submit(core.Intent{Op: core.IntentRetry})
		for _, id := range []string{"a", "b", "c"} {
			l.wantPhase("instrumentation/"+id, core.PhaseRunning)
		}
		if well.count("attach") != 1 {
			t.Error("the one that ran was touched")
		}
		l.submit(core.Intent{Op: core.IntentRetry, Unit: "nobody"})
		if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "nobody") {
			t.Errorf("notices %q", n)
		}
	})
}

// Each failed attempt ends in a Detach, so that whatever it left goes.
func TestI19_FailedAttachLeavesNothing(t *testing.T) {
	p := &plant{attach: func(_ context.Context, n int) (core.Parts, error) { return nil, errFlaky }}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		wait(5 * time.Second)
		if p.count("attach") < 2 || p.count("attach") != p.count("detach") {
			t.Errorf("calls %s", p.log())
		}
	})
}

func TestI20_PartialSuccessIsToldByComponent(t *testing.T) {
	p := &plant{attach: func(context.Context, int) (core.Parts, error) {
		return core.Parts{"tcp": nil, "unix": errors.New("not here")}, nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		r := l.wantPhase("instrumentation/usage", core.PhaseRunning)
		if r.Health != core.HealthDegraded || len(r.Parts) != 1 || r.Parts["unix"] != "not here" {
			t.Errorf("row %+v", r)
		}
		if e, ok := l.last(func(e core.Event) bool { return e.To == "running" }); !ok || e.Error != "unix: not here" {
			t.Errorf("event %+v", e)
		}
	})
}

func TestI21_PanicIsThatUnitsFailure(t *testing.T) {
	boom := func() error { panic("boom") }
	for name, c := range map[string]struct {
		broken *plant
		phase  core.Phase
	}{
		"make":   {&plant{make: func(int) error { return boom() }}, core.PhaseFailed},
		"attach": {&plant{attach: func(context.Context, int) (core.Parts, error) { return nil, boom() }}, core.PhaseBackoff},
		"select": {&plant{choose: func(core.Selection) error { return boom() }}, core.PhaseBackoff},
		"serve":  {&plant{serve: func(context.Context, int, func()) error { return boom() }}, core.PhaseBackoff},
	} {
		t.Run(name, func(t *testing.T) {
			well := &plant{}
			inLab(t, Config{Specs: []core.Spec{c.broken.spec("requests"), well.spec("network")}}, func(l *lab) {
				l.up(10)
				if r := l.wantPhase(req, c.phase); r.Message != "panic: boom" {
					t.Errorf("message %q", r.Message)
				}
				l.wantPhase(net, core.PhaseRunning)
				if c.broken.attached() != 0 || l.Stats().Panics != 1 {
					t.Errorf("attached %d, panics %d", c.broken.attached(), l.Stats().Panics)
				}
			})
		})
	}
	t.Run("detach", func(t *testing.T) {
		p := &plant{detach: func(context.Context, int) error { return boom() }}
		synctest.Test(t, func(t *testing.T) {
			l := open(t, Config{Specs: []core.Spec{p.machineWide("usage")}})
			l.submit(core.Intent{Op: core.IntentDetachAll})
			if r := l.wantPhase("instrumentation/usage", core.PhaseOff); r.Message != "panic: boom" {
				t.Errorf("message %q", r.Message)
			}
			if err := l.stop(); err == nil || !strings.Contains(err.Error(), "instrumentation/usage (panic: boom)") {
				t.Errorf("Run: %v", err)
			}
		})
	})
}

func TestAttachThatHeedsItsDeadlineIsRetried(t *testing.T) {
	p := &plant{attach: func(ctx context.Context, n int) (core.Parts, error) {
		if n == 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		wait(12 * time.Second)
		l.wantPath("instrumentation/usage", "attaching backoff attaching starting running")
	})
}

func TestI46_SlowAttachDelaysNobodyElse(t *testing.T) {
	slow := func(context.Context, int) (core.Parts, error) { time.Sleep(9 * time.Second); return nil, nil }
	a, b, c, quick, dest := &plant{attach: slow}, &plant{attach: slow}, &plant{attach: slow}, &plant{}, &plant{}
	specs := []core.Spec{a.machineWide("a"), b.machineWide("b"), c.machineWide("c"), quick.machineWide("quick"), dest.destination("push")}
	specs[3].Default = false
	inLab(t, Config{Specs: specs}, func(l *lab) {
		l.wantPhase("destination/push", core.PhaseRunning)
		l.wantPhase("instrumentation/a", core.PhaseAttaching)
		l.toggle("quick", core.ScopeGlobal, "", 0, core.On) // while three are at it
		l.wantPhase("instrumentation/quick", core.PhaseRunning)
		wait(9 * time.Second)
		l.wantPhase("instrumentation/a", core.PhaseRunning)
	})
}

func TestAttachPoolIsBounded(t *testing.T) {
	var now, most atomic.Int32
	slow := func(context.Context, int) (core.Parts, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Second)
		now.Add(-1)
		return nil, nil
	}
	var specs []core.Spec
	for i := range 12 {
		specs = append(specs, (&plant{attach: slow}).machineWide(fmt.Sprint("k", i)))
	}
	inLab(t, Config{Specs: specs}, func(l *lab) {
		wait(3 * time.Second)
		if most.Load() != 4 {
			t.Errorf("%d attached at once, want 4", most.Load())
		}
		for _, s := range specs {
			l.wantPhase(s.ID, core.PhaseRunning)
		}
	})
}

func TestI50_EndWhileAttachingCancelsIt(t *testing.T) {
	var cancelled atomic.Bool
	p := &plant{attach: func(ctx context.Context, _ int) (core.Parts, error) {
		<-ctx.Done()
		cancelled.Store(errors.Is(ctx.Err(), context.Canceled))
		return nil, ctx.Err()
	}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseAttaching)
		l.down(10)
		l.wantPath(req, "attaching off")
		if !cancelled.Load() || p.count("detach") != 1 || l.Stats().Failures != 0 {
			t.Errorf("cancelled %v, calls %s, stats %+v", cancelled.Load(), p.log(), l.Stats())
		}
	})
}

func TestI69_InitFailureIsNotAnAttachFailure(t *testing.T) {
	p := &plant{make: func(int) error { return errFlaky }}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		l.wantPhase("instrumentation/usage", core.PhaseFailed)
		e, _ := l.last(func(e core.Event) bool { return e.To == "failed" })
		if !strings.HasPrefix(e.Reason, "init") || p.count("attach") != 0 {
			t.Errorf("event %+v, calls %s", e, p.log())
		}
	})
}

func TestUnitThatCannotSelectFailsForGood(t *testing.T) {
	s := (&plant{}).spec("requests")
	s.Make = func() (core.Unit, error) { return struct{ core.Unit }{}, nil }
	inLab(t, Config{Specs: []core.Spec{s}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseFailed)
	})
}
