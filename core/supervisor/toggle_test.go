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

func TestUnitIsInTheKernelOnlyWhileAProcessUsesIt(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10, 11)
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
		if l.wantPhase(req, core.PhaseRunning); p.unit().observes(key(10)) || !p.unit().observes(key(11)) {
			t.Error("switching one process reached the other, or nobody")
		}
		began := time.Now()
		l.toggle("requests", core.ScopeProcess, "", 11, core.Off)
		l.wantPhase(req, core.PhaseOff)
		if p.attached() != 0 {
			t.Error("still attached")
		}
		l.toggle("requests", core.ScopeProcess, "", 10, core.On)
		l.wantPhase(req, core.PhaseRunning)
		if time.Since(began) > time.Second || !p.unit().observes(key(10)) || p.unit().observes(key(11)) {
			t.Errorf("after %v: %v %v", time.Since(began), p.unit().observes(key(10)), p.unit().observes(key(11)))
		}
	})
}

// With Only, a process that nobody told of is not observed, whatever the default.
func TestOnlyWhatWasToldIsObserved(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Only: true}, func(l *lab) {
		l.up(10)
		if l.wantPhase(req, core.PhaseRunning); !p.unit().observes(key(10)) || p.unit().observes(key(99)) {
			t.Errorf("told %v, not told %v", p.unit().observes(key(10)), p.unit().observes(key(99)))
		}
		l.toggle("requests", core.ScopeGlobal, "", 0, core.Off)
		l.wantPhase(req, core.PhaseOff)
		l.toggle("requests", core.ScopeGlobal, "", 0, core.On)
		if l.wantPhase(req, core.PhaseRunning); !p.unit().observes(key(10)) || p.unit().observes(key(99)) {
			t.Errorf("on again: told %v, not told %v", p.unit().observes(key(10)), p.unit().observes(key(99)))
		}
	})
}

func TestNearestScopeWins(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		grouped := proc(12, "db")
		grouped.Group = "backend"
		l.ProcessUp(grouped)
		l.up(10, 11)
		expect := func(step string, on10, on11, on12 bool) {
			t.Helper()
			u := p.unit()
			for pid, want := range map[int32]bool{10: on10, 11: on11, 12: on12} {
				if got := u.observes(key(pid)) && p.attached() == 1; got != want {
					t.Errorf("%s: process %d observed %v, want %v", step, pid, got, want)
				}
			}
		}
		expect("default", true, true, true)
		l.toggle("requests", core.ScopeGlobal, "", 0, core.Off)
		expect("global off", false, false, false)
		l.toggle("requests", core.ScopeGroup, "backend", 0, core.On)
		expect("group on", false, false, true)
		l.toggle("requests", core.ScopeService, "web", 0, core.On)
		expect("service on", true, true, true)
		l.toggle("requests", core.ScopeProcess, "", 11, core.Off)
		expect("process off", true, false, true)
		l.toggle("requests", core.ScopeProcess, "", 11, core.Auto)
		expect("process auto", true, true, true)
		for range 5 {
			l.submit(core.Intent{Op: core.IntentUndo})
		}
		expect("all undone", true, true, true)
		if len(l.witness.toggles.Choices) != 0 {
			t.Errorf("choices left: %v", l.witness.toggles.Choices)
		}
		l.submit(core.Intent{Op: core.IntentUndo})
		if n := l.notices(); len(n) != 1 {
			t.Errorf("notices %q", n)
		}
	})
}

// The choice holds for processes that come later; a process' own ends with it.
func TestChoicesAndTheProcessesThatComeLater(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1)
		l.ProcessUp(proc(10, "db"))
		l.toggle("requests", core.ScopeService, "web", 0, core.Off)
		l.up(11)
		if p.unit().observes(key(11)) {
			t.Error("a later process of a service that is off is observed")
		}
		l.toggle("requests", core.ScopeProcess, "", 11, core.On)
		l.down(11)
		if n := len(l.witness.toggles.Choices); n != 1 {
			t.Errorf("%d choices after the process ended", n)
		}
		l.submit(core.Intent{Op: core.IntentUndo}) // not of a process that is gone: the service's
		if n := len(l.witness.toggles.Choices); n != 0 {
			t.Errorf("%d choices after undo", n)
		}
	})
}

