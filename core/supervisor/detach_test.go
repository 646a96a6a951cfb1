package supervisor

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// Also at the end of everything: Detach, then the last event.
func TestI09_ShutdownDetachesAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := &plant{}, &plant{}
		l := open(t, Config{Specs: []core.Spec{p.machineWide("usage"), d.destination("push")}})
		l.wantPhase("destination/push", core.PhaseRunning)
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"instrumentation/usage", "destination/push"} {
			l.wantPath(id, "attaching starting running detaching gone")
		}
		if p.attached()+d.attached() != 0 {
			t.Error("something is still attached")
		}
		if l.Submit(core.Intent{Op: core.IntentUndo}) {
			t.Error("an intent was taken after the end")
		}
		l.ProcessUp(proc(1, "x"))
		if got := l.Apply([]core.Spec{p.spec("requests")}); len(got) != 1 || got[0].Change != Rejected || got[0].Err == nil {
			t.Errorf("Apply after the end: %+v", got)
		}
	})
}

// The final push must see the last counts: destinations end after the probes.
func TestDestinationsEndAfterProbes(t *testing.T) {
	var order atomic.Value
	p := &plant{detach: func(context.Context, int) error {
		time.Sleep(time.Second)
		order.CompareAndSwap(nil, "probe")
		return nil
	}}
	d := &plant{detach: func(context.Context, int) error { order.CompareAndSwap(nil, "destination"); return nil }}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage"), d.destination("push")}}, func(*lab) {})
	if order.Load() != "probe" {
		t.Errorf("%v ended first", order.Load())
	}
}

func TestI22_DetachMayComeBeforeServeIsReady(t *testing.T) {
	p := &plant{serve: func(ctx context.Context, _ int, ready func()) error { <-ctx.Done(); return nil }}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseStarting)
		l.down(10)
		l.wantPath(req, "attaching starting detaching off")
		if p.attached() != 0 {
			t.Error("still attached")
		}
	})
}

// Serve that hears only Detach, not its context, ends all the same.
func TestI22_ServeEndsWithinTheBudget(t *testing.T) {
	out := make(chan struct{})
	p := &plant{
		serve:  func(_ context.Context, _ int, ready func()) error { ready(); <-out; return nil },
		detach: func(context.Context, int) error { close(out); return nil },
	}
	synctest.Test(t, func(t *testing.T) {
		out = make(chan struct{})
		l := open(t, Config{Specs: []core.Spec{p.machineWide("usage")}})
		began := time.Now()
		if err := l.stop(); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(began))
		}
	})
}

func TestI23_DetachAlwaysGetsALiveContext(t *testing.T) {
	p := &plant{detach: func(ctx context.Context, _ int) error {
		if d, ok := ctx.Deadline(); !ok || time.Until(d) <= 0 || time.Until(d) > 5*time.Second {
			return fmt.Errorf("deadline %v", d)
		}
		return nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {})
	if strings.Contains(p.log(), "DEAD") || p.count("detach") != 1 {
		t.Errorf("calls %s", p.log())
	}
}

func TestI24_StuckDetachIsAbandonedCountedAndShown(t *testing.T) {
	release := make(chan struct{})
	p := &plant{}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		p.detach = func(context.Context, int) error { <-release; return nil }
		l := open(t, Config{Specs: []core.Spec{p.machineWide("usage")}})
		const id = "instrumentation/usage"
		l.toggle("usage", core.ScopeGlobal, "", 0, core.Off)
		wait(6 * time.Second)
		r := l.wantPhase(id, core.PhaseStuck)
		if s := l.Stats(); r.Health != core.HealthFatal || s.Stuck != 1 || s.Abandoned != 1 {
			t.Errorf("row %+v, stats %+v", r, s)
		}
		// Wanted again: not before the old one is out, or both would count.
		l.toggle("usage", core.ScopeGlobal, "", 0, core.On)
		wait(time.Minute)
		l.wantPhase(id, core.PhaseStuck)
		close(release)
		wait(5 * time.Second)
		l.wantPhase(id, core.PhaseRunning)
		if s := l.Stats(); s.Abandoned != 0 || p.attached() != 1 {
			t.Errorf("stats %+v, attached %d", s, p.attached())
		}
		if err := l.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestI24_StuckAttachFreesItsSlotAndIsCleanedUpLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &plant{attach: func(_ context.Context, n int) (core.Parts, error) {
			if n == 1 {
				<-release // ignores its context
			}
			return nil, nil
		}}
		next := &plant{}
		l := open(t, Config{Specs: []core.Spec{p.machineWide("a"), next.spec("b")}, Limits: Limits{AttachPool: 1}})
		l.up(10)
		wait(12 * time.Second)
		l.wantPhase("instrumentation/a", core.PhaseStuck)
		l.wantPhase("instrumentation/b", core.PhaseRunning)
		close(release)
		wait(2 * time.Second)
		l.wantPhase("instrumentation/a", core.PhaseRunning)
		if p.attached() != 1 || p.max != 1 {
			t.Errorf("attached %d, at most %d at once", p.attached(), p.max)
		}
		if err := l.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestI55_ShutdownIsParallelAndBounded(t *testing.T) {
	slow := func(context.Context, int) error { time.Sleep(3 * time.Second); return nil }
	var specs []core.Spec
	for i := range 20 {
		specs = append(specs, (&plant{detach: slow}).machineWide(fmt.Sprint("k", i)))
	}
	synctest.Test(t, func(t *testing.T) {
		l := open(t, Config{Specs: specs})
		wait(time.Second)
		began := time.Now()
		if err := l.stop(); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(began))
		}
	})
}

func TestI56_WhatCouldNotBeDetachedIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := &plant{detach: func(context.Context, int) error { <-release; return nil }}
		well := &plant{}
		l := open(t, Config{Specs: []core.Spec{stuck.machineWide("stuck"), well.machineWide("well")}})
		began := time.Now()
		err := l.stop()
		if err == nil || !strings.Contains(err.Error(), "instrumentation/stuck") || strings.Contains(err.Error(), "well") {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(began); d > 11*time.Second {
			t.Errorf("it took %v", d)
		}
		close(release)
	})
}

// What Serve still holds is counted before Detach pulls the maps from under it.
func TestServeDrainsBeforeDetach(t *testing.T) {
	p := &plant{}
	p.serve = func(ctx context.Context, _ int, ready func()) error {
		ready()
		<-ctx.Done()
		time.Sleep(time.Second)
		p.note("drained")
		return nil
	}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {})
	if got, want := p.log(), "make attach serve drained served detach"; got != want {
		t.Errorf("calls\n got %s\nwant %s", got, want)
	}
}
