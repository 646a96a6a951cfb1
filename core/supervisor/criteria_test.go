package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// What is machine-wide applies to every process beside what is its own, and
// that it is not to be had here is a state, not a failure.
func TestI03_MachineWideUnitsComeInAddition(t *testing.T) {
	own, general := &plant{}, &plant{attach: func(context.Context, int) (core.Parts, error) {
		return nil, fmt.Errorf("no such hook: %w", core.ErrUnsupported)
	}}
	inLab(t, Config{Specs: []core.Spec{own.spec("requests"), general.machineWide("usage")}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseRunning)
		r := l.wantPhase("instrumentation/usage", core.PhaseUnsupp)
		if r.Health != core.HealthUnknown || l.row(req).Health != core.HealthOK || len(l.notices()) != 0 {
			t.Errorf("rows %+v, %+v, notices %q", r, l.row(req), l.notices())
		}
	})
}

func TestI04_AMachineWideFailureAffectsNothingElse(t *testing.T) {
	own, general := &plant{}, &plant{serve: func(context.Context, int, func()) error { panic("broken") }}
	inLab(t, Config{Specs: []core.Spec{own.spec("requests"), general.machineWide("usage")}}, func(l *lab) {
		l.up(10)
		wait(time.Minute)
		if general.count("attach") < 3 || own.count("attach") != 1 || !own.unit().observes(key(10)) {
			t.Errorf("%d and %d attaches", general.count("attach"), own.count("attach"))
		}
		l.wantPath(req, "attaching starting running")
	})
}

func TestI05_AMachineWideFailureIsToldAsHealth(t *testing.T) {
	general := &plant{attach: func(context.Context, int) (core.Parts, error) {
		return core.Parts{"disk": errors.New("no taskstats")}, nil
	}}
	failing := &plant{attach: func(context.Context, int) (core.Parts, error) { return nil, errFlaky }}
	inLab(t, Config{Specs: []core.Spec{general.machineWide("usage"), failing.machineWide("cpu")}}, func(l *lab) {
		if r := l.wantPhase("instrumentation/usage", core.PhaseRunning); r.Health != core.HealthDegraded || r.Parts["disk"] != "no taskstats" {
			t.Errorf("row %+v", r)
		}
		if r := l.row("instrumentation/cpu"); r.Health != core.HealthRecovering || r.Message != "flaky" {
			t.Errorf("row %+v", r)
		}
	})
}

func TestI17_RetryOfOneKind(t *testing.T) {
	fail := func(_ context.Context, n int) (core.Parts, error) {
		if n == 1 {
			return nil, core.ErrUnsupported
		}
		return nil, nil
	}
	a, b := &plant{attach: fail}, &plant{attach: fail}
	inLab(t, Config{Specs: []core.Spec{a.machineWide("a"), b.machineWide("b")}}, func(l *lab) {
		l.submit(core.Intent{Op: core.IntentRetry, Key: core.ToggleKey{Kind: "a"}})
		l.wantPhase("instrumentation/a", core.PhaseRunning)
		l.wantPhase("instrumentation/b", core.PhaseUnsupp)
	})
}

// Another program in the same process is decided anew: by its new service, and
// the kernel, which may have forgotten, is told its exception once more.
func TestI27_AnotherProgramIsDecidedAnew(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1)
		l.toggle("requests", core.ScopeService, "shell", 0, core.Off)
		c := proc(10, "shell")
		l.ProcessUp(c)
		synctest.Wait()
		if p.unit().observes(key(10)) {
			t.Fatal("the shell is observed")
		}
		l.ProcessChanged(&core.Process{ProcKey: key(10), PPID: 1, Comm: "node", Exe: "/bin/node", Service: "shop"})
		synctest.Wait()
		if !p.unit().observes(key(10)) {
			t.Error("the program that replaced the shell is not observed")
		}
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
		p.exec(key(10)) // the kernel drops the exception
		l.ProcessChanged(&core.Process{ProcKey: key(10), PPID: 1, Comm: "node", Exe: "/bin/node18", Service: "shop"})
		synctest.Wait()
		if p.unit().observes(key(10)) {
			t.Error("the choice for the process did not outlive its exec")
		}
		if p.count("attach") != 1 {
			t.Error("the unit was touched")
		}
	})
}

func TestI28_TheSameProgramAgainIsNoNews(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1, 10)
		before := p.log()
		for range 5 {
			again := proc(10, "web")
			again.Listeners = []core.Listener{{Network: "tcp", Address: "127.0.0.1:80"}}
			l.ProcessChanged(again)
			synctest.Wait()
		}
		if p.log() != before {
			t.Errorf("calls %s, before %s", p.log(), before)
		}
	})
}

