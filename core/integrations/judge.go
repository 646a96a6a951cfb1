package integrations

import (
	"errors"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// verdict is what becomes of a server that was found.
type verdict struct {
	state   core.IntegrationState
	needs   string
	message string // what was decided, in words
	run     bool   // a unit shall ask it
	probe   bool   // it may be probed
	covered bool   // it is the server of a configured integration
}

// judge decides. Two kinds of evidence switch a server on, of which its answer to
// the probe may be one; with one it is suggested; a port alone never comes here.
// What the user or the configuration says beats all evidence.
func (m *Manager) judge(s *server) verdict {
	id, kind, name := s.id(), s.kind.Name, s.name()
	is := m.choices.of(id)
	wanted := is.Enabled || is.Pinned || is.login != nil || is.Consented ||
		matches(m.settings.Enable, kind, name) || matches(m.settings.Pin, kind, name)
	switch {
	case m.configuredHere(s):
		return verdict{covered: true, run: true}
	case is.Denied:
		return verdict{state: core.IntegrationDenied, message: "denied by the user"}
	case is.Disabled:
		return verdict{state: core.IntegrationDenied, message: "switched off by the user until vitals ends"}
	case m.choices.off[id]:
		return verdict{state: core.IntegrationDenied, message: "switched off in the configuration (enabled: false)"}
	case matches(m.settings.Deny, kind, name):
		return verdict{state: core.IntegrationDenied, message: "denied in the configuration"}
	case len(s.candidates) == 0:
		return verdict{state: core.IntegrationFound, needs: core.NeedsServer, message: "it listens nowhere that can be reached"}
	case wanted:
		return verdict{state: core.IntegrationRunning, run: true}
	case m.settings.Discovery == DiscoverSuggest:
		return verdict{state: core.IntegrationSuggested, needs: core.NeedsEnable, message: "found servers are not asked before they are enabled (discovery: suggest)"}
	case !s.probed:
		return verdict{state: core.IntegrationFound, message: "it is about to be probed", probe: true}
	case s.err == nil && s.kinds() >= 2:
		return verdict{state: core.IntegrationRunning, run: true}
	case s.err == nil:
		return verdict{state: core.IntegrationSuggested, needs: core.NeedsEnable, message: "there is one kind of evidence only"}
	}
	v := verdict{state: core.IntegrationSuggested, needs: needs(s.err), probe: true}
	v.message = redact(s.err.Error(), s.candidates[s.chosen].settings)
	if v.needs == core.NeedsTime {
		v.state = core.IntegrationFound
		v.message = "it does not answer the probe: " + v.message
		if s.allOther() {
			v.probe, v.message = false, "something else answers where it listens"
		}
	}
	if s.kind.Grants != "" && (v.needs == core.NeedsLogin || v.needs == core.NeedsRights) && !strings.Contains(v.message, "grants") {
		v.message += " (see its grants)"
	}
	return v
}

// kinds counts the evidence: the signs, and the answer of the server.
func (s *server) kinds() int {
	n := len(s.signs)
	if s.probed && (s.err == nil || errors.Is(s.err, kit.ErrCredentials) || errors.Is(s.err, kit.ErrConsent)) {
		n++
	}
	return n
}

func (s *server) allOther() bool {
	return !slices.ContainsFunc(s.candidates, func(c candidate) bool { return !c.other })
}

// configuredHere reports whether a configured integration asks this server.
func (m *Manager) configuredHere(s *server) bool {
	for _, c := range s.candidates {
		if j := m.jobs[unitID(s.kind.Name, c.name)]; j != nil && j.row.Origin == "configured" {
			return true
		}
	}
	return false
}

// tellFound reports the rows of servers without a job, and those that are gone.
func (m *Manager) tellFound() {
	m.telling.Lock()
	defer m.telling.Unlock()
	var rows []core.IntegrationRow
	var gone []string
	m.mu.Lock()
	listed := map[string]bool{}
	for id := range m.jobs {
		listed[id] = true
	}
	for _, s := range m.finder.servers {
		id := s.id()
		if listed[id] {
			continue
		}
		v := m.judge(s)
		if v.covered {
			continue
		}
		if s.lost {
			v = verdict{state: core.IntegrationFound, needs: core.NeedsTime, message: "it is asked again when it is back"}
		}
		listed[id] = true
		row := m.foundRow(s, v)
		if shown := id + string(row.State) + row.Needs + row.Message + row.Why + row.Service; shown != s.shown || !m.told[id] {
			s.shown = shown
			rows = append(rows, row)
		}
		m.told[id] = true
	}
	for _, o := range m.offers {
		id, v := o.id(), m.judgeOffer(o)
		if listed[id] || v.covered || v.run {
			continue
		}
		listed[id] = true
		if !m.told[id] || m.shown[id] != string(v.state) {
			rows = append(rows, m.offerRow(o, v))
		}
		m.told[id], m.shown[id] = true, string(v.state)
	}
	for id, row := range m.wrong {
		if !listed[id] {
			listed[id] = true
			m.told[id] = true
			rows = append(rows, row)
		}
	}
	for id := range m.told {
		if !listed[id] {
			delete(m.told, id)
			delete(m.shown, id)
			gone = append(gone, id)
		}
	}
	m.mu.Unlock()
	for _, row := range rows {
		m.cfg.Report(row)
	}
	for _, id := range gone {
		m.cfg.Gone(id)
	}
}

// foundRow is the row of a server that is not asked.
func (m *Manager) foundRow(s *server, v verdict) core.IntegrationRow {
	row := m.blank(s.kind, s.name())
	row.Origin, row.State, row.Health = "found", v.state, core.HealthUnknown
	row.Needs, row.Message = v.needs, v.message
	row.Pinned = m.choices.of(row.ID).Pinned
	row.NextRun = s.due
	s.describe(&row)
	return row
}
