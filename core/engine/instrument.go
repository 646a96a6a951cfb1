package engine

import "vitals/core"

// instrSummary says in short how a process is instrumented.
type instrSummary struct{ on, attaching, failed bool }

// instrument works out the state of every kind at p: what the toggles want and
// how the kind's unit is. It reports whether anything changed.
func (s *state) instrument(p *process) bool {
	p.instrVersion = s.instrVersion
	old := p.instr
	next := make([]core.InstrState, len(s.cfg.Kinds))
	summary := instrSummary{}
	same := len(old) == len(next)
	for i, k := range s.cfg.Kinds {
		st := s.instrState(p, k)
		if i < len(old) && old[i].Kind == k.Kind && old[i].On == st.On && old[i].Phase == st.Phase {
			st.Since = old[i].Since
			same = same && old[i].Reason == st.Reason
		} else {
			same = false
		}
		next[i] = st
		if !k.PerProcess && s.selective() {
			continue
		}
		switch st.Phase {
		case core.PhaseRunning, core.PhaseTuning:
			summary.on = true
		case core.PhaseAttaching, core.PhaseStarting, core.PhaseNew:
			summary.attaching = true
		case core.PhaseFailed, core.PhaseBackoff, core.PhaseStuck:
			summary.failed = true
		}
	}
	p.instrState = summary
	if same {
		return false
	}
	p.instr = next
	if p.svc != nil {
		p.svc.structural = true
	}
	return true
}

// selective reports whether any kind observes process by process: then those
// alone say whether a process is instrumented.
func (s *state) selective() bool {
	for _, k := range s.cfg.Kinds {
		if k.PerProcess {
			return true
		}
	}
	return false
}

func (s *state) instrState(p *process, k core.KindRow) core.InstrState {
	st := core.InstrState{Kind: k.Kind, Phase: core.PhaseOff, Since: s.now}
	d := s.toggles.Decide(k.Kind, p.info)
	st.On, st.Reason = d.On, d.Reason
	if !p.alive {
		st.On, st.Reason = false, "the process has ended"
	}
	if !st.On {
		return st
	}
	u := s.unitOf(k.Kind)
	if u == nil {
		st.Phase = core.PhaseNew
		return st
	}
	st.Phase = u.Phase
	if u.Message != "" && u.Phase != core.PhaseRunning {
		st.Reason = u.Message
	}
	return st
}

// unitOf finds the unit of a kind; a running one stands for its siblings.
func (s *state) unitOf(kind string) *core.UnitRow {
	var found *core.UnitRow
	for _, u := range s.units {
		if u.Class != core.ClassInstrumentation || u.Kind != kind {
			continue
		}
		if found == nil || u.Phase == core.PhaseRunning && found.Phase != core.PhaseRunning || u.Phase == found.Phase && u.ID < found.ID {
			found = u
		}
	}
	return found
}
