package process

import (
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// coverage is how much of what the subject said is understood.
func (p *Page) coverage() *core.Coverage {
	if p.svc != nil {
		return &p.svc.Coverage
	}
	return &p.row.Coverage
}

// updateSlow lists the slow and failed requests of the subject: those of the
// stream, and those that its service keeps for longer.
func (p *Page) updateSlow(c *page.Context) {
	name := p.about.Service
	if p.row != nil {
		name = p.row.Service
	}
	var own []*core.Exemplar
	if svc := page.Service(c.Snap, name); svc != nil && name != "" {
		own = svc.Exemplars
	}
	p.singles.Update(page.Exemplars(c.Snap.Exemplars, own), func(x *core.Exemplar) bool {
		if p.about.Service != "" {
			return x.Service == p.about.Service
		}
		return x.Proc == p.about.Proc
	})
}

func (p *Page) drawSlow(c *page.Context, a canvas.Area) {
	x := p.singles.Selected()
	if x != nil && a.H > 11 {
		lines := page.WrapLines(page.ExemplarLines(c, x), a.W-2)
		bottom, top := a.Bottom(min(len(lines)+2, a.H/2))
		remark := ""
		if x.Proc != p.about.Proc {
			remark = "⏎ open its process"
		}
		page.DrawLines(widget.Panel(bottom, c.Boxed(), "This one", remark, false), lines)
		a = top
	}
	in := widget.Panel(a, c.Boxed(), "Slow and failed, one by one", "", true)
	if len(p.singles.Rows) == 0 {
		in.Fit(2, 1, in.W-4, "none so far: what takes much longer than usual, or fails, is kept here", canvas.Fg(canvas.Muted))
		return
	}
	p.singles.Draw(c, in)
	widget.Remark(a, p.singles.Span())
	c.At(p.singles.CursorAt())
}

// drawSeen tells what of the subject is understood, and what stays unseen and why.
func (p *Page) drawSeen(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "What of it is seen", "since vitals looks", true)
	v := p.coverage()
	if v.Exchanges+v.Connections == 0 {
		in.Fit(2, 1, in.W-4, p.unseen(c), canvas.Fg(canvas.Muted))
		return
	}
	y := 0
	for _, l := range page.CoverageLines(v) {
		key := l.Key
		for _, part := range widget.Wrap(l.Text, in.W-13) {
			if y >= in.H {
				return
			}
			in.Text(1, y, key, canvas.Fg(canvas.Muted))
			in.Fit(12, y, in.W-13, part, canvas.Fg(l.Token))
			key = ""
			y++
		}
	}
	if y+1 < in.H {
		y++
		for i := len(c.Snap.Units) - 1; i >= 0 && y < in.H; i-- {
			if u := c.Snap.Units[i]; u.Class == core.ClassInstrumentation && (u.Kind == "requests" || u.Kind == "tls") {
				in.Text(1, y, u.Kind, canvas.Fg(canvas.Muted))
				in.Fit(12, y, in.W-13, strings.TrimSpace(string(u.Phase)+" "+u.Message), canvas.Fg(canvas.Muted))
				y++
			}
		}
	}
}

func (p *Page) unseen(c *page.Context) string {
	if p.row != nil && !page.Watched(p.row) {
		_, reason := page.StateOf(c, p.row)
		return "requests are not watched: " + reason
	}
	return "it said nothing to anybody so far"
}

// inside is the integration that asks the server which the subject is, nil when
// there is none: one that works before one that does not.
func (p *Page) inside(c *page.Context) *core.IntegrationRow {
	var found *core.IntegrationRow
	for _, r := range c.Snap.Integrations {
		mine := p.about.Service != "" && r.Service == p.about.Service
		if p.row != nil {
			mine = slices.Contains(r.Procs, p.row.ProcKey) || r.Service != "" && r.Service == p.row.Service
		}
		if mine && (found == nil || r.State == core.IntegrationRunning && found.State != core.IntegrationRunning) {
			found = r
		}
	}
	return found
}

// insideText is what the server says of itself, in a line.
func insideText(r *core.IntegrationRow) string {
	if r.State != core.IntegrationRunning {
		return fmt.Sprintf("%s is %s: %s (I opens)", r.Title, r.State, r.Message)
	}
	var parts []string
	for i := range r.Figures[:min(len(r.Figures), 4)] {
		f := &r.Figures[i]
		parts = append(parts, strings.ToLower(f.Title)+" "+page.Figure(f))
	}
	return r.Title + ": " + strings.Join(parts, ", ") + " (I opens)"
}

func (p *Page) openInside(c *page.Context) {
	if r := p.inside(c); r != nil {
		c.Open(page.Subject{Integration: r.ID})
		return
	}
	c.Toast(page.Note, "no integration asks this one: 5 lists what was found")
}

// sdk says that a process tells about itself already.
func sdk(p *core.Process) string {
	if p.Runtime.SDK == "" {
		return ""
	}
	return p.Runtime.SDK + " is inside already: its numbers may be counted twice"
}

// ended is how and when a process ended.
func ended(r *core.ProcessRow, c *page.Context) string {
	return fmt.Sprintf("%s, %s ago, %s", r.Ended.Local().Format("15:04:05"), format.Of(format.Age, c.Since(r.Ended)), page.ExitText(r.Exit))
}
