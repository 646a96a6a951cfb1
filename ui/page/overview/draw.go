package overview

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

// Draw shows the page.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	if w := page.Worst(c.Snap); w != nil {
		var line canvas.Area
		line, a = a.Top(1)
		insight(line, w)
	}
	for _, text := range []string{page.Shedding(c.Snap), page.Wanting(c)} {
		if text == "" {
			continue
		}
		var line canvas.Area
		line, a = a.Top(1)
		line.Set(1, 0, '◌', canvas.Fg(canvas.Info))
		line.Fit(3, 0, line.W-4, text, canvas.Fg(canvas.Info))
	}
	switch {
	case c.Size == page.Wide:
		p.drawWide(c, a)
	case c.Size == page.Normal:
		p.drawNormal(c, a)
	default:
		p.drawMain(c, a)
	}
}

// insight says in one sentence what hurts most.
func insight(line canvas.Area, s *core.ServiceRow) {
	sign, tok := page.ServiceSign(s)
	line.Set(1, 0, sign, canvas.Strong(tok))
	x := line.Fit(3, 0, 30, s.Name, canvas.Strong(canvas.FG))
	line.Fit(x+2, 0, line.W-x-3, s.Message, canvas.Fg(tok))
}

func (p *Page) drawWide(c *page.Context, a canvas.Area) {
	tiles, rest := a.Top(5)
	p.drawTiles(c, tiles)
	if !p.busy {
		p.drawCalm(c, rest)
		return
	}
	h := min(max(rest.H/2-1, 9), core.HeatRows+3)
	top, bottom := rest.Top(h)
	left, right := top.Left(top.W * 3 / 5)
	p.drawHeat(c, left)
	p.drawEdges(c, right)
	left, right = bottom.Left(bottom.W * 3 / 5)
	p.drawMain(c, left)
	p.drawEvents(c, right)
}

func (p *Page) drawNormal(c *page.Context, a canvas.Area) {
	line, rest := a.Top(1)
	p.drawSparks(c, line)
	events := min(max(rest.H/4, 3), 8)
	bottom, top := rest.Bottom(events + 1)
	if p.busy {
		p.drawMain(c, top)
	} else {
		p.drawCalm(c, top)
	}
	p.drawEvents(c, bottom)
}

type tile struct {
	title, value, remark string
	tok                  canvas.Token
	trend                *core.Trend
	floor                float64
	graph                canvas.Token
}

// tiles are the four figures of the machine. Requests are those that it serves;
// where it serves none, those that it makes.
func tiles(c *page.Context) []tile {
	t := &c.Snap.Totals
	red, side := page.RED(&t.Server, &t.Client)
	made := ""
	if side == "client" {
		made = " made"
	}
	rate := format.Of(format.Count, red.Rate) + " req/s" + made
	if t.Instrumented == 0 && red.Count == 0 {
		rate = format.Unknown // nobody looked
	}
	cores := ""
	if n := c.Snap.Host.CPUs; n > 0 {
		cores = "of " + format.Plural(n, "core", "cores")
	}
	flight := ""
	if red.InFlight > 0 {
		flight = fmt.Sprintf("%d open", red.InFlight)
	}
	return []tile{
		{"RATE", rate, flight, canvas.FG, t.RateTrend, 1, canvas.Graph1},
		{"ERRORS", page.Percent(red.ErrRatio), "", errTok(red.ErrRatio), t.ErrTrend, 0.01, canvas.Graph4},
		{"LATENCY p99", format.Of(format.Seconds, red.P99), "p50 " + format.Of(format.Seconds, red.P50), canvas.FG, t.P99Trend, 0.001, canvas.Graph2},
		{"CPU", page.Percent(t.CPURatio), cores, canvas.FG, t.CPUTrend, 0.1, canvas.Graph3},
	}
}

func errTok(ratio float64) canvas.Token {
	if t := page.ErrorToken(ratio); t != canvas.Inherit {
		return t
	}
	return canvas.FG
}

