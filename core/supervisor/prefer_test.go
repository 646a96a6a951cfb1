package supervisor

import (
	"testing"
	"testing/synctest"

	"vitals/core"
)

// New choices of the configuration hold at once, below those of the user.
func TestPreferLiesBelowTheUser(t *testing.T) {
	p := &plant{}
	requestsOff := map[core.ToggleKey]core.Choice{{Kind: "requests", Scope: core.ScopeGlobal}: core.Off}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}}, func(l *lab) {
		l.up(10)
		l.wantPhase(req, core.PhaseRunning)
		changed, err := l.Prefer(requestsOff)
		if synctest.Wait(); !changed || err != nil {
			t.Errorf("changed %v, error %v", changed, err)
		}
		l.wantPhase(req, core.PhaseOff)
		if changed, _ := l.Prefer(requestsOff); changed {
			t.Error("the same again is a change")
		}
		l.toggle("requests", core.ScopeGlobal, "", 0, core.On)
		l.wantPhase(req, core.PhaseRunning)
		l.Prefer(requestsOff)
		synctest.Wait()
		l.wantPhase(req, core.PhaseRunning)
		l.toggle("requests", core.ScopeGlobal, "", 0, core.Auto)
		l.wantPhase(req, core.PhaseOff)
		l.Prefer(nil)
		synctest.Wait()
		l.wantPhase(req, core.PhaseRunning)
	})
}
