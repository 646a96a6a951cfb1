package processes

import (
	"cmp"
	"fmt"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// drawPreview tells the most important of a process without leaving the list.
func (p *Page) drawPreview(c *page.Context, a canvas.Area, r *core.ProcessRow) {
	in := widget.Panel(a, c.Boxed(), fmt.Sprintf("%s / %d", page.Name(r.Process), r.PID), "⏎ full page", false)
	in = in.Sub(1, 0, in.W-2, in.H)
	y := 0
	line := func(key, text string) {
		if text == "" || y >= in.H {
			return
		}
		in.Text(0, y, key, canvas.Fg(canvas.Muted))
		in.Fit(7, y, in.W-7, text, canvas.Fg(canvas.FG))
		y++
	}
	line("run", r.Cmdline)
	line("exe", r.Exe)
	line("", page.Where(r.Process))
	red, side := page.RED(&r.Server, &r.Client)
	if red.Count > 0 {
		line(side, fmt.Sprintf("%s/s  %s%% errors  p50 %s  p90 %s  p99 %s  max %s",
			format.Of(format.Count, red.Rate), format.Of(format.Percent, red.ErrRatio), format.Of(format.Seconds, red.P50),
			format.Of(format.Seconds, red.P90), format.Of(format.Seconds, red.P99), format.Of(format.Seconds, red.Max)))
		line("routes", topRoutes(c.Snap, r.ProcKey))
	}
	if text, _ := page.CoverageText(&r.Coverage); text != "" {
		line("seen", text)
	}
	line("sdk", r.Runtime.SDK)
	line("cpu", fmt.Sprintf("%s  memory %s  threads %s  files %s", page.Percent(r.CPURatio),
		format.Of(format.Bytes, float64(r.Usage.RSS)), level(r.Usage.Threads), level(r.Usage.FDs)))
}

func level(n int64) string {
	if n < 0 {
		return format.Unknown
	}
	return format.Of(format.Int, n)
}

// topRoutes are the two busiest routes in a line.
func topRoutes(s *core.Snapshot, k core.ProcKey) string {
	var first, second *core.RequestRow
	for _, q := range s.Requests {
		if q.Proc != k {
			continue
		}
		if first == nil || q.Rate > first.Rate {
			first, second = q, first
		} else if second == nil || q.Rate > second.Rate {
			second = q
		}
	}
	var parts []string
	for _, q := range []*core.RequestRow{first, second} {
		if q != nil {
			arrow := ""
			if q.Role == core.RoleClient {
				arrow = "→ " // a call of its own
			}
			name := cmp.Or(page.Statement(q.Protocol, q.Method, q.Route), q.Peer)
			parts = append(parts, fmt.Sprintf("%s %s%s %s/s", q.Method, arrow, name, format.Of(format.Count, q.Rate)))
		}
	}
	return strings.Join(parts, "   ")
}

// drawSide lists the selection, or the instrumentation of the row.
func (p *Page) drawSide(c *page.Context, a canvas.Area, r *core.ProcessRow) {
	if n := len(p.selected); n > 0 {
		in := widget.Panel(a, c.Boxed(), fmt.Sprintf("Selection (%d)", n), "space on/off · esc clears", false)
		y := 0
		for _, q := range c.Snap.Processes {
			if _, ok := p.selected[q.ProcKey]; !ok || y >= in.H {
				continue
			}
			s, _ := page.StateOf(c, q)
			g, tok := s.Sign()
			in.Set(1, y, g, canvas.Fg(tok))
			in.Fit(3, y, in.W-16, fmt.Sprintf("%d %s", q.PID, page.Name(q.Process)), canvas.Fg(canvas.FG))
			in.Right(in.W-12, y, 11, s.String(), canvas.Fg(tok))
			y++
		}
		return
	}
	in := widget.Panel(a, c.Boxed(), "Instrumentation", "space on/off", false)
	page.DrawInstr(c, in.Sub(1, 0, in.W-2, in.H), r)
}

// drawShort is the preview in two lines.
func (p *Page) drawShort(c *page.Context, a canvas.Area, r *core.ProcessRow) {
	in := widget.Panel(a, false, "", "", false)
	s, reason := page.StateOf(c, r)
	g, tok := s.Sign()
	in.Set(1, 0, g, canvas.Fg(tok))
	text := s.String()
	if reason != "" && reason != text {
		text += ", " + reason
	}
	if routes := topRoutes(c.Snap, r.ProcKey); routes != "" {
		text += "   " + routes
	}
	in.Fit(3, 0, in.W-4, text, canvas.Fg(canvas.FG))
	in.Fit(1, 1, in.W-2, r.Cmdline, canvas.Fg(canvas.Muted))
}