func TestI25_ReusedPIDIsANewProcess(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1, 10)
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
		again := proc(10, "web")
		again.Birth = 9999 // the end of the first one was never told
		l.ProcessUp(again)
		synctest.Wait()
		if !p.unit().observes(again.ProcKey) {
			t.Error("the new process inherited the choice of the old one")
		}
		if len(l.witness.toggles.Choices) != 0 || l.row(req).Phase != core.PhaseRunning {
			t.Errorf("choices %v", l.witness.toggles.Choices)
		}
		l.ProcessDown(key(10), core.Exit{}, time.Now()) // late, for the first one
		wait(time.Second)
		if n := l.row(req).Processes; n != 2 {
			t.Errorf("%d processes, want 2", n)
		}
	})
}

func TestDetachEverythingAndResume(t *testing.T) {
	p, m, d := &plant{}, &plant{}, &plant{}
	specs := []core.Spec{p.spec("requests"), m.machineWide("usage"), d.destination("push")}
	inLab(t, Config{Specs: specs}, func(l *lab) {
		l.up(10)
		for _, back := range []core.IntentOp{core.IntentResume, core.IntentUndo} {
			l.submit(core.Intent{Op: core.IntentDetachAll})
			if p.attached()+m.attached() != 0 || d.attached() != 1 || !l.witness.toggles.Suspended {
				t.Errorf("in the kernel: %d, destinations: %d", p.attached()+m.attached(), d.attached())
			}
			l.up(11)
			if p.attached() != 0 {
				t.Error("a new process attached what is suspended")
			}
			l.submit(core.Intent{Op: back})
			l.wantPhase(req, core.PhaseRunning)
			if p.attached() != 1 || m.attached() != 1 || d.count("attach") != 1 {
				t.Errorf("after %s: %d %d", back, p.attached(), m.attached())
			}
		}
	})
}

func TestMachineWideUnitFollowsTheGlobalToggle(t *testing.T) {
	m, d := &plant{}, &plant{}
	inLab(t, Config{Specs: []core.Spec{m.machineWide("usage"), d.destination("push")}}, func(l *lab) {
		for _, kind := range []string{"usage", "push"} {
			l.toggle(kind, core.ScopeGlobal, "", 0, core.Off)
		}
		l.wantPhase("instrumentation/usage", core.PhaseOff)
		l.wantPhase("destination/push", core.PhaseOff)
		for _, kind := range []string{"usage", "push"} {
			l.toggle(kind, core.ScopeGlobal, "", 0, core.Auto)
		}
		l.wantPhase("instrumentation/usage", core.PhaseRunning)
		l.wantPhase("destination/push", core.PhaseRunning)
	})
}

func TestConfigurationIsTheBaseOfTheUsersChoices(t *testing.T) {
	p := &plant{}
	k := core.ToggleKey{Kind: "requests", Scope: core.ScopeService, Target: "web"}
	base := &core.Toggles{Choices: map[core.ToggleKey]core.Choice{k: core.Off}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Toggles: base}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseOff)
		l.toggle("requests", core.ScopeService, "web", 0, core.On)
		l.wantPhase(req, core.PhaseRunning)
		l.toggle("requests", core.ScopeService, "web", 0, core.Auto)
		l.wantPhase(req, core.PhaseOff)
		if len(base.Choices) != 1 || base.Choices[k] != core.Off {
			t.Error("the configuration's toggles were modified")
		}
	})
}

