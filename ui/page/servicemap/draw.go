package servicemap

import (
	"math"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Directions in which a line leaves a cell; together they make its glyph.
const (
	left = 1 << iota
	right
	up
	down
)

func lineGlyph(mask uint8) rune {
	return [16]rune{' ', '─', '─', '─', '│', '┘', '└', '┴', '│', '┐', '┌', '┬', '│', '┤', '├', '┼'}[mask&15]
}

type cell struct{ x, y int }

// wires is the lines of the picture: what crosses or joins becomes one glyph.
type wires struct {
	mask   map[cell]uint8
	tokens map[cell]canvas.Token
	arrows map[cell]canvas.Token
}

func newWires() *wires {
	return &wires{map[cell]uint8{}, map[cell]canvas.Token{}, map[cell]canvas.Token{}}
}

// add draws directions into a cell; a line that stands out stays so.
func (w *wires) add(x, y int, dirs uint8, tok canvas.Token) {
	c := cell{x, y}
	w.mask[c] |= dirs
	if old, ok := w.tokens[c]; !ok || weight(tok) > weight(old) {
		w.tokens[c] = tok
	}
}

func weight(t canvas.Token) int {
	switch t {
	case canvas.Faint:
		return 0
	case canvas.Muted:
		return 1
	case canvas.Accent:
		return 3
	}
	return 2
}

func (w *wires) across(x0, x1, y int, tok canvas.Token) {
	for x := x0; x <= x1; x++ {
		dirs := uint8(left | right)
		if x == x0 && x0 != x1 {
			dirs = right
		}
		if x == x1 && x0 != x1 {
			dirs = left
		}
		w.add(x, y, dirs, tok)
	}
}

func (w *wires) along(x, y0, y1 int, tok canvas.Token) {
	if y0 > y1 {
		y0, y1 = y1, y0
	}
	for y := y0; y <= y1 && y0 != y1; y++ {
		dirs := uint8(up | down)
		if y == y0 {
			dirs = down
		}
		if y == y1 {
			dirs = up
		}
		w.add(x, y, dirs, tok)
	}
}

// grid is where columns lie.
type grid struct{ box, gutter int }

func gridOf(width, columns int) grid {
	if columns < 2 {
		return grid{box: min(maxBox, width), gutter: 0}
	}
	box := min(maxBox, (width-minGutter*(columns-1))/columns)
	return grid{box: box, gutter: min((width-box*columns)/(columns-1), maxGutter)}
}

const (
	minBox, maxBox       = 15, 22
	minGutter, maxGutter = 6, 22
)

func (g grid) x(column int) int { return column * (g.box + g.gutter) }

// drawPicture shows the part of the graph from row top on.
func (p *Page) drawPicture(c *page.Context, a canvas.Area) {
	g := p.graph
	gr := gridOf(a.W, len(g.columns))
	at := p.selected()
	w := newWires()
	for _, column := range g.columns {
		for i, n := range column {
			for _, l := range n.out {
				w.link(l, gr, i, at)
			}
		}
	}
	for c, mask := range w.mask {
		a.Set(c.x, c.y-p.top, lineGlyph(mask), canvas.Fg(w.tokens[c]))
	}
	for c, tok := range w.arrows {
		a.Set(c.x, c.y-p.top, '▶', canvas.Fg(tok))
	}
	p.hits = p.hits[:0]
	for _, column := range g.columns {
		for _, n := range column {
			for _, l := range n.out {
				labelLink(a, l, gr, p.top)
			}
		}
	}
	for _, n := range g.nodes {
		box := a.Sub(gr.x(n.rank), n.y-p.top, gr.box, boxHeight-1)
		if n.y-p.top < 0 {
			box = canvas.Area{} // its top is above: rows that scrolled away are not drawn
		}
		p.hits = append(p.hits, box.Rect())
		drawNode(c, box, n, n == at)
	}
}

// link draws one link in the gutter behind its column. Each node of a column has
// a lane of its own, so that lines of different callers lie beside each other.
func (w *wires) link(l *link, g grid, lane int, at *node) {
	tok := linkToken(l.edge, at)
	x0, x1 := g.x(l.from.rank)+g.box, g.x(l.to.rank)-1
	if l.from.waypoint() {
		w.across(g.x(l.from.rank), x0, l.from.mid(), tok)
	}
	bus := x0 + 1 + lane%max(g.gutter-4, 1)
	y0, y1 := l.from.mid(), l.to.mid()
	w.across(x0, bus, y0, tok)
	w.along(bus, y0, y1, tok)
	w.across(bus, x1, y1, tok)
	if l.last {
		w.arrows[cell{x1, y1}] = tok
	}
}

func linkToken(e *edge, at *node) canvas.Token {
	switch {
	case at != nil && (e.from == at.name || e.to == at.name):
		return canvas.Accent
	case e.rate <= 0:
		return canvas.Faint
	case e.count > 0 && float64(e.errors)/float64(e.count) >= 0.05:
		return canvas.Crit
	}
	return canvas.Muted
}

// labelLink writes the rate on a line that carries one edge only.
func labelLink(a canvas.Area, l *link, g grid, top int) {
	if !l.last || len(l.to.in) != 1 || l.edge.rate <= 0 {
		return
	}
	text := format.Of(format.Count, l.edge.rate) + "/s"
	x1 := g.x(l.to.rank) - 2
	if room := g.gutter - 6; canvas.Width(text) <= room {
		a.Right(x1-canvas.Width(text), l.to.mid()-top, canvas.Width(text), text, canvas.Fg(canvas.FG))
	}
}

// drawNode shows a service with what it serves, or an outside peer.
func drawNode(c *page.Context, box canvas.Area, n *node, at bool) {
	if box.H < 2 {
		return
	}
	in := widget.Panel(box, true, "", "", at)
	name, st := n.name, canvas.Style{}
	x := 1
	if n.svc != nil {
		sign, tok := page.ServiceSign(n.svc)
		in.Set(x, 0, sign, canvas.Fg(tok))
		x += 2
	} else {
		st = canvas.Fg(canvas.Muted) // outside, or not instrumented
	}
	in.Fit(x, 0, in.W-x, name, st)
	rate, errors, p99 := nodeFigures(n)
	if rate <= 0 && math.IsNaN(p99) {
		return
	}
	x = in.Text(1, 1, format.Of(format.Count, rate)+"/s ", canvas.Fg(canvas.Muted))
	x = in.Text(x, 1, format.Of(format.Seconds, p99), canvas.Fg(canvas.FG))
	if errors > 0 {
		in.Text(x+1, 1, page.Percent(errors), canvas.Fg(page.ErrorToken(errors)))
	}
}

// figures of a node: what it serves, else what is asked of it.
func nodeFigures(n *node) (rate, errors, p99 float64) {
	if n.svc != nil && n.svc.Server.Count > 0 {
		return n.svc.Server.Rate, n.svc.Server.ErrRatio, n.svc.Server.P99
	}
	var count, failed uint64
	p99 = math.NaN()
	for _, l := range n.in {
		rate += l.edge.rate
		count += l.edge.count
		failed += l.edge.errors
		p99 = known(p99, l.edge.p99)
	}
	if count > 0 {
		errors = float64(failed) / float64(count)
	}
	return rate, errors, p99
}

func services(s *core.Snapshot) map[string]*core.ServiceRow {
	m := make(map[string]*core.ServiceRow, len(s.Services))
	for _, r := range s.Services {
		m[r.Name] = r
	}
	return m
}
