package route

import (
	"cmp"
	"fmt"
	"math"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Draw shows the route.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	if len(p.outcomes) == 0 {
		a.Fit(2, 1, a.W-4, "this route is gone; nothing is known of it any more. esc goes back", canvas.Fg(canvas.Muted))
		return
	}
	p.table.Quiet, p.singles.Quiet = p.onSingle, !p.onSingle
	frame := 1
	if c.Boxed() {
		frame = 2
	}
	lines := p.facts(c, a.W-4)
	top, rest := a.Top(min(len(lines)+frame, max(a.H/3, 3)))
	state := p.about.Service + " · " + p.about.Protocol + " " + p.about.Role.String()
	if p.gone {
		state = "gone"
	}
	page.DrawLines(widget.Panel(top, c.Boxed(), "Route", state, false), lines)
	if c.Size != page.Wide {
		p.drawNarrow(c, rest, frame)
		return
	}
	top, rest = rest.Top(min(len(p.outcomes)+1+frame, rest.H/2))
	p.drawOutcomes(c, top)
	left, right := rest.Left(rest.W * 2 / 5)
	if len(p.callers) > 0 {
		top, left = left.Top(min(len(p.callers)+1+frame, left.H/2))
		p.drawCallers(c, top)
	}
	p.drawTimes(c, left)
	p.drawSingles(c, right)
}

// drawNarrow shows the outcomes, and below what has the cursor or fits.
func (p *Page) drawNarrow(c *page.Context, a canvas.Area, frame int) {
	if p.onSingle {
		p.drawSingles(c, a)
		return
	}
	top, rest := a.Top(min(len(p.outcomes)+1+frame, max(a.H/2, 4)))
	p.drawOutcomes(c, top)
	if len(p.callers) > 0 && rest.H > 6 {
		top, rest = rest.Top(min(len(p.callers)+1+frame, rest.H/2))
		p.drawCallers(c, top)
	}
	if rest.H > 2 {
		p.drawTimes(c, rest)
	}
}

// facts are the route in a few lines: the whole statement, its rate, and where
// its time goes as far as it can be told from outside.
func (p *Page) facts(c *page.Context, w int) (lines []page.Line) {
	for i, part := range widget.Wrap(cmp.Or(p.about.Method+" ", "")+page.Statement(p.about.Protocol, p.about.Method, p.about.Route), max(w-10, 20)) {
		key := ""
		if i == 0 {
			key = "what"
		}
		lines = append(lines, page.Line{Key: key, Text: part, Token: canvas.FG})
	}
	add := func(key, text string, tok canvas.Token) {
		lines = append(lines, page.Line{Key: key, Text: text, Token: tok})
	}
	failed := p.failed()
	tok := canvas.FG
	if failed > 0 {
		tok = canvas.Warn
	}
	side := map[core.Role]string{core.RoleServer: "answered", core.RoleClient: "asked", core.RoleUnknown: "seen"}[p.about.Role]
	add(side, fmt.Sprintf("%s/s, %s in all, %s failed", format.Of(format.Count, p.sum.rate), format.Of(format.Count, float64(p.sum.count)),
		page.Percent(float64(failed)/float64(p.sum.count))), tok)
	if p.sum.stream {
		add("time", "a stream: it is counted when it ends and has no latency", canvas.FG)
	} else {
		add("time", times(&p.sum), canvas.FG)
	}
	add("size", fmt.Sprintf("%s in, %s out on average", mean(p.sum.in, p.sum.count), mean(p.sum.out, p.sum.count)), canvas.Muted)
	if p.sum.partial > 0 {
		add("partly", format.Of(format.Count, float64(p.sum.partial))+" were not seen whole: their figures may be too small", canvas.Muted)
	}
	return lines
}

// times is where the time goes: until the first byte of the answer, and after.
func times(o *outcome) string {
	text := fmt.Sprintf("p50 %s  p99 %s", format.Of(format.Seconds, o.total.Quantile(0.5)), format.Of(format.Seconds, o.total.Quantile(0.99)))
	if o.first == nil || o.first.Count == 0 {
		return text
	}
	text += fmt.Sprintf(", first byte p50 %s  p99 %s", format.Of(format.Seconds, o.first.Quantile(0.5)), format.Of(format.Seconds, o.first.Quantile(0.99)))
	if o.total != nil && o.total.Sum > 0 && o.first.Count == o.total.Count {
		text += fmt.Sprintf(": %s of the time is waiting for it", page.Percent(min(o.first.Sum/o.total.Sum, 1)))
	}
	return text
}

func mean(sum, n uint64) string {
	if n == 0 {
		return format.Unknown
	}
	return format.Of(format.Bytes, float64(sum)/float64(n))
}

