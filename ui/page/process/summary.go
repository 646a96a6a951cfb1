package process

import (
	"fmt"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

func (p *Page) updateSummary(c *page.Context) {
	p.members.N = len(p.rows)
	p.updateRoutes(c)
}

func (p *Page) drawSummary(c *page.Context, a canvas.Area) {
	h := min(10, a.H/2)
	if c.Size != page.Wide {
		top, bottom := a.Top(h)
		p.drawFacts(c, top)
		p.drawBelow(c, bottom)
		return
	}
	h = min(15, a.H/2+2)
	top, bottom := a.Top(h)
	left, right := top.Left(a.W / 2)
	p.drawFacts(c, left)
	p.drawCharts(c, right)
	p.drawBelow(c, bottom)
}

// drawBelow shows the processes of a service, or what happened to a process.
func (p *Page) drawBelow(c *page.Context, a canvas.Area) {
	if p.svc == nil {
		left, right := a, canvas.Area{}
		if c.Size == page.Wide {
			left, right = a.Left(a.W / 2)
			in := widget.Panel(right, true, "Instrumentation", "space on/off", false)
			page.DrawInstr(c, in.Sub(1, 0, in.W-2, in.H), p.row)
		}
		if len(p.routes.Rows) > 0 {
			var top canvas.Area
			top, left = left.Top(min(len(p.routes.Rows)+2, left.H/2))
			p.drawTopRoutes(c, top)
		}
		p.drawHistory(c, left)
		return
	}
	top, bottom := a.Top(max(a.H-7, a.H/2))
	in := widget.Panel(top, c.Boxed(), "Processes", "", true)
	p.members.Draw(in, func(i, col int, cell canvas.Area) { p.drawMember(c, p.rows[i], col, cell) })
	widget.Remark(top, p.members.Span())
	c.At(p.members.CursorAt())
	p.drawHistory(c, bottom)
}

func memberColumns() []widget.Column {
	return []widget.Column{
		{Title: " ", W: 1}, {Title: "PID", W: 7, Right: true}, {Title: "COMMAND", W: 20, Min: 10, Max: 50},
		{Title: "RATE/s", W: 7, Right: true}, {Title: "ERR%", W: 5, Right: true}, {Title: "P99", W: 6, Right: true},
		{Title: "P99 5m", W: 10, Min: 6, Max: 20, Leave: 1}, {Title: "CPU%", W: 6, Right: true}, {Title: "RSS", W: 5, Right: true, Leave: 2},
	}
}

func (p *Page) drawMember(c *page.Context, r *core.ProcessRow, col int, cell canvas.Area) {
	red, _ := page.RED(&r.Server, &r.Client)
	switch col {
	case 0:
		s, _ := page.StateOf(c, r)
		g, tok := s.Sign()
		cell.Set(0, 0, g, canvas.Fg(tok))
	case 1:
		page.PID(cell, r.PID)
	case 2:
		cell.Fit(0, 0, cell.W, r.Cmdline, canvas.Style{})
	case 3:
		page.Rate(cell, red.Rate, page.Watched(r))
	case 4:
		page.Errors(cell, red.ErrRatio)
	case 5:
		page.Latency(cell, red.P99)
	case 6:
		page.Trend(cell, r.P99Trend, 0.001, canvas.Graph2)
	case 7:
		page.CPU(cell, r.CPURatio)
	case 8:
		page.Memory(cell, r.Usage.RSS)
	}
}

type fact struct{ key, text string }

// facts are the subject in lines, the most telling first: what has no room is cut.
func (p *Page) facts(c *page.Context) []fact {
	red, side := p.red()
	var facts []fact
	if red.Count > 0 {
		facts = append(facts,
			fact{side, fmt.Sprintf("%s/s, %s errors, %d open", format.Of(format.Count, red.Rate), page.Percent(red.ErrRatio), red.InFlight)},
			fact{"latency", fmt.Sprintf("p50 %s  p90 %s  p99 %s  max %s", format.Of(format.Seconds, red.P50), format.Of(format.Seconds, red.P90),
				format.Of(format.Seconds, red.P99), format.Of(format.Seconds, red.Max))})
	}
	if text, _ := page.CoverageText(p.coverage()); text != "" {
		facts = append(facts, fact{"seen", text})
	}
	if r := p.inside(c); r != nil {
		facts = append(facts, fact{"inside", insideText(r)})
	}
	if p.svc == nil {
		own := p.processFacts(c)
		return append(append(own[:1:1], facts...), own[1:]...)
	}
	return append([]fact{{"service", p.svc.Name}, {"message", p.svc.Message}}, append(facts, fact{"group", p.svc.Group},
		fact{"language", page.Language(core.Runtime{Language: p.svc.Language})}, fact{"cpu", page.Cost(p.svc.CPURatio) + ", memory " + format.Of(format.Bytes, float64(p.svc.RSSBytes))})...)
}

func (p *Page) processFacts(c *page.Context) []fact {
	r := p.row
	var listens []string
	for _, l := range r.Listeners {
		listens = append(listens, l.String())
	}
	facts := []fact{
		{"run", r.Cmdline}, {"exe", r.Exe}, {"language", page.Language(r.Runtime)}, {"sdk", sdk(r.Process)}, {"where", page.Where(r.Process)},
		{"listens", strings.Join(listens, ", ")},
		{"started", fmt.Sprintf("%s, %s ago", r.Started.Local().Format("2006-01-02 15:04:05"), format.Of(format.Age, c.Since(r.Started)))},
		{"cpu", fmt.Sprintf("%s, memory %s, threads %s, files %s", page.Cost(r.CPURatio),
			format.Of(format.Bytes, float64(r.Usage.RSS)), level(r.Usage.Threads), level(r.Usage.FDs))},
	}
	if !r.Alive {
		facts = append(facts, fact{"ended", ended(r, c)})
	}
	return facts
}

func level(n int64) string {
	if n < 0 {
		return format.Unknown
	}
	return format.Of(format.Int, n)
}

func (p *Page) drawFacts(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), p.Title(), "", false)
	y := 0
	for _, f := range p.facts(c) {
		if f.text == "" || y >= in.H {
			continue
		}
		in.Text(1, y, f.key, canvas.Fg(canvas.Muted))
		in.Fit(10, y, in.W-11, f.text, canvas.Fg(canvas.FG))
		y++
	}
}

