package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// tunable is a plant whose units take settings.
type tunable struct {
	plant
	mu   sync.Mutex
	told []core.Tuning
	now  map[core.ProcKey]core.Settings
	def  core.Settings
	tune func(core.Tuning) error
}

func (p *tunable) spec(kind string) core.Spec {
	s := p.plant.spec(kind)
	build := s.Make
	s.Make = func() (core.Unit, error) {
		u, err := build()
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.now, p.def = map[core.ProcKey]core.Settings{}, core.Settings{}
		p.mu.Unlock()
		return &tunableUnit{u.(*plantUnit), p}, nil
	}
	return s
}

type tunableUnit struct {
	*plantUnit
	p *tunable
}

func (u *tunableUnit) Tune(t core.Tuning) error {
	u.p.note("tune")
	if u.p.tune != nil {
		if err := u.p.tune(t); err != nil {
			return err
		}
	}
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	u.p.told = append(u.p.told, t)
	u.p.def = t.Default
	maps.Copy(u.p.now, t.Set)
	for _, key := range t.Clear {
		delete(u.p.now, key)
	}
	return nil
}

func (p *tunable) tells() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.told) }

// sampling is what the unit applies to a process.
func (p *tunable) sampling(pid int32) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, own := p.now[key(pid)]; own {
		return s.Sampling
	}
	return p.def.Sampling
}

func (l *lab) configure(scope core.Scope, target string, pid int32, sampling float64) {
	l.t.Helper()
	s := core.Setting{Scope: scope, Target: target, Settings: core.Settings{Sampling: sampling}}
	if pid != 0 {
		s.Proc = key(pid)
	}
	if err := l.Configure(s); err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
}

// grouped tells of processes of a group.
func (l *lab) grouped(group string, pids ...int32) {
	for _, pid := range pids {
		c := proc(pid, "web")
		c.Group = group
		l.ProcessUp(c)
	}
	synctest.Wait()
}

func TestI35_SettingsReachEachMemberOnceAndNobodyElse(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.grouped("front", 10, 11)
		l.grouped("back", 12)
		l.configure(core.ScopeGroup, "front", 0, .5)
		if p.tells() != 1 || len(p.told[0].Set) != 2 || p.sampling(10) != .5 || p.sampling(11) != .5 || p.sampling(12) != 0 {
			t.Errorf("told %+v", p.told)
		}
		if p.count("attach") != 1 {
			t.Error("settings must not touch what is attached")
		}
	})
}

func TestI36_SettingsOfAGroupThatNobodyIsInAreRemembered(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(1)
		l.configure(core.ScopeGroup, "later", 0, .25)
		if p.tells() != 0 {
			t.Error("an empty group reached somebody")
		}
		l.grouped("later", 20)
		if p.sampling(20) != .25 || p.sampling(1) != 0 {
			t.Errorf("the member that came later has %v", p.sampling(20))
		}
		for _, bad := range []core.Setting{
			{Scope: "planet"}, {Scope: core.ScopeGroup}, {Scope: core.ScopeGroup, Target: "a\x1bb"}, {Scope: core.ScopeProcess},
			{Scope: core.ScopeGlobal, Settings: core.Settings{Sampling: 1.5}}, {Scope: core.ScopeGlobal, Settings: core.Settings{Sampling: -1}},
		} {
			if l.Configure(bad) == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
}

func TestI37_OneUnitThatRefusesDoesNotStopTheOthers(t *testing.T) {
	var good atomic.Bool
	a, b := &tunable{tune: func(core.Tuning) error {
		if good.Load() {
			return nil
		}
		return errors.New("not these")
	}}, &tunable{}
	inLab(t, Config{Specs: []core.Spec{a.spec("requests"), b.spec("network")}}, func(l *lab) {
		l.up(10)
		l.configure(core.ScopeService, "web", 0, .5)
		if b.sampling(10) != .5 {
			t.Error("the other unit did not get them")
		}
		if r := l.wantPhase(req, core.PhaseRunning); r.Health != core.HealthDegraded || !strings.Contains(r.Message, "not these") {
			t.Errorf("row %+v", r)
		}
		good.Store(true)
		wait(10 * time.Second)
		if r := l.row(req); a.sampling(10) != .5 || r.Health != core.HealthOK {
			t.Errorf("after another try: %v, row %+v", a.sampling(10), r)
		}
	})
}

// Both errors of one unit are told: of its selection and of its settings.
func TestI37_ErrorsAreJoined(t *testing.T) {
	var bad atomic.Bool
	refuse := func(what string) error {
		if bad.Load() {
			return errors.New(what)
		}
		return nil
	}
	p := &tunable{tune: func(core.Tuning) error { return refuse("bad settings") }}
	p.choose = func(core.Selection) error { return refuse("bad selection") }
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10, 11)
		bad.Store(true)
		moved := proc(10, "db")
		if err := l.Configure(core.Setting{Scope: core.ScopeService, Target: "db", Settings: core.Settings{Sampling: .5}}); err != nil {
			t.Fatal(err)
		}
		l.toggle("requests", core.ScopeService, "db", 0, core.Off)
		l.ProcessChanged(moved)
		synctest.Wait()
		if m := l.row(req).Message; !strings.Contains(m, "bad selection") || !strings.Contains(m, "bad settings") {
			t.Errorf("message %q", m)
		}
		bad.Store(false)
		wait(30 * time.Second)
		if r := l.row(req); r.Health != core.HealthOK || p.sampling(10) != .5 || p.unit().observes(key(10)) {
			t.Errorf("row %+v", r)
		}
	})
}

