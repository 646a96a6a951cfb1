package supervisor

import "vitals/core"

// Settled reports whether everything that was told before the call has taken
// effect: each instrumentation that is wanted runs, or cannot; what is not
// wanted is out; and every unit knows its selection. It waits for the loop, so
// it must not be called from it, and is true once the supervisor has ended.
func (s *Supervisor) Settled() bool {
	settled := true
	s.inLoop(func() {
		s.lookAtProcesses()
		for len(s.intents) > 0 { // nobody else takes them
			s.carryOut(<-s.intents)
		}
		s.configure()
		for _, a := range s.actors {
			settled = settled && a.settled()
		}
		settled = settled && s.out.empty()
	})
	return settled
}

func (a *actor) settled() bool {
	o := a.ordered()
	if o.spec.Class != core.ClassInstrumentation {
		return true
	}
	if !o.given || a.sel != nil && !a.sel.known() || !a.tune.known() {
		return false
	}
	if a.sup.cfg.DryRun {
		return a.phase() != core.PhaseNew
	}
	phase := a.phase()
	if o.on && phase != core.PhaseStuck && a.outdated(o) {
		return false
	}
	switch phase {
	case core.PhaseRunning:
		return o.on
	case core.PhaseNew, core.PhaseOff, core.PhaseGone:
		return !o.on
	case core.PhaseBackoff, core.PhaseFailed, core.PhaseUnsupp, core.PhaseStuck:
		return true
	}
	return false
}

// outdated reports whether the newest attempt was made from an earlier recipe.
func (a *actor) outdated(o order) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made != o.remade
}
