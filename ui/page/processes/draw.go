package processes

import (
	"fmt"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

func (p *Page) active() *widget.Table {
	if p.view == byService {
		return &p.services.Table
	}
	return &p.table
}

// Draw shows the page.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	below := 0
	switch {
	case p.view == byService || c.Size == page.Small:
	case c.Size == page.Wide:
		below = 9
	default:
		below = 3
	}
	bottom, top := a.Bottom(below)
	in := widget.Panel(top, c.Boxed(), p.heading(), "", true)
	if p.active().N == 0 {
		in.Fit(2, 1, in.W-4, p.nothing(c), canvas.Fg(canvas.Muted))
	} else if p.view == byService {
		p.services.Draw(in)
	} else {
		p.table.Marked = p.marked
		p.table.Draw(in, func(i, col int, cell canvas.Area) { p.cell(c, &p.rows[i], col, cell) })
	}
	widget.Remark(top, p.remark())
	c.At(p.active().CursorAt())
	if r := p.current(); r != nil && below > 0 {
		if c.Size == page.Wide {
			left, right := bottom.Left(bottom.W * 3 / 5)
			p.drawPreview(c, left, r)
			p.drawSide(c, right, r)
		} else {
			p.drawShort(c, bottom, r)
		}
	}
}

func (p *Page) heading() string {
	s := "Processes"
	switch p.view {
	case byService:
		s = "Services"
	case asTree:
		s = "Processes as a tree"
	}
	if p.problems {
		s += ", problems only"
	}
	return s
}

func (p *Page) remark() string {
	var parts []string
	if n := len(p.selected); n > 0 {
		parts = append(parts, fmt.Sprintf("%d selected", n))
	}
	if p.view != byService && len(p.rows) < p.total {
		parts = append(parts, fmt.Sprintf("%d of %d", len(p.rows), p.total))
	}
	if p.view != byService && p.ended > 0 {
		parts = append(parts, fmt.Sprintf("%d ended", p.ended))
	}
	if p.filter.Unknown != "" {
		parts = append(parts, "no key "+p.filter.Unknown)
	}
	if p.follow {
		parts = append(parts, "follows")
	}
	if s := p.active().Span(); s != "" {
		parts = append(parts, s)
	}
	return strings.Join(parts, " · ")
}

func (p *Page) nothing(c *page.Context) string {
	switch {
	case len(c.Snap.Processes) == 0:
		return "looking at the processes of this machine ..."
	case p.filter.Unknown != "":
		return "the filter asks for " + p.filter.Unknown + ", which there is not; it knows " + page.ProcessHelp
	case p.line != "":
		return "nothing matches; esc shows all"
	case p.problems:
		return "no problems: nothing fails, all that is wanted is seen; e shows all"
	}
	return "no processes"
}

func (p *Page) cell(c *page.Context, r *row, col int, cell canvas.Area) {
	red, _ := page.RED(&r.Server, &r.Client)
	switch col {
	case colSign:
		sign(c, cell, r.ProcessRow)
	case colPID:
		page.PID(cell, r.PID)
	case colName:
		x := 0
		if r.depth > 0 {
			x = int(r.depth-1) * 2
			branch := "├ "
			if r.last {
				branch = "└ "
			}
			x = cell.Text(x, 0, branch, canvas.Fg(canvas.Faint))
		}
		cell.Fit(x, 0, cell.W-x, name(r.ProcessRow), canvas.Style{})
	case colLang:
		cell.Fit(0, 0, cell.W, page.Language(r.Runtime), canvas.Fg(canvas.Muted))
	case colListen:
		drawListens(cell, r.Listeners)
	case colProto:
		cell.Fit(0, 0, cell.W, c.Protocols(r.ProcKey), canvas.Fg(canvas.Muted))
	case colRate:
		page.Rate(cell, red.Rate, page.Watched(r.ProcessRow))
	case colErr:
		page.Errors(cell, red.ErrRatio)
	case colP50:
		page.Latency(cell, red.P50)
	case colP99:
		page.Latency(cell, red.P99)
	case colTrend:
		drawTrend(c, cell, r.ProcessRow)
	case colCPU:
		page.CPU(cell, r.CPURatio)
	case colRSS:
		page.Memory(cell, r.Usage.RSS)
	case colAge:
		var b [24]byte
		page.Num(cell, format.Age(b[:0], c.Since(r.Started)), canvas.Fg(canvas.Muted))
	}
}

// name is the service, and the command where it says more.
func name(r *core.ProcessRow) string {
	if r.Service == "" || r.Service == r.Comm {
		return r.Comm
	}
	return r.Service
}

func drawListens(cell canvas.Area, all []core.Listener) {
	n, x := 0, 0
	for _, l := range all {
		if l.Network == "unix" {
			continue
		}
		if n == 0 {
			x = cell.Fit(0, 0, cell.W, page.Port(l), canvas.Fg(canvas.Info))
		}
		n++
	}
	if n > 1 {
		if more := "+" + format.Of(format.Int, n-1); x+1+len(more) <= cell.W {
			cell.Text(x+1, 0, more, canvas.Fg(canvas.Muted))
		}
	}
}

// drawTrend shows how latency went; where there is none, why.
func drawTrend(c *page.Context, cell canvas.Area, r *core.ProcessRow) {
	s, reason := page.StateOf(c, r)
	switch {
	case s == page.StateOn && r.P99Trend != nil:
		page.Trend(cell, r.P99Trend, 0.001, canvas.Graph2)
	case s == page.StateOn:
	case s == page.StateEnded:
		cell.Fit(0, 0, cell.W, page.ExitText(r.Exit), canvas.Fg(canvas.Faint))
	case s == page.StateFailed || s == page.StatePartly:
		_, tok := s.Sign()
		cell.Fit(0, 0, cell.W, reason, canvas.Fg(tok))
	case s == page.StateOff && !c.Snap.Self.Privileged && c.Snap.Self.Notice != "":
		// the same for all, and told above the list
	default:
		cell.Fit(0, 0, cell.W, reason, canvas.Fg(canvas.Faint))
	}
}
