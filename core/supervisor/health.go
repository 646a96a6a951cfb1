package supervisor

import (
	"slices"
	"strings"

	"vitals/core"
)

// health follows from the phase and from what failed, never from an assertion.
func health(r *core.UnitRow) core.Health {
	switch r.Phase {
	case core.PhaseRunning, core.PhaseTuning:
		switch {
		case len(r.Parts) > 0 || r.Message != "":
			return core.HealthDegraded
		case r.Attempts > 0:
			return core.HealthRecovering
		}
		return core.HealthOK
	case core.PhaseNew, core.PhaseAttaching, core.PhaseStarting:
		if r.Attempts > 0 {
			return core.HealthRecovering
		}
		return core.HealthStarting
	case core.PhaseBackoff:
		return core.HealthRecovering
	case core.PhaseFailed:
		return core.HealthPermanent
	case core.PhaseStuck:
		return core.HealthFatal
	case core.PhaseUnsupp:
		return core.HealthUnknown
	}
	return core.HealthStopped
}

// broken keeps the components that do not work, as text.
func broken(parts core.Parts) map[string]string {
	var texts map[string]string
	for name, err := range parts {
		if err == nil {
			continue
		}
		if texts == nil {
			texts = make(map[string]string)
		}
		texts[core.Clean(name, core.MaxName)] = errorText(err)
	}
	return texts
}

// inWords joins what the components of a unit complain of.
func inWords(parts map[string]string) string {
	var texts []string
	for name, text := range parts {
		texts = append(texts, name+": "+text)
	}
	slices.Sort(texts)
	return core.Clean(strings.Join(texts, "; "), core.MaxCmdline)
}
