package process

import (
	"cmp"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/page"
	"vitals/ui/widget"
)

func (p *Page) updateRoutes(c *page.Context) { p.routes.Update(c.Snap.Requests, p.mine) }

func (p *Page) mine(q *core.RequestRow) bool {
	if p.about.Service != "" {
		return q.Service == p.about.Service
	}
	return q.Proc == p.about.Proc
}

func (p *Page) drawRoutes(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Routes", "", true)
	if len(p.routes.Rows) == 0 {
		in.Fit(2, 1, in.W-4, p.noRoutes(c), canvas.Fg(canvas.Muted))
		return
	}
	p.routes.Draw(in)
	widget.Remark(a, cmp.Or(p.routes.Span(), "counts since vitals began to look"))
	c.At(p.routes.CursorAt())
}

func (p *Page) noRoutes(c *page.Context) string {
	switch {
	case p.routes.Filter() != "":
		return "no route matches; esc shows all"
	case p.row != nil && !page.Watched(p.row):
		_, reason := page.StateOf(c, p.row)
		return "requests are not watched: " + reason
	}
	return "no request was seen yet"
}