func (p *Page) drawTiles(c *page.Context, a canvas.Area) {
	all := tiles(c)
	for i, t := range all {
		x := i * a.W / len(all)
		in := widget.Panel(a.Sub(x, 0, (i+1)*a.W/len(all)-x, a.H), true, t.title, "5 min", false)
		end := in.Text(1, 0, t.value, canvas.Strong(t.tok))
		in.Right(end+1, 0, in.W-end-2, t.remark, canvas.Fg(canvas.Muted))
		if t.trend != nil {
			widget.Bars(in.Sub(1, 1, in.W-2, in.H-1), t.trend.Points, widget.Top(t.trend.Points, t.floor), canvas.Fg(t.graph))
		}
	}
}

func (p *Page) drawSparks(c *page.Context, line canvas.Area) {
	all := tiles(c)
	each := (line.W - 2) / len(all)
	for i, t := range all {
		cell := line.Sub(1+i*each, 0, each-1, 1)
		title, _, _ := strings.Cut(t.title, " ")
		if i == 2 {
			title = "p99"
		}
		x := cell.Text(0, 0, title, canvas.Fg(canvas.Muted))
		x = cell.Text(x+1, 0, strings.TrimSuffix(t.value, " req/s"), canvas.Strong(t.tok))
		if t.trend != nil && cell.W-x > 3 {
			widget.Spark(cell, x+1, 0, cell.W-x-1, t.trend.Points, widget.Top(t.trend.Points, t.floor), canvas.Fg(t.graph))
		}
	}
}

func (p *Page) drawHeat(c *page.Context, a canvas.Area) {
	red, _ := page.RED(&c.Snap.Totals.Server, &c.Snap.Totals.Client)
	in := widget.Panel(a, c.Boxed(), "Latency, all requests", format.Of(format.Count, float64(red.Count))+" counted", false)
	page.DrawHeat(in, c.Snap.Totals.Heat)
}

func (p *Page) drawMain(c *page.Context, a canvas.Area) {
	if !p.busy {
		in := widget.Panel(a, c.Boxed(), "Busiest processes", "CPU% (1 core = 100)", p.focus == mainPane)
		p.drawBusiest(in, c)
		return
	}
	in := widget.Panel(a, c.Boxed(), "Services", "", p.focus == mainPane)
	p.services.Quiet = p.focus != mainPane
	p.services.Draw(in)
	widget.Remark(a, cmp.Or(p.services.Span(), "what hurts comes first"))
	c.At(p.services.CursorAt())
}

func (p *Page) drawEvents(c *page.Context, a canvas.Area) {
	focus := p.focus == eventPane
	in := widget.Panel(a, c.Boxed(), "Events", p.hidden(c), focus)
	if len(p.recent) == 0 {
		in.Text(1, 0, "nothing has happened yet", canvas.Fg(canvas.Faint))
		return
	}
	p.events.Quiet = !focus
	p.events.Lines(in, func(row int, line canvas.Area) {
		page.EventLine(line, p.recent[row], false)
	})
	c.At(p.events.CursorAt())
}

// drawEdges lists the calls of now; those that are over fill what room is left.
func (p *Page) drawEdges(c *page.Context, a canvas.Area) {
	live, past := p.live, p.past
	remark := format.Plural(len(live), "edge", "edges")
	if len(past) > 0 {
		remark += fmt.Sprintf(", %d at rest", len(past))
	}
	in := widget.Panel(a, c.Boxed(), "Who calls whom", remark, false)
	if len(live)+len(past) == 0 {
		in.Fit(1, 0, in.W-2, "no calls between services seen", canvas.Fg(canvas.Faint))
		return
	}
	top := page.TopEdges(live, in.H)
	for y, e := range top {
		drawEdge(c, in, y, e, false)
	}
	for y, e := range page.LastEdges(past, min(in.H-len(top), 3)) {
		drawEdge(c, in, len(top)+y, e, true)
	}
}

// hidden says how many events are shown, and of how many.
func (p *Page) hidden(c *page.Context) string {
	if n := len(c.Events); len(p.recent) < n {
		return fmt.Sprintf("%d of %d events", len(p.recent), n)
	}
	return format.Plural(len(p.recent), "event", "events")
}