func uninstrument(op core.IntentOp, scope core.Scope, target string) core.Intent {
	return core.Intent{Op: op, Key: core.ToggleKey{Scope: scope, Target: target}}
}

func TestI51_RequestsForWhatIsSoAlreadyDoNothing(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1)
		l.grouped("front", 10)
		before, selected := p.log(), p.count("select")
		for range 3 {
			l.submit(uninstrument(core.IntentInstrument, core.ScopeGroup, "front"))
		}
		if p.log() != before {
			t.Errorf("calls %s, before %s", p.log(), before)
		}
		for range 3 {
			l.submit(uninstrument(core.IntentUninstrument, core.ScopeGroup, "front"))
			l.submit(uninstrument(core.IntentUninstrument, core.ScopeGroup, "nobody"))
		}
		told := 0
		for _, e := range l.events {
			if e.Kind == core.EventToggle && strings.Contains(e.Reason, "front") {
				told++
			}
		}
		if told != 1 || p.count("select") != selected+1 {
			t.Errorf("told %d times, selected %d times", told, p.count("select"))
		}
	})
}

func TestI52_UninstrumentedUntilAskedFor(t *testing.T) {
	p, q := &plant{}, &plant{}
	a := &audience{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests"), q.spec("network")}, Listener: a}, func(l *lab) {
		l.grouped("front", 10, 11)
		l.submit(uninstrument(core.IntentUninstrument, core.ScopeGroup, "front"))
		l.wantPhase(req, core.PhaseOff)
		l.wantPhase(net, core.PhaseOff)
		if p.attached()+q.attached() != 0 || strings.Count(a.story(), "exit") != 2 {
			t.Errorf("attached %d, callbacks %s", p.attached()+q.attached(), a.story())
		}
		e, _ := l.last(func(e core.Event) bool { return e.Kind == core.EventToggle })
		if !strings.Contains(e.Reason, "uninstrumented") || !strings.Contains(e.Reason, "group front") {
			t.Errorf("reason %q", e.Reason)
		}
		l.grouped("front", 12) // a member that comes later
		l.submit(core.Intent{Op: core.IntentRetry})
		l.wantPhase(req, core.PhaseOff)
		l.submit(uninstrument(core.IntentInstrument, core.ScopeGroup, "front"))
		l.wantPhase(req, core.PhaseRunning)
		for _, pid := range []int32{10, 11, 12} {
			if !p.unit().observes(key(pid)) || !q.unit().observes(key(pid)) {
				t.Errorf("process %d is not observed again", pid)
			}
		}
		l.submit(core.Intent{Op: core.IntentUninstrument, Key: core.ToggleKey{Scope: core.ScopeGlobal}})
		if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "detach-all") {
			t.Errorf("notices %q", n)
		}
	})
}

// A process whose instrumentation failed is followed to its end like any other.
func TestI53_FailedOnesAreFollowedToTheirEnd(t *testing.T) {
	p := &plant{attach: func(context.Context, int) (core.Parts, error) { return nil, errFlaky }}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10, 11)
		l.wantPhase(req, core.PhaseBackoff)
		l.toggle("requests", core.ScopeProcess, "", 10, core.On)
		l.down(10, 11)
		wait(time.Second)
		if r := l.wantPhase(req, core.PhaseOff); r.Processes != 0 || len(l.procs.members) != 0 || len(l.witness.toggles.Choices) != 0 {
			t.Errorf("row %+v, %d members, choices %v", r, len(l.procs.members), l.witness.toggles.Choices)
		}
		tries := p.count("attach")
		wait(time.Hour)
		if p.count("attach") != tries {
			t.Error("it is still tried for processes that are gone")
		}
	})
}

func TestI65_DryRunSaysWhatWouldBeAndAttachesNothing(t *testing.T) {
	fine, idle, missing, broken := &plant{}, &plant{}, &plant{}, &plant{}
	specs := []core.Spec{fine.spec("requests"), idle.spec("network"), missing.machineWide("usage"), broken.machineWide("cpu")}
	specs[1].Default = false
	specs[0].Check = func() error { return nil }
	specs[2].Check = func() error { return fmt.Errorf("no BTF: %w", core.ErrUnsupported) }
	specs[3].Check = func() error { panic("check") }
	inLab(t, Config{Specs: specs, DryRun: true}, func(l *lab) {
		l.up(10)
		if r := l.wantPhase(req, core.PhaseOff); r.Processes > 1 || r.Message != "" {
			t.Errorf("row %+v", r)
		}
		e, _ := l.last(func(e core.Event) bool { return e.Unit == req })
		if e.Reason != "dry run: it would be attached, in use" {
			t.Errorf("reason %q", e.Reason)
		}
		if e, _ := l.last(func(e core.Event) bool { return e.Unit == net }); e.Reason != "off by default" {
			t.Errorf("reason %q", e.Reason)
		}
		if r := l.wantPhase("instrumentation/usage", core.PhaseUnsupp); r.Message != "no BTF: not supported" {
			t.Errorf("row %+v", r)
		}
		l.wantPhase("instrumentation/cpu", core.PhaseFailed)
		if !l.Settled() {
			t.Error("a dry run has settled once everything is decided")
		}
		for _, p := range []*plant{fine, idle, missing, broken} {
			if p.log() != "" {
				t.Errorf("a unit was made or attached: %s", p.log())
			}
		}
	})
}