func (p *Page) drawCharts(c *page.Context, a canvas.Area) {
	var rate, p99, cpu *core.Trend
	if p.svc != nil {
		rate, p99 = p.svc.RateTrend, p.svc.P99Trend
	} else {
		rate, p99, cpu = p.row.RateTrend, p.row.P99Trend, p.row.CPUTrend
	}
	charts := []struct {
		title string
		t     *core.Trend
		floor float64
		unit  func([]byte, float64) []byte
		tok   canvas.Token
	}{{"Requests/s", rate, 1, format.Count, canvas.Graph1}, {"p99", p99, 0.001, format.Seconds, canvas.Graph2}, {"CPU%", cpu, 0.01, format.Percent, canvas.Graph3}}
	n := len(charts)
	if cpu == nil {
		n-- // services have no history of CPU
	}
	for i, ch := range charts[:n] {
		y := i * a.H / n
		remark := "5 min"
		top := ch.floor
		if ch.t != nil {
			top = widget.Top(ch.t.Points, ch.floor)
			remark = "5 min, scale to " + format.Of(ch.unit, top)
		}
		in := widget.Panel(a.Sub(0, y, a.W, (i+1)*a.H/n-y), true, ch.title, remark, false)
		if ch.t == nil {
			in.Text(1, 0, "nothing to show yet", canvas.Fg(canvas.Faint))
			continue
		}
		widget.Dots(in.Sub(1, 0, in.W-2, in.H), ch.t.Points, top, canvas.Fg(ch.tok))
	}
}

// drawTopRoutes shows the routes with most requests.
func (p *Page) drawTopRoutes(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Routes", "l all", false)
	for y := range min(len(p.routes.Rows), in.H) {
		r := p.routes.Rows[y]
		in.Fit(1, y, 6, r.Method, canvas.Fg(canvas.Muted))
		x := 8
		if r.Role == core.RoleClient {
			x = in.Text(x, y, "→ ", canvas.Fg(canvas.Muted)) // a call of the process itself, not one that it answered
		}
		name := page.Statement(r.Protocol, r.Method, r.Route)
		if name == "" {
			name = r.Peer // of caches: keys are nobody's business
		}
		in.Fit(x, y, in.W-22-x, name, canvas.Fg(canvas.FG))
		in.Fit(in.W-21, y, 4, page.Outcome(r.Status, r.Code, r.Err), canvas.Fg(page.StatusToken(r.Status, r.Failed)))
		in.Right(in.W-17, y, 8, format.Of(format.Count, r.Rate)+"/s", canvas.Fg(canvas.FG))
		in.Right(in.W-8, y, 7, format.Of(format.Seconds, r.P99), canvas.Fg(canvas.Muted))
	}
}

// drawHistory shows what happened to the subject, the newest first.
func (p *Page) drawHistory(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Events", "", false)
	y := 0
	for i := len(c.Events) - 1; i >= 0 && y < in.H; i-- {
		e := &c.Events[i]
		if p.about.Service != "" && e.Service == p.about.Service || p.about.Service == "" && e.Proc == p.about.Proc {
			page.EventLine(in.Sub(1, y, in.W-2, 1), e, false)
			y++
		}
	}
	if y == 0 {
		in.Text(1, 0, "nothing has happened to it since vitals looks", canvas.Fg(canvas.Faint))
	}
}