// While a unit attaches, settings wait; they are neither lost nor given to it
// in the middle, and of several the newest is given once.
func TestI39_OnlyTheNewestSettingsReachAUnitThatWasLoading(t *testing.T) {
	p := &tunable{}
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		loading := false
		p.attach = func(context.Context, int) (core.Parts, error) {
			loading = true
			<-gate
			loading = false
			return nil, nil
		}
		p.tune = func(core.Tuning) error {
			if loading {
				t.Error("tuned while it attaches")
			}
			return nil
		}
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}})
		l.up(10)
		for _, v := range []float64{.1, .2, .3, .4} {
			l.configure(core.ScopeService, "web", 0, v)
		}
		close(gate)
		synctest.Wait()
		if p.tells() != 1 || p.sampling(10) != .4 {
			t.Errorf("told %+v", p.told)
		}
		if got, want := p.log(), "make attach select tune serve"; got != want {
			t.Errorf("calls\n got %s\nwant %s", got, want)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestI40_SettingsMayArriveBeforeTheUnitIsReady(t *testing.T) {
	p := &tunable{}
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		p.serve = func(ctx context.Context, _ int, ready func()) error {
			<-gate // entered, not ready
			ready()
			<-ctx.Done()
			return nil
		}
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}})
		l.up(10)
		l.wantPhase(req, core.PhaseStarting)
		l.configure(core.ScopeProcess, "", 10, .5)
		if p.sampling(10) != .5 {
			t.Error("settings wait for ready")
		}
		close(gate)
		synctest.Wait()
		l.wantPhase(req, core.PhaseRunning)
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestI41_FailedUnitGetsTheNewestSettingsAtItsNextAttempt(t *testing.T) {
	var works atomic.Bool
	p := &tunable{}
	p.attach = func(context.Context, int) (core.Parts, error) {
		if works.Load() {
			return nil, nil
		}
		return nil, errFlaky
	}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseBackoff)
		l.configure(core.ScopeService, "web", 0, .1)
		l.configure(core.ScopeService, "web", 0, .7)
		works.Store(true)
		wait(5 * time.Second)
		if l.wantPhase(req, core.PhaseRunning); p.tells() != 1 || p.sampling(10) != .7 {
			t.Errorf("told %+v", p.told)
		}
	})
}

func TestI42_EqualSettingsAreNotAppliedAgain(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		set := core.Setting{Scope: core.ScopeService, Target: "web", Settings: core.Settings{Sampling: .5, Parts: map[string]bool{"bodies": false}}}
		for range 5 {
			set.Parts = maps.Clone(set.Parts)
			if err := l.Configure(set); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		l.ProcessChanged(proc(10, "web"))
		synctest.Wait()
		if p.tells() != 1 {
			t.Errorf("told %d times", p.tells())
		}
		set.Parts["bodies"] = true
		_ = l.Configure(set)
		synctest.Wait()
		if p.tells() != 2 || !p.told[1].Set[key(10)].Parts["bodies"] {
			t.Errorf("a change of a part was not told: %+v", p.told)
		}
	})
}

