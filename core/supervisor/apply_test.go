package supervisor

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
	"vitals/core/calls"
)

func TestApplyTouchesOnlyWhatChanged(t *testing.T) {
	same, changed, gone, added, bad := &plant{}, &plant{}, &plant{}, &plant{}, &plant{}
	with := func(s core.Spec, print string) core.Spec { s.Fingerprint = print; return s }
	first := []core.Spec{with(same.machineWide("same"), "1"), with(changed.machineWide("changed"), "1"),
		with(gone.machineWide("gone"), "1"), with(bad.machineWide("bad"), "1")}
	inLab(t, Config{Specs: first}, func(l *lab) {
		changed.detach = func(context.Context, int) error { time.Sleep(2 * time.Second); return nil }
		bad.make = func(int) error { return errFlaky }
		otherKind := with(same.machineWide("other"), "2")
		otherKind.ID = "instrumentation/moved"
		results := l.Apply([]core.Spec{with(same.machineWide("same"), "1"), with(changed.machineWide("changed"), "2"),
			with(bad.machineWide("bad"), "2"), with(added.machineWide("added"), "1"), with(added.machineWide("added"), "1"), {ID: "empty"}})
		var got []string
		for _, r := range results {
			got = append(got, fmt.Sprintf("%s %s %v", strings.TrimPrefix(r.ID, "instrumentation/"), r.Change, r.Err))
		}
		want := "same unchanged <nil>, changed remade <nil>, bad rejected init: flaky, added added <nil>, " +
			"added rejected there are two units of this id, empty rejected a unit needs an id, a kind and a recipe, gone removed <nil>"
		if strings.Join(got, ", ") != want {
			t.Errorf("results\n got %s\nwant %s", strings.Join(got, ", "), want)
		}
		wait(3 * time.Second)
		if same.count("attach") != 1 || bad.count("attach") != 1 || bad.attached() != 1 {
			t.Error("a unit that did not change was touched")
		}
		l.wantPath("instrumentation/changed", "attaching starting running detaching attaching starting running")
		if changed.max != 1 || changed.attached() != 1 {
			t.Errorf("old and new at once: %d", changed.max)
		}
		l.wantPath("instrumentation/gone", "attaching starting running detaching gone")
		if gone.attached() != 0 || len(l.gone) != 1 {
			t.Errorf("gone: %v", l.gone)
		}
		l.wantPhase("instrumentation/added", core.PhaseRunning)
	})
}

// Removed and configured again while the old one still detaches: one at a time.
func TestUnitThatComesBackWaitsForItsFormerSelf(t *testing.T) {
	p := &plant{detach: func(context.Context, int) error { time.Sleep(3 * time.Second); return nil }}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		l.Apply(nil)
		l.Apply([]core.Spec{p.spec("requests")})
		wait(time.Second)
		if l.attached(); p.count("attach") != 1 {
			t.Error("attached before the former one was out")
		}
		wait(10 * time.Second)
		l.wantPhase(req, core.PhaseRunning)
		if p.max != 1 || len(l.gone) != 0 || !p.unit().observes(key(10)) {
			t.Errorf("at once %d, gone %v", p.max, l.gone)
		}
	})
}

func (l *lab) attached() uint64 { return l.Stats().Attached }

// A unit that gave up gets its new settings at once.
func TestI41_FailedUnitIsRemadeFromItsNewSpec(t *testing.T) {
	p := &plant{attach: func(_ context.Context, n int) (core.Parts, error) {
		if n == 1 {
			return nil, core.ErrUnsupported
		}
		return nil, nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
		l.wantPhase("instrumentation/usage", core.PhaseUnsupp)
		s := p.machineWide("usage")
		s.Fingerprint = "new"
		p.attach = nil
		l.Apply([]core.Spec{s})
		synctest.Wait()
		l.wantPhase("instrumentation/usage", core.PhaseRunning)
	})
}

func TestSpecsThatCannotBeTakenAreToldAtStart(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage"), p.machineWide("usage"), {ID: "x"}}}, func(l *lab) {
		if n := l.notices(); len(n) != 2 || !strings.Contains(n[0], "instrumentation/usage") {
			t.Errorf("notices %q", n)
		}
		l.wantPhase("instrumentation/usage", core.PhaseRunning)
	})
}

func TestI13_SlowReporterStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{hold: make(chan struct{})}
		p := &plant{}
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}, Reporter: w, Limits: Limits{Events: 10}})
		for i := range 50 {
			l.up(int32(10 + i))
			l.toggle("requests", core.ScopeProcess, "", int32(10+i), core.Off)
		}
		if p.count("attach") != 50 || p.attached() != 0 {
			t.Errorf("attached %d times", p.count("attach"))
		}
		if l.Stats().EventsDropped == 0 {
			t.Error("no event was dropped, or it was not counted")
		}
		close(w.hold)
		synctest.Wait()
		l.wantPhase(req, core.PhaseOff) // the newest row, whatever was dropped
		e, ok := l.last(func(e core.Event) bool { return e.Kind == core.EventLost })
		if want := fmt.Sprint(l.Stats().EventsDropped); !ok || !strings.HasSuffix(e.Reason, want) {
			t.Errorf("the loss of %s was told as %+v", want, e)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestI12_PanickingReporterAltersNothing(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}, Reporter: &witness{panics: true}}, func(l *lab) {
		if p.attached() != 1 {
			t.Error("not attached")
		}
	})
}

