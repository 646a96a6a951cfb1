package widget

import (
	"math"

	"vitals/ui/canvas"
)

var (
	eighths = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}
	steps   = [...]rune{'_', '.', '-', '=', '+', '*', '%', '#'}
	bars    = [...]rune{'▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'}
)

// Top is the scale of a chart: the largest finite point, at least floor.
func Top(points []float32, floor float64) float64 {
	top := floor
	for _, p := range points {
		if v := float64(p); v > top && !math.IsInf(v, 1) {
			top = v
		}
	}
	return top
}

// bucket is the largest point of column i when n points are spread over w
// columns, newest on the right; NaN where there is none.
func bucket(points []float32, i, w int) float64 {
	n := len(points)
	v := math.NaN()
	if n == 0 {
		return v
	}
	from := i * n / w
	for _, p := range points[from:max((i+1)*n/w, from+1)] {
		if p := float64(p); !(p <= v) && !math.IsNaN(p) {
			v = p
		}
	}
	return v
}

// Spark draws points as a line of bars in w columns, scaled to top. A gap is no
// data, the lowest bar is zero.
func Spark(a canvas.Area, x, y, w int, points []float32, top float64, st canvas.Style) {
	for i := range w {
		v := bucket(points, i, w)
		if math.IsNaN(v) {
			continue
		}
		level := 0
		if top > 0 {
			level = min(max(int(math.Ceil(v/top*8))-1, 0), 7)
		}
		if a.ASCII() {
			a.Set(x+i, y, steps[level], st)
		} else {
			a.Set(x+i, y, eighths[level], st)
		}
	}
}

// Bars draws points as bars over the whole height of a.
func Bars(a canvas.Area, points []float32, top float64, st canvas.Style) {
	for x := range a.W {
		v := bucket(points, x, a.W)
		if math.IsNaN(v) {
			continue
		}
		level := 1
		if top > 0 {
			level = max(int(math.Ceil(v/top*float64(8*a.H))), 1)
		}
		for y := a.H - 1; y >= 0 && level > 0; y-- {
			i := min(level, 8) - 1
			if a.ASCII() {
				a.Set(x, y, steps[i], st)
			} else {
				a.Set(x, y, eighths[i], st)
			}
			level -= 8
		}
	}
}

// Dots draws points as a filled curve of braille dots, two points a column, four
// levels a row; bars where only ASCII can be shown.
func Dots(a canvas.Area, points []float32, top float64, st canvas.Style) {
	if a.ASCII() {
		Bars(a, points, top, st)
		return
	}
	if top <= 0 {
		top = 1
	}
	for x := range a.W {
		left, right := dotHeight(bucket(points, 2*x, 2*a.W), top, a.H), dotHeight(bucket(points, 2*x+1, 2*a.W), top, a.H)
		for y := range a.H {
			below := 4 * (a.H - 1 - y)
			if r := column(left-below, 0x40, 0x04, 0x02, 0x01) | column(right-below, 0x80, 0x20, 0x10, 0x08); r != 0 {
				a.Set(x, y, 0x2800+r, st)
			}
		}
	}
}

func dotHeight(v, top float64, h int) int {
	if math.IsNaN(v) {
		return 0
	}
	return min(max(int(math.Ceil(v/top*float64(4*h))), 1), 4*h)
}

func column(level int, dots ...rune) (r rune) {
	for i := range min(max(level, 0), 4) {
		r |= dots[i]
	}
	return r
}

// Bar draws a horizontal bar of ratio (0 to 1) of w columns.
func Bar(a canvas.Area, x, y, w int, ratio float64, st canvas.Style) {
	if !(ratio > 0) || w <= 0 {
		return
	}
	n := max(int(math.Round(min(ratio, 1)*float64(8*w))), 1)
	for i := 0; n > 0; i++ {
		switch {
		case !a.ASCII():
			a.Set(x+i, y, bars[min(n, 8)-1], st)
		case n >= 4:
			a.Set(x+i, y, '#', st)
		default:
			a.Set(x+i, y, '|', st)
		}
		n -= 8
	}
}

// Heat draws counts as shades: column i of the cells goes upwards, row 0 at the
// bottom; the newest column is on the right. Each shade is four times the one
// before, so that a few slow ones among thousands are seen, in colour and without.
func Heat(a canvas.Area, columns, rows int, at func(col, row int) uint32) {
	var peak uint32
	from := max(columns-a.W, 0)
	for c := from; c < columns; c++ {
		for r := range rows {
			peak = max(peak, at(c, r))
		}
	}
	if peak == 0 {
		return
	}
	shades := [...]rune{'░', '▒', '▓', '█'}
	tokens := [...]canvas.Token{canvas.Heat0, canvas.Heat1, canvas.Heat2, canvas.Heat3}
	steps := [...]uint32{peak / 32, peak / 8, peak / 2}
	for c := from; c < columns; c++ {
		for r := range min(rows, a.H) {
			if n := at(c, r); n > 0 {
				i := 0
				for i < len(steps) && n > steps[i] {
					i++
				}
				a.Set(a.W-columns+c, a.H-1-r, shades[i], canvas.Fg(tokens[i]))
			}
		}
	}
}
