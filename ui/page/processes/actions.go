package processes

import (
	"vitals/core"
	"vitals/ui/keys"
	"vitals/ui/page"
)

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if p.view == byService && page.Scroll(&p.services.Table, a) {
		return true
	}
	if page.Scroll(&p.table, a) {
		p.follow = p.follow && a != keys.First
		p.hold()
		return true
	}
	if page.SortKeys(c, p.active(), a, func() { p.Update(c) }) {
		return true
	}
	switch a {
	case keys.Open:
		p.open(c)
	case keys.Toggle:
		p.toggle(c)
	case keys.Kinds:
		p.chooseKinds(c)
	case keys.View, keys.NextPane:
		p.setView(c, (p.view+1)%numViews)
	case keys.PrevPane:
		p.setView(c, (p.view+numViews-1)%numViews)
	case keys.Tree:
		if p.view == asTree {
			p.setView(c, byProcess)
		} else {
			p.setView(c, asTree)
		}
	case keys.Problems:
		p.problems = !p.problems
		p.release()
		p.Update(c)
	case keys.Follow:
		p.follow = !p.follow
		p.hold()
		if r := p.current(); r != nil && p.follow {
			c.Toast(page.Note, "the cursor stays on "+page.Name(r.Process))
		}
	case keys.Range:
		p.rangeKey()
	case keys.AllShown:
		for i := range p.rows {
			p.selected[p.rows[i].ProcKey] = struct{}{}
		}
	case keys.Esc:
		return p.escape(c)
	case keys.Copy:
		p.copy(c)
	default:
		return false
	}
	return true
}

// escape drops the selection, then the narrowed list; what is left to the
// application is the filter.
func (p *Page) escape(c *page.Context) bool {
	switch {
	case len(p.selected) > 0 || p.anchor != (core.ProcKey{}):
		clear(p.selected)
		p.anchor = core.ProcKey{}
	case p.line == "" && p.problems:
		p.problems = false
		p.Update(c)
	default:
		return false
	}
	return true
}

func (p *Page) rangeKey() {
	r := p.current()
	switch {
	case r == nil:
	case p.anchor == (core.ProcKey{}):
		p.anchor = r.ProcKey
	default:
		p.endRange()
	}
}

func (p *Page) open(c *page.Context) {
	if p.view == byService {
		if s := p.services.Selected(); s != nil {
			c.Open(page.Subject{Service: s.Name})
		}
		return
	}
	if r := p.current(); r != nil {
		c.Open(page.Subject{Proc: r.ProcKey})
	}
}

func (p *Page) toggle(c *page.Context) {
	if p.view == byService {
		if s := p.services.Selected(); s != nil {
			page.ToggleService(c, s)
		}
		return
	}
	page.ToggleProcesses(c, p.targets(c))
}

func (p *Page) setView(c *page.Context, v view) {
	p.view = v
	p.Update(c)
}

// chooseKinds lets the user say which kinds space switches.
func (p *Page) chooseKinds(c *page.Context) {
	kinds := page.PerProcess(c.Snap)
	if len(kinds) == 0 {
		c.Toast(page.Note, "no kind of instrumentation is known yet")
		return
	}
	m := page.Menu{Title: "Space switches (space changes, ⏎ done)", Keep: true}
	for _, k := range kinds {
		m.Items = append(m.Items, page.Item{Label: k.Title, Help: k.Help, Checked: c.Kinds == nil || c.Kinds[k.Kind]})
	}
	chosen := map[string]bool{}
	for i, k := range kinds {
		chosen[k.Kind] = m.Items[i].Checked
	}
	m.Chosen = func(i int) { chosen[kinds[i].Kind] = !chosen[kinds[i].Kind] }
	m.Closed = func(ok bool) {
		if ok {
			c.Kinds = chosen
		}
	}
	c.Menu(m)
}

func (p *Page) copy(c *page.Context) {
	switch r := p.current(); {
	case r != nil:
		c.Copy("the command line", r.Cmdline)
	case p.view == byService:
		if s := p.services.Selected(); s != nil {
			c.Copy("the name", s.Name)
		}
	}
}

// Click moves the cursor, sorts by a column's title, or opens with two clicks.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	t := p.active()
	if row := t.RowAt(x, y); row >= 0 {
		t.Cursor = row
		p.hold()
		if double {
			p.open(c)
		}
		return
	}
	page.SortClick(t, x, y, func() { p.Update(c) })
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	p.active().Move(n)
	p.hold()
}
