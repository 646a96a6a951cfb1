package expose

import (
	"math"
	"slices"
	"strings"
	"time"

	"vitals/core"
)

// OfKind reports whether a kind of instrumentation is what a family is measured
// by. Families of probes' own descriptions are not known here.
func OfKind(kind, family string) bool {
	var prefixes []string
	switch kind {
	case "requests":
		prefixes = []string{"http_", "rpc_", "db_", "messaging_", "dns_", "vitals_exchange", "vitals_requests", "vitals_capture_", "vitals_edge"}
	case "usage":
		prefixes = []string{"process_"}
	case "lifecycle":
		prefixes = []string{"target_info", "vitals_service_processes"}
	}
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(family, p) })
}

// failingFor is for how long a destination may fail before it counts as not well.
const failingFor = time.Minute

// healthOf is a unit's health by its life and its last operations, and that on
// the wire: 1 well, 0 not, NaN while nobody wants it or its state is not known.
// Degraded units still work, and so do recovering ones for a while.
func healthOf(s *core.Snapshot, u *core.UnitRow) (state core.Health, value float64) {
	state = u.Health
	failing := false
	if u.Phase == core.PhaseRunning || u.Phase == core.PhaseTuning {
		state, failing = worked(s, u)
	}
	switch {
	case failing || state == core.HealthPermanent || state == core.HealthFatal:
		return state, 0
	case state == core.HealthOK || state == core.HealthDegraded || state == core.HealthRecovering:
		return state, 1
	}
	return state, math.NaN()
}

// worked judges what runs by what it did; failing is more than a moment's fault.
func worked(s *core.Snapshot, u *core.UnitRow) (state core.Health, failing bool) {
	for _, i := range s.Integrations {
		if i.ID == u.ID && i.Health != "" {
			return i.Health, i.State == core.IntegrationFailed
		}
	}
	for _, p := range s.Push {
		switch {
		case p.Unit != u.ID:
		case p.State == "failed":
			return core.HealthPermanent, true
		case p.Consecutive > 0:
			return core.HealthRecovering, s.At.Sub(p.LastSuccess) > failingFor
		case p.LastSuccess.IsZero():
			return core.HealthStarting, false
		}
	}
	return u.Health, false
}