// 10,000 processes come and go while the loop is busy: what waits is bounded by
// the pids in use, nothing is left behind, and no goroutine per process.
func TestI48_StormOfProcessesIsBounded(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests"), (&plant{}).spec("network")}}, func(l *lab) {
		l.up(5)
		l.toggle("requests", core.ScopeService, "storm", 0, core.Off)
		before := runtime.NumGoroutine()
		for i := range uint64(10_000) {
			c := &core.Process{ProcKey: core.ProcKey{PID: int32(1000 + i%500), Birth: 1000 + i}, PPID: 5, Service: "storm"}
			l.ProcessUp(c)
			l.ProcessDown(c.ProcKey, core.Exit{}, time.Time{})
			if i%1000 == 0 {
				l.in.mu.Lock()
				if n := len(l.in.pending); n > 500 {
					t.Errorf("%d facts wait", n)
				}
				l.in.mu.Unlock()
			}
		}
		wait(time.Second)
		if after := runtime.NumGoroutine(); after > before+5 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
		if n := len(l.procs.members); n != 1 || l.row(req).Processes != 1 {
			t.Errorf("%d processes known, row says %d", n, l.row(req).Processes)
		}
		if u := p.unit(); len(u.exc) != 0 {
			t.Errorf("%d exceptions left", len(u.exc))
		}
		if p.count("attach") != 1 {
			t.Error("the unit was touched")
		}
	})
}

// A row's number of processes follows, but a storm does not become a storm of rows.
func TestNumberOfProcessesIsToldAtABoundedRate(t *testing.T) {
	p := &plant{}
	rows := &counter{}
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Specs: []core.Spec{p.spec("requests")}, Reporter: rows})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- s.Run(ctx) }()
		for i := range int32(1000) {
			s.ProcessUp(proc(10+i, "web"))
			time.Sleep(time.Millisecond)
		}
		wait(time.Second)
		if rows.last != 1000 || rows.n > 20 {
			t.Errorf("%d rows, the last says %d", rows.n, rows.last)
		}
		cancel()
		<-result
	})
}

type counter struct {
	silent
	n, last int
}

func (c *counter) Unit(r core.UnitRow) { c.n, c.last = c.n+1, r.Processes }

func TestInboxKeepsTheNewestOwnerOfAPID(t *testing.T) {
	b := newInbox()
	newer := &core.Process{ProcKey: core.ProcKey{PID: 7, Birth: 9}}
	b.put(fact{newer.ProcKey, newer})
	b.put(fact{core.ProcKey{PID: 7, Birth: 3}, nil}) // the end of the former owner, late
	b.put(fact{core.ProcKey{PID: 8, Birth: 1}, nil})
	got := b.take()
	if len(got) != 2 || got[0].key.PID != 8 || got[1].proc != newer {
		t.Errorf("facts %+v", got)
	}
	if len(b.take()) != 0 {
		t.Error("facts were taken twice")
	}
}

// An attach that nobody wants any more and that ignores its context is given
// up after the time for detaching, not after that for attaching.
func TestUnwantedAttachIsGivenUpSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &plant{attach: func(context.Context, int) (core.Parts, error) { <-release; return nil, nil }}
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}})
		l.up(10)
		l.down(10)
		wait(5900 * time.Millisecond)
		l.wantPhase(req, core.PhaseAttaching)
		wait(200 * time.Millisecond)
		l.wantPhase(req, core.PhaseStuck)
		close(release)
		wait(time.Second)
		if l.wantPhase(req, core.PhaseOff); p.attached() != 0 {
			t.Error("what came back late is still attached")
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunTwiceIsAnError(t *testing.T) {
	inLab(t, Config{}, func(l *lab) {
		if err := l.Run(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestC16_WhatUnitsDoIsTimed(t *testing.T) {
	r := calls.New()
	p := &plant{attach: func(ctx context.Context, n int) (core.Parts, error) {
		switch n {
		case 1:
			panic("boom")
		case 2:
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Recorder: r}, func(l *lab) {
		l.up(10)
		wait(15 * time.Second)
		l.wantPhase(req, core.PhaseRunning)
		l.down(10)
	})
	var got []string
	for _, row := range r.Rows() {
		got = append(got, fmt.Sprintf("%s %v in flight %d, longest %vs", row.Op, row.Ended, row.InFlight, row.Duration.Max))
	}
	want := "attach map[ok:1 panic:1 timeout:1] in flight 0, longest 10s; detach map[ok:3] in flight 0, longest 0s; " +
		"init map[ok:3] in flight 0, longest 0s; select map[ok:1] in flight 0, longest 0s"
	if strings.Join(got, "; ") != want {
		t.Errorf("calls\n got %s\nwant %s", strings.Join(got, "; "), want)
	}
}
