// Package requests is the page of all requests of the machine: what is asked of
// whom how often and how slowly, and single requests that were slow or failed.
package requests

import (
	"cmp"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page lists routes, and below or instead of them single requests.
type Page struct {
	routes *page.Routes
	single *page.Singles
	shown  bool // the cursor is in the single requests
	failed bool // only what fails
}

// New makes the page.
func New() *Page {
	return &Page{routes: page.NewRoutes(true), single: page.NewSingles(true)}
}

// Title is the page's name.
func (p *Page) Title() string { return "Requests" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Requests }

// Filter is the filter as it was typed.
func (p *Page) Filter() string { return p.routes.Filter() }

// FilterHelp names the keys of the filter.
func (p *Page) FilterHelp() string { return p.routes.FilterHelp() }

// SetFilter shows what matches, in both lists.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.routes.SetFilter(line)
	p.single.SetFilter(line)
}

// Update adds up the routes and lists single requests.
func (p *Page) Update(c *page.Context) {
	var keep func(*core.RequestRow) bool
	if p.failed {
		keep = func(q *core.RequestRow) bool { return q.Failed }
	}
	p.routes.Update(c.Snap.Requests, keep)
	p.single.Update(c.Snap.Exemplars, func(x *core.Exemplar) bool { return x.Failed || !p.failed })
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if !p.shown && page.SortKeys(c, &p.routes.Table, a, func() { p.Update(c) }) {
		return true
	}
	switch a {
	case keys.View, keys.NextPane, keys.PrevPane:
		p.shown = !p.shown
	case keys.Problems:
		p.failed = !p.failed
		p.Update(c)
	case keys.Open:
		p.open(c)
	case keys.Copy:
		p.copy(c)
	case keys.Esc:
		if p.Filter() != "" || !p.failed {
			return false
		}
		p.failed = false
		p.Update(c)
	default:
		return page.Scroll(p.active(), a)
	}
	return true
}

func (p *Page) active() *widget.Table {
	if p.shown {
		return &p.single.Table
	}
	return &p.routes.Table
}

// open goes to the process of a single request, or to the page of a route.
func (p *Page) open(c *page.Context) {
	if p.shown {
		if x := p.single.Selected(); x != nil {
			page.OpenExemplar(c, x)
		}
		return
	}
	if r := p.routes.Selected(); r != nil {
		key := r.RouteKey
		c.Open(page.Subject{Route: &key})
	}
}

func (p *Page) copy(c *page.Context) {
	if p.shown {
		if x := p.single.Selected(); x != nil {
			c.Copy("the request", page.ExemplarText(x))
		}
		return
	}
	if r := p.routes.Selected(); r != nil {
		c.Copy("the query", r.PromQL())
	}
}

// Draw shows both lists where there is room, else the one with the cursor.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	p.routes.Quiet, p.single.Quiet = p.shown, !p.shown
	if c.Size != page.Wide {
		if p.shown {
			p.drawSingle(c, a)
		} else {
			p.drawRoutes(c, a)
		}
		return
	}
	h := a.H * 3 / 5
	if p.shown {
		h = a.H * 2 / 5 // room for all that there is to say about one
	}
	top, bottom := a.Top(h)
	p.drawRoutes(c, top)
	p.drawSingle(c, bottom)
}

func (p *Page) drawRoutes(c *page.Context, a canvas.Area) {
	title := "All routes, statements and commands"
	if p.failed {
		title = "What fails"
	}
	in := widget.Panel(a, c.Boxed(), title, "", !p.shown)
	if len(p.routes.Rows) == 0 {
		in.Fit(2, 1, in.W-4, p.nothing(c), canvas.Fg(canvas.Muted))
		return
	}
	p.routes.Draw(in)
	widget.Remark(a, cmp.Or(p.routes.Span(), "counts since vitals began to look"))
	c.At(p.routes.CursorAt())
}

func (p *Page) nothing(c *page.Context) string {
	switch {
	case p.Filter() != "":
		return "nothing matches; esc shows all"
	case p.failed:
		return "nothing fails; e shows all"
	case !c.Snap.Self.Privileged:
		return "requests are seen as root only: sudo vitals"
	}
	return "no request was seen yet"
}

func (p *Page) drawSingle(c *page.Context, a canvas.Area) {
	title := "Slow and failed, one by one"
	if p.failed {
		title = "Failed, one by one"
	}
	in := widget.Panel(a, c.Boxed(), title, "", p.shown)
	if len(p.single.Rows) == 0 {
		in.Fit(2, 1, in.W-4, "none so far: what takes much longer than usual, or fails, is kept here", canvas.Fg(canvas.Muted))
		return
	}
	if x := p.single.Selected(); p.shown && x != nil && in.H > 9 {
		lines := page.WrapLines(page.ExemplarLines(c, x), in.W)
		var detail canvas.Area
		detail, in = in.Bottom(min(len(lines), in.H-4))
		page.DrawLines(detail, lines)
	}
	p.single.Draw(c, in)
	widget.Remark(a, cmp.Or(p.single.Span(), format.Plural(len(p.single.Rows), "request", "requests")))
	c.At(p.single.CursorAt())
}

// Click moves the cursor or sorts; two clicks open.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	if row := p.routes.RowAt(x, y); row >= 0 {
		p.shown, p.routes.Cursor = false, row
	} else if row := p.single.RowAt(x, y); row >= 0 {
		p.shown, p.single.Cursor = true, row
	} else {
		page.SortClick(&p.routes.Table, x, y, func() { p.Update(c) })
		return
	}
	if double {
		p.open(c)
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) { p.active().Move(n) }