func TestI45_MemberThatMovesLeavesNothingBehind(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.configure(core.ScopeGroup, "front", 0, .5)
		l.configure(core.ScopeGroup, "back", 0, .2)
		l.up(1)
		l.grouped("front", 10)
		moved := proc(10, "web")
		moved.Group = "back"
		l.ProcessChanged(moved)
		synctest.Wait()
		if p.sampling(10) != .2 {
			t.Errorf("it has %v", p.sampling(10))
		}
		before := p.tells()
		l.configure(core.ScopeGroup, "front", 0, .9)
		if p.tells() != before {
			t.Error("the group that it left still reaches it")
		}
		l.configure(core.ScopeProcess, "", 10, .1)
		l.down(10)
		l.configure(core.ScopeProcess, "", 10, .1)
		if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "process 10 is gone") {
			t.Errorf("notices %q", n)
		}
		if len(p.now) != 0 || len(l.procs.settings) != 2 {
			t.Errorf("after its end: %v, %d settings", p.now, len(l.procs.settings))
		}
	})
}

func TestI11_SettingsFailureIsNoInitFailure(t *testing.T) {
	a := &audience{}
	p := &tunable{tune: func(core.Tuning) error { return errors.New("sampling is not to be had") }}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Listener: a}, func(l *lab) {
		l.configure(core.ScopeGlobal, "", 0, .5)
		l.up(10)
		if got := a.story(); got != "init <nil>; load <nil>" {
			t.Errorf("told as %s", got)
		}
		r := l.wantPhase(req, core.PhaseRunning)
		if !strings.HasPrefix(r.Message, "settings: sampling is not") || r.Health != core.HealthDegraded || r.Failures != 0 {
			t.Errorf("row %+v", r)
		}
	})
}

// The nearest scope wins field by field, live, and zero settings take back.
func TestI73_SettingsPerGroupServiceAndProcess(t *testing.T) {
	p := &tunable{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.grouped("front", 10, 11)
		l.configure(core.ScopeGlobal, "", 0, .9)
		set := core.Setting{Scope: core.ScopeGroup, Target: "front", Settings: core.Settings{Parts: map[string]bool{"heads": false, "tls": true}}}
		if err := l.Configure(set); err != nil {
			t.Fatal(err)
		}
		l.configure(core.ScopeService, "web", 0, .5)
		one := core.Setting{Scope: core.ScopeProcess, Proc: key(11), Settings: core.Settings{Sampling: .1, Parts: map[string]bool{"heads": true}}}
		if err := l.Configure(one); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ten, eleven := p.now[key(10)], p.now[key(11)]
		if got, want := fmt.Sprint(ten, eleven), "{0.5 map[heads:false tls:true]} {0.1 map[heads:true tls:true]}"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, s := range []core.Setting{{Scope: core.ScopeGroup, Target: "front"}, {Scope: core.ScopeService, Target: "web"}, {Scope: core.ScopeProcess, Proc: key(11)}} {
			if err := l.Configure(s); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(p.now) != 0 || p.def.Sampling != .9 || p.count("attach") != 1 {
			t.Errorf("taken back: %v, default %+v", p.now, p.def)
		}
	})
}

func TestTuneThatHangsEndsTheUnit(t *testing.T) {
	release := make(chan struct{})
	p := &tunable{}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		p.tune = func(core.Tuning) error { <-release; return nil }
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}})
		l.up(10)
		l.configure(core.ScopeGlobal, "", 0, .5)
		wait(10 * time.Second)
		l.wantPhase(req, core.PhaseStuck)
		close(release)
		wait(5 * time.Second)
		l.wantPhase(req, core.PhaseRunning)
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSettingsAreBounded(t *testing.T) {
	inLab(t, Config{Limits: Limits{Choices: 5}}, func(l *lab) {
		busy := 0
		for i := range 20 {
			if l.Configure(core.Setting{Scope: core.ScopeService, Target: fmt.Sprint("s", i), Settings: core.Settings{Sampling: .5}}) != nil {
				busy++
			}
			if i == 10 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if n := len(l.procs.settings); n > 5 || busy == 0 || l.Stats().Busy != uint64(busy) {
			t.Errorf("%d settings, %d refused", n, busy)
		}
	})
}
