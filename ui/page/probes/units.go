package probes

import (
	"cmp"
	"slices"

	"vitals/core"
	"vitals/ui/page"
)

// sort lists the units, what hurts first. The cursor stays on its unit.
func (p *Page) sort(c *page.Context) {
	p.rows = append(p.rows[:0], c.Snap.Units...)
	slices.SortStableFunc(p.rows, func(a, b *core.UnitRow) int {
		return cmp.Or(cmp.Compare(pain(a), pain(b)), cmp.Compare(a.Class, b.Class), cmp.Compare(a.ID, b.ID))
	})
	if i := slices.IndexFunc(p.rows, func(u *core.UnitRow) bool { return u.ID == p.at }); i >= 0 && p.units.Cursor > 0 {
		p.units.Cursor = i
	}
	p.hold()
}

func (p *Page) hold() {
	p.at = ""
	if u := p.current(); u != nil {
		p.at = u.ID
	}
}

// pain orders units by how much they need a look.
func pain(u *core.UnitRow) int {
	switch u.Phase {
	case core.PhaseFailed, core.PhaseStuck:
		return 0
	case core.PhaseBackoff:
		return 1
	case core.PhaseUnsupp:
		return 3
	case core.PhaseRunning:
		if u.Health == core.HealthOK || u.Health == core.HealthStarting {
			return 5
		}
		return 2
	case core.PhaseOff, core.PhaseGone, core.PhaseNew:
		return 6
	}
	return 4 // on its way
}

// title names a unit; of several of a kind it says which one.
func title(c *page.Context, u *core.UnitRow) string {
	name := cmp.Or(u.Title, u.ID)
	switch u.Class {
	case core.ClassIntegration:
		for _, r := range c.Snap.Integrations {
			if r.ID == u.ID && r.Instance != "" && r.Instance != u.Title {
				return cmp.Or(r.Title, name) + " " + r.Instance
			}
		}
	case core.ClassDestination:
		for _, d := range c.Snap.Push {
			if d.Unit == u.ID && d.Destination != name {
				return name + " " + d.Destination
			}
		}
	case core.ClassGateway:
		if g := c.Snap.Gateway; g != nil && g.Unit == u.ID {
			return name + " " + g.Address
		}
	}
	return name
}

// elsewhere says where a unit is switched that is no probe.
func elsewhere(u *core.UnitRow) string {
	switch u.Class {
	case core.ClassIntegration:
		return "page Integrations does"
	case core.ClassDestination:
		return "page Metrics pauses it"
	}
	return "it comes from the configuration"
}
