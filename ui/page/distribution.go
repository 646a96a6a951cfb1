package page

import (
	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/widget"
)

// DrawDistribution shows which share of requests took how long, the slowest
// first; empty is what it says when there are none.
func DrawDistribution(a canvas.Area, d *core.Distribution, empty string) {
	if d == nil || d.Count == 0 {
		a.Fit(1, 0, a.W-2, empty, canvas.Fg(canvas.Faint))
		return
	}
	bands := Bands(d)
	low, high, peak := core.HeatRows, -1, 0.0
	for i, n := range bands {
		if n > 0 {
			low, high = min(low, i), max(high, i)
			peak = max(peak, n)
		}
	}
	var b [24]byte
	y := 0
	for band := high; band >= low && y < a.H; band-- {
		share := bands[band] / float64(d.Count)
		a.Right(0, y, 7, string(format.Seconds(b[:0], core.HeatBound(band))), canvas.Fg(canvas.Muted))
		widget.Bar(a, 8, y, a.W-17, bands[band]/peak, canvas.Fg(canvas.Graph1))
		a.Right(a.W-8, y, 7, string(format.Percent(b[:0], share))+"%", canvas.Fg(canvas.FG))
		y++
	}
	a.Fit(1, y+1, a.W-2, "from "+format.Of(format.Seconds, d.Min)+" to "+format.Of(format.Seconds, d.Max)+
		", mean "+format.Of(format.Seconds, d.Mean()), canvas.Fg(canvas.Muted))
}