func drawEdge(c *page.Context, in canvas.Area, y int, e *core.EdgeRow, past bool) {
	name := max((in.W-21)/2, 6)
	from, to, rate := canvas.FG, canvas.FG, format.Of(format.Count, e.Rate)+"/s"
	switch {
	case past:
		from, to, rate = canvas.Faint, canvas.Faint, "at rest"
	case e.Errors > 0:
		to = canvas.Warn
	}
	in.Fit(1, y, name, e.From, canvas.Fg(from))
	in.Text(1+name+1, y, "→", canvas.Fg(canvas.Accent))
	in.Fit(1+name+3, y, name, e.To, canvas.Fg(to))
	in.Right(in.W-18, y, 8, rate, canvas.Fg(from))
	if past {
		in.Right(in.W-9, y, 8, format.Of(format.Age, c.Since(e.Last)), canvas.Fg(canvas.Faint))
		return
	}
	in.Right(in.W-9, y, 8, format.Of(format.Seconds, e.P99), canvas.Fg(canvas.Muted))
}

// drawCalm is for a machine on which no request was seen: what runs, what
// listens, and what to do next.
func (p *Page) drawCalm(c *page.Context, a canvas.Area) {
	line, a := a.Top(1)
	line.Fit(1, 0, line.W-2, calmSentence(c.Snap), canvas.Fg(canvas.Muted))
	if c.Size != page.Wide {
		p.drawMain(c, a)
		return
	}
	left, right := a.Left(a.W * 3 / 5)
	top, bottom := left.Top(left.H - 8)
	p.drawMain(c, top)
	drawTips(c, bottom)
	top, bottom = right.Top(right.H / 2)
	drawListening(c, top)
	p.drawEvents(c, bottom)
}

func calmSentence(s *core.Snapshot) string {
	switch {
	case len(s.Processes) == 0:
		return "looking at the processes of this machine ..."
	case s.Totals.Instrumented > 0:
		return fmt.Sprintf("No requests yet. %s watched; a request shows here as soon as one of them answers or makes it.",
			format.Plural(s.Totals.Instrumented, "process is", "processes are"))
	case s.Toggles != nil && s.Toggles.Suspended:
		return "Everything is detached: 4 Probes, then K puts it back."
	}
	return "No process is instrumented: requests cannot be seen."
}

func drawListening(c *page.Context, a canvas.Area) {
	type listener struct {
		row  *core.ProcessRow
		what core.Listener
	}
	var all []listener
	for _, r := range c.Snap.Processes {
		if !r.Alive {
			continue
		}
		for _, l := range r.Listeners {
			if l.Network != "unix" {
				all = append(all, listener{r, l})
			}
		}
	}
	in := widget.Panel(a, c.Boxed(), "Listening", format.Plural(len(all), "socket", "sockets"), false)
	if len(all) == 0 {
		in.Text(1, 0, "nothing listens on TCP or UDP", canvas.Fg(canvas.Faint))
	}
	for y, l := range all[:min(len(all), max(in.H, 0))] {
		s, _ := page.StateOf(c, l.row)
		sign, tok := s.Sign()
		in.Set(1, y, sign, canvas.Fg(tok))
		in.Fit(3, y, 18, page.Name(l.row.Process), canvas.Fg(canvas.FG))
		in.Text(22, y, l.what.Network, canvas.Fg(canvas.Muted))
		in.Fit(26, y, in.W-27, l.what.Address, canvas.Fg(canvas.FG))
	}
}

func drawTips(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Try", "", false)
	for y, tip := range [...][2]string{
		{"2", "all processes; space switches one on or off, ⏎ opens it"},
		{"/", "filter, for example lang:go or port:8080"},
		{"curl", "make a request to a server here: it shows within a second"},
		{"p ←", "freeze the picture and look back over the last minutes"},
		{"T", "choose a theme        ? all keys of this page"},
	} {
		in.Text(1, y, tip[0], canvas.Strong(canvas.Key))
		in.Fit(7, y, in.W-8, tip[1], canvas.Fg(canvas.Muted))
	}
}
