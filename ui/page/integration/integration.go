// Package integration is the page of one server: what it says of itself, beside
// what is seen of it from outside.
package integration

import (
	"fmt"
	"math"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page shows one integration.
type Page struct {
	id     string
	row    *core.IntegrationRow // the newest known
	gone   bool
	all    bool // every series instead of the key figures
	table  widget.Table
	series []string
}

// New makes the page of an integration.
func New(id string) *Page { return &Page{id: id} }

// Title is the server's name.
func (p *Page) Title() string {
	if p.row == nil {
		return strings.TrimPrefix(p.id, "integration/")
	}
	return p.row.Title + " " + p.row.Instance
}

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Integrations }

// Update finds the integration.
func (p *Page) Update(c *page.Context) {
	p.gone = true
	for _, r := range c.Snap.Integrations {
		if r.ID == p.id {
			p.row, p.gone = r, false
		}
	}
	p.series = p.series[:0]
	if p.row == nil || !p.all {
		return
	}
	for i := range p.row.Families {
		f := &p.row.Families[i]
		for k := range f.Series {
			p.series = append(p.series, seriesText(f, &f.Series[k]))
		}
	}
	p.table.N = len(p.series)
}

func seriesText(f *core.Family, s *core.Series) string {
	var b strings.Builder
	b.WriteString(f.Name)
	for i, l := range s.Labels {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(&b, "%s=%q", l.Name, l.Value)
	}
	if len(s.Labels) > 0 {
		b.WriteByte('}')
	}
	switch {
	case s.Buckets != nil:
		fmt.Fprintf(&b, "  count %g, sum %g", s.Buckets.Count, s.Buckets.Sum)
	case s.Ranks != nil:
		fmt.Fprintf(&b, "  count %g, sum %g", s.Ranks.Count, s.Ranks.Sum)
	default:
		fmt.Fprintf(&b, "  %g", s.V)
	}
	return b.String()
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	switch {
	case p.row == nil:
		return false
	case page.Integrate(c, p.row, a):
	case a == keys.NextPane, a == keys.PrevPane, a == keys.NextTab, a == keys.PrevTab:
		p.all = !p.all
		p.Update(c)
	case a == keys.Open:
		if p.row.Service == "" || page.Service(c.Snap, p.row.Service) == nil {
			c.Toast(page.Note, "its process is not one that is seen here")
			return true
		}
		c.Open(page.Subject{Service: p.row.Service})
	case a == keys.Copy:
		c.Copy("what it says", page.IntegrationText(p.row))
	default:
		return page.Scroll(&p.table, a)
	}
	return true
}

// Draw shows why and what, the key figures, and the requests that it answers.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	if p.row == nil {
		a.Fit(2, 1, a.W-4, "this one is gone; nothing is known of it any more. esc goes back", canvas.Fg(canvas.Muted))
		return
	}
	p.drawState(c, &a)
	if p.all {
		p.drawSeries(c, a)
		return
	}
	if svc := page.Service(c.Snap, p.row.Service); svc != nil && svc.Server.Count > 0 {
		var top canvas.Area
		top, a = a.Top(3)
		drawOutside(c, top, svc)
	}
	p.drawFigures(c, a)
}

func (p *Page) drawState(c *page.Context, a *canvas.Area) {
	lines := page.IntegrationLines(c, p.row, a.W-4)
	var top canvas.Area
	top, *a = a.Top(min(len(lines)+2, a.H/2))
	sign, _ := page.IntegrationSign(p.row)
	state := string(sign) + " " + string(p.row.State)
	if p.gone {
		state = "gone"
	}
	in := widget.Panel(top, c.Boxed(), p.Title(), state, false)
	page.DrawLines(in, lines)
}

// drawOutside is what the requests probe sees of the same server.
func drawOutside(c *page.Context, a canvas.Area, svc *core.ServiceRow) {
	in := widget.Panel(a, c.Boxed(), "Seen from outside, as "+svc.Name, "⏎ open", false)
	r := &svc.Server
	in.Fit(1, 0, in.W-2, fmt.Sprintf("%s requests/s   %s errors   p50 %s   p99 %s   %d open", format.Of(format.Count, r.Rate), page.Percent(r.ErrRatio),
		format.Of(format.Seconds, r.P50), format.Of(format.Seconds, r.P99), r.InFlight), canvas.Fg(canvas.FG))
}

func (p *Page) drawSeries(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Everything that it tells", "tab figures", true)
	if len(p.series) == 0 {
		in.Fit(2, 1, in.W-4, "nothing was collected, or too long ago", canvas.Fg(canvas.Muted))
		return
	}
	p.table.Lines(in, func(row int, line canvas.Area) { line.Fit(1, 0, line.W-2, p.series[row], canvas.Fg(canvas.FG)) })
	widget.Remark(a, p.table.Span())
	c.At(p.table.CursorAt())
}

// drawFigures shows key figures as tiles, with a chart where there is room.
func (p *Page) drawFigures(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "What it says of itself", "tab everything", true)
	figures := p.row.Figures
	if len(figures) == 0 {
		in.Fit(2, 1, in.W-4, "no figures yet", canvas.Fg(canvas.Muted))
		return
	}
	columns := max(min(in.W/28, 4), 1)
	w := in.W / columns
	rows := (len(figures) + columns - 1) / columns
	h := min(max(in.H/max(rows, 1), 2), 6)
	for i := range figures {
		tile := in.Sub(i%columns*w, i/columns*h, w-1, h)
		if i/columns*h+2 > in.H {
			break
		}
		drawFigure(tile, &figures[i])
	}
}

func drawFigure(a canvas.Area, f *core.IntegrationFigure) {
	value, tok := page.Figure(f), canvas.FG
	if math.IsNaN(f.V) {
		tok = canvas.Faint
	}
	w := canvas.Width(value)
	a.Fit(1, 0, a.W-w-3, f.Title, canvas.Fg(canvas.Muted))
	a.Text(a.W-w-1, 0, value, canvas.Strong(tok))
	if f.Chart && f.Trend != nil && a.H > 2 {
		widget.Dots(a.Sub(1, 1, a.W-3, a.H-2), f.Trend.Points, widget.Top(f.Trend.Points, 1e-9), canvas.Fg(canvas.Graph1))
	}
}

// Click does nothing here.
func (p *Page) Click(*page.Context, int, int, bool) {}

// Wheel moves through the series.
func (p *Page) Wheel(_ *page.Context, n int) { p.table.Move(n) }
