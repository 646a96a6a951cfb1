package expose

import (
	"slices"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// outcomes in the order of the exposition.
var outcomes = [...]core.Outcome{core.OutcomeOK, core.OutcomeError, core.OutcomeTimeout, core.OutcomeCancelled, core.OutcomePanic}

// calls renders the calls that vitals itself makes.
func (f *families) calls(s *core.Snapshot) {
	h := newHistograms(len(s.Calls))
	for i := range s.Calls {
		c := &s.Calls[i]
		for _, o := range outcomes {
			if n := c.Ended[o]; n > 0 {
				f.add(&callsEnded.Desc, float64(n), "op", c.Op, "outcome", string(o))
			}
		}
		f.add(&callsInFlight.Desc, float64(c.InFlight), "op", c.Op)
		if c.InFlight > 0 {
			f.add(&callOldest.Desc, c.Oldest.Seconds(), "op", c.Op)
		}
		if c.Duration == nil {
			continue
		}
		fam := f.family(&callDuration.Desc)
		fam.Metric = append(fam.Metric, &dto.Metric{Label: pairs([]string{"op", c.Op}), Histogram: h.next(c.Duration)})
	}
}

// units renders the life of units and of what they observe.
func (f *families) units(s *core.Snapshot) {
	type state struct {
		class core.Class
		phase core.Phase
	}
	phases := map[state]int{}
	for _, u := range s.Units {
		phases[state{u.Class, u.Phase}]++
		f.add(&unitTries.Desc, float64(u.Tries), "unit", u.ID, "kind", u.Kind)
		f.add(&unitFailures.Desc, float64(u.Failures), "unit", u.ID, "kind", u.Kind)
	}
	for k, n := range phases {
		f.add(&units.Desc, float64(n), "class", string(k.class), "phase", string(k.phase))
	}
	skips, languages := map[string]int{}, map[string]int{}
	for _, p := range s.Processes {
		switch {
		case !p.Alive:
		case p.Skip != "":
			skips[p.Skip]++
		case instrumentedByItself(s, p):
			languages[p.Runtime.Language]++
		}
	}
	for why, n := range skips {
		f.add(&skipped.Desc, float64(n), "reason", why)
	}
	for language, n := range languages {
		if language == "" {
			language = "unknown"
		}
		f.add(&profiled.Desc, float64(n), "language", language)
	}
	f.add(&queueLength.Desc, float64(s.Self.Queue))
}

// instrumentedByItself reports whether a kind that observes process by process
// is at work at p.
func instrumentedByItself(s *core.Snapshot, p *core.ProcessRow) bool {
	return slices.ContainsFunc(p.Instr, func(in core.InstrState) bool {
		return in.Phase == core.PhaseRunning && slices.ContainsFunc(s.Kinds, func(k core.KindRow) bool {
			return k.Kind == in.Kind && k.PerProcess
		})
	})
}