func (p *Page) drawOutcomes(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Outcomes", "", !p.onSingle)
	p.table.Draw(in, func(row, col int, cell canvas.Area) { p.drawOutcome(c, p.outcomes[row], col, cell) })
	widget.Remark(a, cmp.Or(p.table.Span(), "counts since vitals began to look"))
	if !p.onSingle {
		c.At(p.table.CursorAt())
	}
}

func (p *Page) drawOutcome(c *page.Context, o *outcome, col int, cell canvas.Area) {
	var b [24]byte
	quantile := func(d *core.Distribution, q float64) { page.LatencyOf(cell, d.Quantile(q), o.stream) }
	switch col {
	case colStatus:
		cell.Fit(0, 0, cell.W, cmp.Or(o.text, unsaid(p.about.Protocol, o)), canvas.Fg(page.StatusToken(o.status, o.failed)))
	case colPeer:
		cell.Fit(0, 0, cell.W, o.peer, canvas.Fg(canvas.Muted))
	case colCount:
		page.Num(cell, format.Int(b[:0], o.count), canvas.Style{})
	case colShare:
		cell.Right(0, 0, cell.W, page.Percent(float64(o.count)/float64(p.sum.count)), canvas.Fg(canvas.Muted))
	case colRate:
		page.Rate(cell, o.rate, true)
	case colFirst:
		quantile(o.first, 0.5)
	case colP50:
		quantile(o.total, 0.5)
	case colP99:
		quantile(o.total, 0.99)
	case colMax:
		m := math.NaN()
		if o.total != nil && o.total.Count > 0 {
			m = o.total.Max
		}
		page.LatencyOf(cell, m, o.stream)
	case colIn:
		page.Memory(cell, int64(min(o.in, math.MaxInt64)))
	case colOut:
		page.Memory(cell, int64(min(o.out, math.MaxInt64)))
	case colLast:
		page.Num(cell, format.Age(b[:0], c.Since(o.last.Last)), canvas.Fg(canvas.Muted))
	}
}

// unsaid is the outcome of requests that ended without a word about it.
func unsaid(protocol string, o *outcome) string {
	if protocol == core.ProtoHTTP || o.partial == o.count {
		return "not seen"
	}
	return "ok"
}

func (p *Page) drawCallers(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Who asks", "as they see it", false)
	for y, x := range p.callers[:min(len(p.callers), max(in.H, 0))] {
		tok := canvas.FG
		if x.fail > 0 {
			tok = canvas.Warn
		}
		end := in.Fit(1, y, max(in.W-26, 8), x.name, canvas.Fg(tok))
		if !x.exact && in.W-24-end > 10 {
			in.Text(end+1, y, "any route", canvas.Fg(canvas.Faint))
		}
		in.Right(in.W-24, y, 8, format.Of(format.Count, x.rate)+"/s", canvas.Fg(canvas.FG))
		in.Right(in.W-16, y, 7, format.Of(format.Seconds, x.p99), canvas.Fg(canvas.Muted))
		in.Right(in.W-8, y, 7, format.Of(format.Count, float64(x.count)), canvas.Fg(canvas.Faint))
	}
}

// drawTimes shows how long the whole answer takes, and its first byte beside it
// where there is room.
func (p *Page) drawTimes(c *page.Context, a canvas.Area) {
	if p.sum.stream {
		in := widget.Panel(a, c.Boxed(), "Duration", "", false)
		in.Fit(1, 0, in.W-2, "streams have no latency", canvas.Fg(canvas.Faint))
		return
	}
	total, first := a, canvas.Area{}
	switch {
	case a.W >= 76:
		total, first = a.Left(a.W / 2)
	case a.H >= 16:
		total, first = a.Top(a.H / 2)
	}
	page.DrawDistribution(widget.Panel(total, c.Boxed(), "To the last byte", "", false), p.sum.total, "none has ended yet")
	if first.W > 0 {
		page.DrawDistribution(widget.Panel(first, c.Boxed(), "To the first byte", "", false), p.sum.first, "not known of any")
	}
}

func (p *Page) drawSingles(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Slow and failed, one by one", "", p.onSingle)
	if len(p.singles.Rows) == 0 {
		in.Fit(2, 1, in.W-4, "none of this route so far", canvas.Fg(canvas.Muted))
		return
	}
	if x := p.singles.Selected(); x != nil && in.H > 8 && p.onSingle {
		lines := page.WrapLines(page.ExemplarLines(c, x), in.W)
		var bottom canvas.Area
		bottom, in = in.Bottom(min(len(lines), in.H-4))
		page.DrawLines(bottom, lines)
	}
	p.singles.Draw(c, in)
	if p.onSingle {
		c.At(p.singles.CursorAt())
	}
}
