package supervisor

import (
	"strings"
	"testing"
	"testing/synctest"

	"vitals/core"
)

// What is shed is off at its service alone, is told once, and comes back.
func TestShedLeavesOutAService(t *testing.T) {
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, Toggles: &core.Toggles{Defaults: map[string]bool{"requests": true}}}, func(l *lab) {
		l.ProcessUp(proc(10, "web"))
		l.ProcessUp(proc(11, "shop"))
		synctest.Wait()
		l.wantPhase(req, core.PhaseRunning)
		users := func(want int) {
			t.Helper()
			wait(recountEvery)
			if got := l.witness.row(req).Processes; got != want {
				t.Errorf("%d processes are observed, want %d", got, want)
			}
		}
		users(2)
		for range 2 { // saying it again changes nothing
			if err := l.Shed(map[core.Shed]string{{Kind: "requests", Service: "web"}: "off to keep the budget: dear"}); err != nil {
				t.Fatal(err)
			}
		}
		users(1)
		told := func(to string) (n int) {
			l.witness.last(func(e core.Event) bool {
				if e.Kind == core.EventToggle && e.Service == "web" && e.To == to && strings.HasPrefix(e.Reason, "requests "+to+" for service web: ") {
					n++
				}
				return false
			})
			return n
		}
		if told("off") != 1 || told("on") != 0 {
			t.Errorf("events %+v", l.witness.events)
		}
		l.toggle("requests", core.ScopeService, "web", 0, core.On) // the user's word is stronger
		users(2)
		l.toggle("requests", core.ScopeService, "web", 0, core.Auto)
		l.ProcessUp(proc(12, "web")) // and it holds for who comes later
		users(1)
		if err := l.Shed(nil); err != nil {
			t.Fatal(err)
		}
		users(3)
		if told("on") != 1 {
			t.Errorf("events %+v", l.witness.events)
		}
	})
}
