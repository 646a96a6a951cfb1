package integrations

import (
	"vitals/core"
	"vitals/core/integrations/kit"
)

// offer is a kind that asks no server, and so is never found: the host. It is
// suggested until somebody says yes or no.
type offer struct {
	kind     kit.Kind
	name     string
	settings any
}

// offers are those of the kinds. What cannot be named with empty settings is none.
func offers(kinds []kit.Kind, shared kit.Shared) (out []offer) {
	for _, k := range kinds {
		if !k.Singleton || k.Finds || k.Default {
			continue
		}
		if settings, name, err := k.Prepare(zeroOf(k), shared); err == nil {
			out = append(out, offer{k, name, settings})
		}
	}
	return out
}

func (o offer) id() string { return unitID(o.kind.Name, o.name) }

// judgeOffer decides like judge, without evidence.
func (m *Manager) judgeOffer(o offer) verdict {
	is := m.choices.of(o.id())
	j := m.jobs[o.id()]
	switch {
	case j != nil && j.row.Origin == "configured" || m.settings.Discovery == DiscoverOff:
		return verdict{covered: true}
	case is.Denied || is.Disabled || m.choices.off[o.id()] || matches(m.settings.Deny, o.kind.Name, o.name):
		return verdict{state: core.IntegrationDenied, message: "switched off by the user or in the configuration"}
	case is.Enabled || is.Pinned || matches(m.settings.Enable, o.kind.Name, o.name) || matches(m.settings.Pin, o.kind.Name, o.name):
		return verdict{state: core.IntegrationRunning, run: true}
	}
	return verdict{state: core.IntegrationSuggested, needs: core.NeedsEnable, message: "it asks no server and runs when it is enabled"}
}

// consider makes jobs of the offers that somebody took. It needs m.mu.
func (m *Manager) consider() {
	for _, o := range m.offers {
		v := m.judgeOffer(o)
		j := m.jobs[o.id()]
		switch {
		case v.run && j == nil:
			j = m.put(o.kind, o.name, "found", recipe{settings: o.settings, where: here(), options: m.settings.options(o.kind, Common{})})
			j.row.Why = "enabled by the user"
		case !v.run && j != nil && j.row.Origin == "found":
			m.drop(o.id())
		}
	}
}

// offered is the offer of an id, nil when there is none.
func (m *Manager) offered(id string) *offer {
	for i := range m.offers {
		if m.offers[i].id() == id {
			return &m.offers[i]
		}
	}
	return nil
}

// offerRow is the row of an offer that nobody took.
func (m *Manager) offerRow(o offer, v verdict) core.IntegrationRow {
	row := m.blank(o.kind, o.name)
	row.Origin, row.State, row.Health = "found", v.state, core.HealthUnknown
	row.Needs, row.Message, row.Why = v.needs, v.message, "this machine"
	return row
}
