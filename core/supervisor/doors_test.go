package supervisor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// A closed channel ends that door only. A loop that took it for an endless
// stream of news would turn millions of times in this test.
func TestI43_ClosedUpdatesEndOnlyThemselves(t *testing.T) {
	closedDoor(t, func(c *Config) { updates := make(chan core.Setting); close(updates); c.Updates = updates })
}

func TestI44_ClosedRequestsEndOnlyThemselves(t *testing.T) {
	closedDoor(t, func(c *Config) { requests := make(chan core.Intent); close(requests); c.Requests = requests })
}

func closedDoor(t *testing.T, shut func(*Config)) {
	t.Helper()
	p := &tunable{}
	cfg := Config{Specs: []core.Spec{p.spec("requests")}}
	shut(&cfg)
	s := New(cfg) // real time: a loop that spins would hold up a bubble for ever
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	s.ProcessUp(proc(10, "web"))
	turns := func() (n uint64) { s.inLoop(func() { n = s.turns }); return n }
	until(t, func() bool { return s.Settled() })
	before := turns()
	time.Sleep(100 * time.Millisecond)
	if n := turns() - before; n > 100 {
		t.Errorf("the loop turned %d times with nothing to do", n)
	}
	if err := s.Configure(core.Setting{Scope: core.ScopeService, Target: "web", Settings: core.Settings{Sampling: .5}}); err != nil {
		t.Error(err)
	}
	until(t, func() bool { return p.tells() == 1 })
	if !s.Submit(core.Intent{Op: core.IntentDetachAll}) {
		t.Error("the other doors are closed too")
	}
	until(t, func() bool { return p.attached() == 0 })
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s")
		}
	}
}

// What comes through the doors does what the methods do.
func TestUpdatesAndRequestsAreCarriedOut(t *testing.T) {
	p := &tunable{}
	synctest.Test(t, func(t *testing.T) {
		updates, requests := make(chan core.Setting), make(chan core.Intent)
		l := open(t, Config{Specs: []core.Spec{p.spec("requests")}, Updates: updates, Requests: requests})
		l.up(10)
		updates <- core.Setting{Scope: core.ScopeGlobal, Settings: core.Settings{Sampling: .1}}
		updates <- core.Setting{Scope: "planet"}
		synctest.Wait()
		requests <- core.Intent{Op: core.IntentDetachAll}
		synctest.Wait()
		if p.tells() == 0 || p.def.Sampling != .1 || p.attached() != 0 {
			t.Errorf("told %+v, attached %d", p.told, p.attached())
		}
		if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "planet") {
			t.Errorf("notices %q", n)
		}
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
}