func TestSkippedProcessIsNeverObserved(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		self := proc(10, "web")
		self.Skip = "vitals itself"
		l.ProcessUp(self)
		l.up(11)
		l.toggle("requests", core.ScopeProcess, "", 10, core.On)
		if p.unit().observes(key(10)) {
			t.Error("observed")
		}
		e, _ := l.last(func(e core.Event) bool { return e.Kind == core.EventToggle })
		if !strings.Contains(e.Reason, "vitals itself") {
			t.Errorf("reason %q does not say why it has no effect", e.Reason)
		}
	})
}

func TestBadIntentsAreAnsweredInWords(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		for want, i := range map[string]core.Intent{
			"kind":             {Op: core.IntentToggle, Key: core.ToggleKey{Kind: "no\x1b[31mpe", Scope: core.ScopeGlobal}, Choice: core.On},
			"not on, off":      {Op: core.IntentToggle, Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeGlobal}, Choice: "maybe"},
			"no usable name":   {Op: core.IntentToggle, Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeService}, Choice: core.On},
			"is gone":          {Op: core.IntentToggle, Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeProcess, Proc: key(99)}, Choice: core.On},
			"scope":            {Op: core.IntentToggle, Key: core.ToggleKey{Kind: "requests", Scope: "planet"}, Choice: core.On},
			"intent":           {Op: "dance"},
			"nothing to push":  {Op: core.IntentPushNow},
			"nothing to reloa": {Op: core.IntentReload},
		} {
			l.submit(i)
			e, ok := l.last(func(e core.Event) bool { return e.Kind == core.EventNotice })
			if !ok || !strings.Contains(e.Error, want) || strings.Contains(e.Error, "\x1b") {
				t.Errorf("%v: answer %q, want %q in it", i, e.Error, want)
			}
		}
		if len(l.witness.toggles.Choices) != 0 {
			t.Errorf("choices %v", l.witness.toggles.Choices)
		}
	})
}

func TestI54_FullQueueSaysBusy(t *testing.T) {
	s := New(Config{Limits: Limits{Intents: 3}})
	took := 0
	for range 10 {
		if s.Submit(core.Intent{Op: core.IntentRetry}) {
			took++
		}
	}
	if took != 3 || s.Stats().Busy != 7 {
		t.Errorf("took %d, busy %d", took, s.Stats().Busy)
	}
}

func TestPushNowAndReloadNeverBlockAndNeverOverlap(t *testing.T) {
	runs, now, most := 0, 0, 0
	push := func() {
		now++
		most = max(most, now)
		time.Sleep(time.Second)
		runs, now = runs+1, now-1
	}
	p := &plant{}
	var l *lab
	reload := func() { l.Apply([]core.Spec{p.spec("requests")}); panic("and then this") }
	synctest.Test(t, func(t *testing.T) {
		l = open(t, Config{PushNow: push, Reload: reload})
		for range 5 {
			l.submit(core.Intent{Op: core.IntentPushNow})
		}
		l.submit(core.Intent{Op: core.IntentReload})
		wait(5 * time.Second)
		if runs != 2 || most != 1 {
			t.Errorf("%d runs, %d at once", runs, most)
		}
		l.wantPhase(req, core.PhaseNew)
		if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "and then this") {
			t.Errorf("notices %q", n)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestUndoIsBounded(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Limits: Limits{Undo: 5, Choices: 10}}, func(l *lab) {
		for i := range 20 {
			l.toggle("requests", core.ScopeService, fmt.Sprint("s", i), 0, core.Off)
		}
		if n := len(l.witness.toggles.Choices); n != 10 {
			t.Errorf("%d choices, want 10", n)
		}
		for range 20 {
			l.submit(core.Intent{Op: core.IntentUndo})
		}
		if n := len(l.witness.toggles.Choices); n != 5 {
			t.Errorf("%d choices after undo, want 5", n)
		}
	})
}

// A selection that is refused is told again, with what changed meanwhile.
func TestRefusedSelectionIsRepeated(t *testing.T) {
	var refuse atomic.Bool
	p := &plant{choose: func(core.Selection) error {
		if refuse.Load() {
			return errFlaky
		}
		return nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10, 11, 12)
		refuse.Store(true)
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
		l.toggle("requests", core.ScopeProcess, "", 11, core.Off)
		if r := l.wantPhase(req, core.PhaseRunning); r.Health != core.HealthDegraded || r.Message != "flaky" {
			t.Errorf("row %+v", r)
		}
		refuse.Store(false)
		wait(10 * time.Second)
		if u := p.unit(); u.observes(key(10)) || u.observes(key(11)) || !u.observes(key(12)) {
			t.Error("the unit does not observe what it should")
		}
		if r := l.row(req); r.Health != core.HealthOK || p.count("attach") != 1 {
			t.Errorf("row %+v, attached %d times", r, p.count("attach"))
		}
	})
}