// Which kinds apply follows from what the process is now, not from what it was
// when the choice was made.
func TestI72_WhatAppliesIsMatchedWhenItIsResolved(t *testing.T) {
	p := &plant{}
	specs := p.spec("requests")
	specs.Default = false
	inLab(t, Config{Specs: []core.Spec{specs}}, func(l *lab) {
		l.toggle("requests", core.ScopeGroup, "java", 0, core.On) // nobody is in it yet
		l.up(10)
		l.wantPhase(req, core.PhaseOff)
		known := proc(10, "web")
		known.Group, known.Runtime = "java", core.Runtime{Language: "java"}
		l.ProcessChanged(known)
		synctest.Wait()
		if l.wantPhase(req, core.PhaseRunning); !p.unit().observes(key(10)) {
			t.Error("not observed once its runtime is known")
		}
		l.ProcessChanged(proc(10, "web"))
		synctest.Wait()
		l.wantPhase(req, core.PhaseOff)
	})
}

// What is under way to a unit has not reached it: a look that begins then would
// miss what it was meant to see.
func TestSettledWaitsForTheUnitToTakeItsSelection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		hold := func() { <-gate }
		p := &tunable{tune: func(core.Tuning) error { hold(); return nil }}
		p.choose = func(core.Selection) error { hold(); return nil }
		close(gate)
		l := open(t, Config{Specs: []core.Spec{p.spec("requests"), (&plant{}).spec("network")}})
		l.up(10, 11)
		if !l.Settled() {
			t.Error("not settled although nothing happens")
		}
		for what, change := range map[string]func(){
			"a choice": func() { l.toggle("requests", core.ScopeProcess, "", 10, core.Off) },
			"settings": func() { l.configure(core.ScopeService, "web", 0, .5) },
		} {
			gate = make(chan struct{})
			change()
			if l.Settled() {
				t.Errorf("%s: settled while the unit is being told", what)
			}
			close(gate)
			synctest.Wait()
			if !l.Settled() {
				t.Errorf("%s: not settled although the unit was told", what)
			}
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

// What was asked for before has been carried out, whatever a loop that was busy
// does first.
func TestSettledComesAfterWhatWasAskedBefore(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		asked := func(ask func()) bool {
			gate, settled := make(chan struct{}), make(chan bool)
			go l.inLoop(func() { <-gate })
			synctest.Wait()
			ask()
			go func() { settled <- l.Settled() }()
			synctest.Wait()
			close(gate)
			return <-settled
		}
		for i := range 30 {
			to := []core.Choice{core.Off, core.On}[i%2]
			key := core.ToggleKey{Kind: "requests", Scope: core.ScopeGlobal}
			settled := asked(func() { l.Submit(core.Intent{Op: core.IntentToggle, Key: key, Choice: to}) })
			if got := l.row(req).Phase == core.PhaseRunning; settled && got != (to == core.On) {
				t.Errorf("switched %s, settled, and it is %s", to, l.row(req).Phase)
			}
			synctest.Wait()
			set := core.Setting{Scope: core.ScopeGlobal, Settings: core.Settings{Sampling: .1 + .001*float64(i)}}
			settled = asked(func() { _ = l.Configure(set) })
			if got := p.sampling(10); to == core.On && settled && got != set.Sampling {
				t.Errorf("settled with sampling %v, want %v", got, set.Sampling)
			}
			synctest.Wait()
			if !l.Settled() {
				t.Error("not settled although everything was carried out")
			}
		}
	})
}

// A unit that shall be remade still runs from its old recipe for a moment.
func TestSettledWaitsForTheNewRecipe(t *testing.T) {
	a := &actor{sup: &Supervisor{}, tune: &tuning{}, row: core.UnitRow{Phase: core.PhaseRunning}}
	a.order = order{given: true, on: true, remade: 1, spec: core.Spec{Class: core.ClassInstrumentation}}
	if a.settled() {
		t.Error("settled while the former unit runs")
	}
	if a.made = 1; !a.settled() {
		t.Error("not settled although the new one runs")
	}
	a.made, a.row.Phase = 0, core.PhaseStuck // who knows when that ends
	if !a.settled() {
		t.Error("a stuck unit is waited for")
	}
}
