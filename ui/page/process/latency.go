package process

import (
	"math"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

func (p *Page) latency() (*core.Heat, *core.Distribution) {
	if p.svc != nil {
		return p.svc.Heat, p.svc.Latency
	}
	return p.row.Heat, p.row.Latency
}

func (p *Page) drawLatency(c *page.Context, a canvas.Area) {
	heat, dist := p.latency()
	red, side := p.red()
	if c.Size == page.Wide {
		left, right := a.Left(a.W * 2 / 3)
		p.drawHeat(c, left, heat, red, side)
		drawDistribution(c, right, dist)
		return
	}
	if a.H < 14 {
		p.drawHeat(c, a, heat, red, side)
		return
	}
	top, bottom := a.Top(a.H * 3 / 5)
	p.drawHeat(c, top, heat, red, side)
	drawDistribution(c, bottom, dist)
}

func (p *Page) drawHeat(c *page.Context, a canvas.Area, heat *core.Heat, red *core.RED, side string) {
	in := widget.Panel(a, c.Boxed(), "Request duration, as "+side, format.Of(format.Count, float64(red.Count))+" counted", false)
	line, plot := in.Bottom(2)
	page.DrawHeat(plot, heat)
	x := 1
	for _, q := range [...]struct {
		name string
		v    float64
	}{{"p50", red.P50}, {"p90", red.P90}, {"p99", red.P99}, {"max", red.Max}, {"oldest open", oldest(red)}} {
		x = line.Text(x, 1, q.name, canvas.Fg(canvas.Muted))
		x = line.Text(x+1, 1, format.Of(format.Seconds, q.v), canvas.Strong(canvas.FG)) + 3
	}
	line.Right(x, 1, line.W-x-1, "figures of the last 10 s", canvas.Fg(canvas.Faint))
}

func oldest(r *core.RED) float64 {
	if r.InFlight == 0 {
		return math.NaN()
	}
	return r.Oldest.Seconds()
}

func drawDistribution(c *page.Context, a canvas.Area, d *core.Distribution) {
	in := widget.Panel(a, c.Boxed(), "Distribution", "last 10 s", false)
	page.DrawDistribution(in, d, "no request in the last 10 s")
}