// While a unit attaches, changes come together and are in its first selection.
func TestI38_ChangeWhileAttachingIsNeitherLostNorConcurrent(t *testing.T) {
	p := &plant{}
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		p.choose = func(core.Selection) error { <-gate; return nil }
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}})
		l.up(1, 10, 11, 12)
		for pid := int32(10); pid <= 12; pid++ { // the first selection is under way
			l.toggle("requests", core.ScopeProcess, "", pid, core.Off)
		}
		if p.count("serve") != 0 {
			t.Error("served before it had its selection")
		}
		close(gate)
		synctest.Wait()
		for pid := int32(10); pid <= 12; pid++ {
			if p.unit().observes(key(pid)) {
				t.Errorf("process %d is observed", pid)
			}
		}
		if n := p.count("select"); n != 2 { // I-39: coalesced
			t.Errorf("%d selections, want 2", n)
		}
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off) // I-42: equal, not told again
		if n := p.count("select"); n != 2 {
			t.Errorf("%d selections after a choice that changes nothing", n)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Off and on again is asking anew: no waiting, and no failures held against it.
func TestOffAndOnEndsBackoffAndFailure(t *testing.T) {
	works := false
	for name, err := range map[string]error{"back-off": errFlaky, "failed": core.ErrUnsupported} {
		t.Run(name, func(t *testing.T) {
			works = false
			p := &plant{attach: func(context.Context, int) (core.Parts, error) {
				if works {
					return nil, nil
				}
				return nil, err
			}}
			inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}}, func(l *lab) {
				wait(20 * time.Second)
				l.toggle("usage", core.ScopeGlobal, "", 0, core.Off)
				if r := l.wantPhase("instrumentation/usage", core.PhaseOff); r.Attempts != 0 || r.Message != "" {
					t.Errorf("row %+v", r)
				}
				works = true
				l.toggle("usage", core.ScopeGlobal, "", 0, core.On)
				if r := l.wantPhase("instrumentation/usage", core.PhaseRunning); r.Health != core.HealthOK {
					t.Errorf("row %+v", r)
				}
			})
		})
	}
}

// A process that was given to init may have got anybody's exception at fork.
func TestOrphanIsNotTakenForItsParentsCopy(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1, 10)
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
		p.fork(key(10), key(20)) // the kernel copies; its parent ends before anybody looks
		l.up(20)
		if !p.unit().observes(key(20)) {
			t.Error("the orphan keeps the choice of a parent that is gone")
		}
	})
}

// While a unit is out of the kernel nothing is collected for it.
func TestNothingIsCollectedForADetachedUnit(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1)
		l.submit(core.Intent{Op: core.IntentDetachAll})
		sel := l.actors[req].sel
		for i := range int32(100) {
			sel.set(key(100+i), true)
			sel.clear(key(100 + i))
		}
		if len(sel.dirty) != 0 || sel.changed() {
			t.Errorf("%d changes wait for nobody", len(sel.dirty))
		}
	})
}
