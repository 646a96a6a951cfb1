package metrics

import (
	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// drawCalls shows the calls that leave vitals: how often, how long, how they ended.
func (p *Page) drawCalls(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Calls of vitals itself", p.calls.Span(), p.at == calls)
	if len(c.Snap.Calls) == 0 {
		in.Fit(2, 0, in.W-4, "none yet, or calls: off in the configuration", canvas.Fg(canvas.Muted))
		return
	}
	p.calls.Draw(in, func(row, col int, cell canvas.Area) { drawCall(&c.Snap.Calls[row], col, cell) })
	if p.at == calls {
		c.At(p.calls.CursorAt())
	}
}

func drawCall(r *core.CallRow, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case 0:
		cell.Fit(0, 0, cell.W, r.Op, canvas.Style{})
	case 1:
		page.Num(cell, format.Int(b[:0], r.Begun), canvas.Style{})
	case 2:
		page.Num(cell, format.Int(b[:0], r.Ended[core.OutcomeOK]), canvas.Style{})
	case 3:
		var bad uint64
		for outcome, n := range r.Ended {
			if outcome != core.OutcomeOK {
				bad += n
			}
		}
		st := canvas.Fg(canvas.Faint)
		if bad > 0 {
			st = canvas.Strong(canvas.Warn)
		}
		page.Num(cell, format.Int(b[:0], bad), st)
	case 4:
		page.Num(cell, format.Int(b[:0], r.InFlight), canvas.Fg(canvas.Muted))
	case 5:
		if r.Oldest > 0 {
			page.Latency(cell, r.Oldest.Seconds())
		}
	case 6:
		if r.Last > 0 {
			page.Latency(cell, r.Last.Seconds())
		}
	case 7:
		page.Latency(cell, r.Duration.Quantile(0.5))
	case 8:
		page.Latency(cell, r.Duration.Quantile(0.99))
	}
}
