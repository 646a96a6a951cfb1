package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// audience is a Listener that remembers; plants note what is done to units in
// the same list when they share it.
type audience struct {
	mu     sync.Mutex
	heard  []string
	hold   chan struct{}
	panics bool
}

func (a *audience) hear(format string, args ...any) {
	if a.hold != nil {
		<-a.hold
	}
	a.mu.Lock()
	a.heard = append(a.heard, fmt.Sprintf(format, args...))
	a.mu.Unlock()
	if a.panics {
		panic("listener")
	}
}

func (a *audience) Init(_ string, err error)               { a.hear("init %v", err) }
func (a *audience) Load(_ string, _ core.Parts, err error) { a.hear("load %v", err) }
func (a *audience) Run(_ string, err error)                { a.hear("run %v", err) }
func (a *audience) Exit(_ string, reason string)           { a.hear("exit: %s", reason) }
func (a *audience) story() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.heard, "; ")
}

func TestI06_FourCallbacksOnceAndInOrder(t *testing.T) {
	a, p := &audience{}, &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Listener: a}, func(l *lab) {
		l.up(10)
		if got, want := a.story(), "init <nil>; load <nil>"; got != want {
			t.Errorf("while it runs\n got %s\nwant %s", got, want)
		}
		l.down(10)
		if got, want := a.story(), "init <nil>; load <nil>; run <nil>; exit: no process uses it"; got != want {
			t.Errorf("in the end\n got %s\nwant %s", got, want)
		}
	})
}

func TestI07_ExitComesAfterDetachReturned(t *testing.T) {
	a := &audience{}
	p := &plant{detach: func(context.Context, int) error {
		time.Sleep(3 * time.Second)
		a.hear("detached")
		return nil
	}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Listener: a}, func(l *lab) {
		l.up(10)
		l.down(10)
		wait(2 * time.Second)
		if strings.Contains(a.story(), "exit") {
			t.Errorf("exit before everything was released: %s", a.story())
		}
		wait(2 * time.Second)
		if !strings.Contains(a.story(), "detached; run <nil>; exit") {
			t.Error(a.story())
		}
	})
}

func TestI08_ExitComesAlsoWhenInitOrLoadFailed(t *testing.T) {
	for want, p := range map[string]*plant{
		"init flaky; exit: init did not succeed":                      {make: func(int) error { return errFlaky }},
		"init <nil>; load flaky; exit: attach did not succeed":        {attach: func(context.Context, int) (core.Parts, error) { return nil, errFlaky }},
		"init <nil>; load <nil>; run flaky; exit: it stopped unasked": {serve: func(context.Context, int, func()) error { return errFlaky }},
	} {
		a := &audience{}
		inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}, Listener: a}, func(*lab) {
			if got := a.story(); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// The init failure is told as such: not hidden behind a success, and not taken
// for that of the attach.
func TestI10_InitGetsTheInitError(t *testing.T) {
	a := &audience{}
	p := &plant{make: func(int) error { return errors.New("no such recipe") }}
	inLab(t, Config{Specs: []core.Spec{p.machineWide("usage")}, Listener: a}, func(l *lab) {
		if got := a.story(); !strings.HasPrefix(got, "init no such recipe") || strings.Contains(got, "load") {
			t.Error(got)
		}
		r := l.wantPhase("instrumentation/usage", core.PhaseFailed)
		if r.Message != "no such recipe" || r.Health == core.HealthOK {
			t.Errorf("row %+v", r)
		}
		if p.count("attach") != 0 {
			t.Error("attached although it was never made")
		}
	})
}

func TestI12_PanickingListenerAltersNothing(t *testing.T) {
	a, p := &audience{panics: true}, &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Listener: a}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseRunning)
		l.down(10)
		if got := strings.Count(a.story(), ";"); got != 3 {
			t.Errorf("heard %s", a.story())
		}
	})
}

func TestI13_SlowListenerStallsNobodyAndItsLossIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := &audience{hold: make(chan struct{})}, &plant{}
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}, Listener: a, Limits: Limits{Callbacks: 4}})
		began := time.Now()
		for range 10 {
			l.up(10)
			l.down(10)
		}
		if p.count("attach") != 10 || time.Since(began) != 0 {
			t.Errorf("%d attaches in %v", p.count("attach"), time.Since(began))
		}
		close(a.hold)
		synctest.Wait()
		told := strings.Count(a.story(), ";") + 1
		if lost := l.Stats().CallbacksDropped; told+int(lost) != 40 || lost == 0 {
			t.Errorf("told %d, dropped %d of 40", told, lost)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestI18_RetriesAreNotCountedAsFurtherFailures(t *testing.T) {
	var works atomic.Bool
	p := &plant{attach: func(context.Context, int) (core.Parts, error) {
		if works.Load() {
			return nil, nil
		}
		return nil, errFlaky
	}}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10, 11)
		wait(20 * time.Second)
		s, r := l.Stats(), l.row(req)
		if s.Failed != 1 || s.Failures < 3 || r.Failures != s.Failures || r.Tries != s.Failures {
			t.Errorf("failed %d, failures %d, row %+v", s.Failed, s.Failures, r)
		}
		works.Store(true)
		l.submit(core.Intent{Op: core.IntentRetry, Unit: req})
		if r := l.wantPhase(req, core.PhaseRunning); r.Processes != 2 || l.Stats().Attached != 1 || l.Stats().Failed != 1 {
			t.Errorf("row %+v, stats %+v", r, l.Stats())
		}
	})
}
