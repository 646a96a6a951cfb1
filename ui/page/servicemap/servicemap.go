// Package servicemap is the page of who calls whom: services of this machine and
// their peers outside as a picture, or as a list.
package servicemap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

const (
	maxColumns = 6
	maxNodes   = 60
)

// Page shows the calls. The cursor stays on its node while the picture moves.
type Page struct {
	edges  []*edge
	graph  *graph
	at     string // the node under the cursor
	top    int
	rest   int // edges over which nothing goes any more: not in the picture
	hits   []canvas.Rect
	list   bool // asked for
	flat   bool // drawn as a list, asked for or for want of room
	table  widget.Table
	rows   []*edge
	line   string
	filter filter.Filter[*edge]
	known  map[string]*core.ServiceRow
}

const (
	colFrom = iota
	colTo
	colProto
	colRate
	colErr
	colP99
	colCount
)

// New makes the page.
func New() *Page {
	return &Page{graph: &graph{}, filter: parse(""), table: widget.Table{Sort: colRate, Desc: true, Columns: []widget.Column{
		colFrom:  {Title: "WHO", W: 20, Min: 12, Max: 36},
		colTo:    {Title: "CALLS", W: 20, Min: 12, Max: 44},
		colProto: {Title: "PROTO", W: 10, Min: 6, Max: 20, Leave: 1},
		colRate:  {Title: "RATE/s", W: 7, Right: true},
		colErr:   {Title: "ERR%", W: 5, Right: true},
		colP99:   {Title: "P99", W: 6, Right: true},
		colCount: {Title: "COUNT", W: 10, Right: true, Leave: 2},
	}}}
}

// Title is the page's name.
func (p *Page) Title() string { return "Map" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.ServiceMap }

// Filter is the filter as it was typed.
func (p *Page) Filter() string { return p.line }

// FilterHelp names the keys of the filter.
func (p *Page) FilterHelp() string {
	return "word in a name  who: calls: proto:  rate> err>5 p99>100ms count>"
}

// SetFilter shows the calls that match.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.line, p.filter = line, parse(line)
	p.table.Cursor = 0
}

func parse(line string) filter.Filter[*edge] {
	return filter.Fields[*edge]{
		Words: func(e *edge, w string) bool { return filter.Contains(e.from, w) || filter.Contains(e.to, w) },
		Text: map[string]func(*edge) string{
			"who":   func(e *edge) string { return e.from },
			"calls": func(e *edge) string { return e.to },
			"proto": func(e *edge) string { return strings.Join(e.protocols, " ") },
		},
		Number: map[string]func(*edge) float64{
			"rate":  func(e *edge) float64 { return e.rate },
			"err":   func(e *edge) float64 { return 100 * e.ratio() },
			"p99":   func(e *edge) float64 { return e.p99 },
			"count": func(e *edge) float64 { return float64(e.count) },
		},
	}.Parse(line)
}

func (e *edge) ratio() float64 {
	if e.count == 0 {
		return 0
	}
	return float64(e.errors) / float64(e.count)
}

// Update adds up the calls and plans the picture anew.
func (p *Page) Update(c *page.Context) {
	p.known = services(c.Snap)
	p.edges = slices.DeleteFunc(gather(c.Snap.Edges), func(e *edge) bool { return !p.filter.Match(e) })
	p.rows = append(p.rows[:0], p.edges...)
	slices.SortStableFunc(p.rows, func(a, b *edge) int {
		by := compare(a, b, p.table.Sort)
		if p.table.Desc {
			by = -by
		}
		return by
	})
	p.table.N = len(p.rows)
	live, past := page.LiveEdges(c)
	if p.rest = 0; len(live) > 0 {
		p.rest = len(gather(past))
	} else {
		live = past // a picture of what was is better than none
	}
	shown := slices.DeleteFunc(gather(live), func(e *edge) bool { return !p.filter.Match(e) })
	p.graph = plan(shown, p.known, maxColumns, maxNodes)
}

func compare(a, b *edge, col int) int {
	switch col {
	case colFrom:
		return cmp.Compare(a.from, b.from)
	case colTo:
		return cmp.Compare(a.to, b.to)
	case colProto:
		return cmp.Compare(strings.Join(a.protocols, " "), strings.Join(b.protocols, " "))
	case colErr:
		return cmp.Compare(a.ratio(), b.ratio())
	case colP99:
		return cmp.Compare(a.p99, b.p99)
	case colCount:
		return cmp.Compare(a.count, b.count)
	}
	return cmp.Compare(a.rate, b.rate)
}

// selected is the node under the cursor; the first one when it is gone.
func (p *Page) selected() *node {
	for _, n := range p.graph.nodes {
		if n.name == p.at {
			return n
		}
	}
	if len(p.graph.nodes) > 0 {
		p.at = p.graph.nodes[0].name
		return p.graph.nodes[0]
	}
	return nil
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if p.flat && page.SortKeys(c, &p.table, a, func() { p.Update(c) }) {
		return true
	}
	switch a {
	case keys.View, keys.NextPane, keys.PrevPane:
		p.list = !p.list
	case keys.Open:
		p.open(c)
	case keys.Copy:
		c.Copy("the calls", p.text())
	default:
		if p.flat {
			return page.Scroll(&p.table, a)
		}
		return p.walk(a)
	}
	return true
}

// walk moves the cursor through the nodes, column by column.
func (p *Page) walk(a keys.Action) bool {
	t := widget.Table{N: len(p.graph.nodes), Cursor: slices.Index(p.graph.nodes, p.selected())}
	if !page.Scroll(&t, a) {
		return false
	}
	if t.N > 0 {
		p.at = p.graph.nodes[t.Cursor].name
	}
	return true
}

func (p *Page) open(c *page.Context) {
	name := ""
	if p.flat && p.table.Cursor < len(p.rows) {
		name = p.rows[p.table.Cursor].to
		if p.known[name] == nil {
			name = p.rows[p.table.Cursor].from
		}
	} else if n := p.selected(); n != nil && !p.flat {
		name = n.name
	}
	switch {
	case name == "":
	case page.Service(c.Snap, name) != nil:
		c.Open(page.Subject{Service: name})
	default:
		c.Toast(page.Note, name+" is not on this machine, or not seen as a service")
	}
}

// text is the list as lines, for the clipboard.
func (p *Page) text() string {
	var b strings.Builder
	for _, e := range p.rows {
		fmt.Fprintf(&b, "%s -> %s (%s) %.1f/s, %d of %d failed, p99 %s\n", e.from, e.to, strings.Join(e.protocols, " "), e.rate, e.errors, e.count, format.Of(format.Seconds, e.p99))
	}
	return b.String()
}

// Draw shows the picture with the calls of the chosen node below, or the list.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	p.hits = p.hits[:0]
	if len(p.edges) == 0 {
		in := widget.Panel(a, c.Boxed(), "Who calls whom", "", true)
		in.Fit(2, 1, in.W-4, p.nothing(c), canvas.Fg(canvas.Muted))
		return
	}
	p.flat = p.list || c.Size < page.Normal || len(p.graph.columns) > 1 && (a.W-4-minBox)/(len(p.graph.columns)-1) < minBox+minGutter
	n := p.selected()
	if p.flat = p.flat || n == nil; p.flat {
		p.drawList(c, a)
		return
	}
	lines := n.calls(p.edges)
	bottom, top := a.Bottom(min(len(lines)+2, max(a.H/4, 4)))
	in := widget.Panel(top, c.Boxed(), "Who calls whom", p.remark(), true)
	p.follow(n, in.H)
	p.drawPicture(c, in.Sub(1, 0, in.W-2, in.H))
	in = widget.Panel(bottom, c.Boxed(), n.name, "⏎ open   tab list", false)
	for y, e := range lines[:min(len(lines), in.H)] {
		drawCall(in.Sub(1, y, in.W-2, 1), n, e)
	}
}

// follow keeps the chosen node on the screen.
func (p *Page) follow(n *node, h int) {
	p.top = min(p.top, n.y)
	p.top = max(p.top, n.y+boxHeight-1-h)
	p.top = max(min(p.top, p.graph.height-h), 0)
}

func (p *Page) nothing(c *page.Context) string {
	switch {
	case p.line != "":
		return "no call matches; esc shows all"
	case !c.Snap.Self.Privileged:
		return "calls are seen as root only: sudo vitals"
	}
	return "nobody has called anybody yet"
}

func (p *Page) remark() string {
	text := fmt.Sprintf("%s, %s", format.Plural(len(p.graph.nodes), "node", "nodes"), format.Plural(len(p.graph.edges), "edge", "edges"))
	if p.rest > 0 {
		text += fmt.Sprintf(", %d at rest", p.rest)
	}
	if p.graph.more > 0 {
		text += fmt.Sprintf(", %d more in the list", p.graph.more)
	}
	if p.graph.loops > 0 {
		text += fmt.Sprintf(", %d back", p.graph.loops)
	}
	return text
}

// calls are the edges at a node, those that it makes first.
func (n *node) calls(edges []*edge) (out []*edge) {
	for _, e := range edges {
		if e.from == n.name {
			out = append(out, e)
		}
	}
	for _, e := range edges {
		if e.to == n.name && e.from != n.name {
			out = append(out, e)
		}
	}
	return out
}

func drawCall(line canvas.Area, n *node, e *edge) {
	sign, who := "→ ", e.to
	if e.from != n.name {
		sign, who = "← ", e.from
	}
	x := line.Text(0, 0, sign, canvas.Fg(canvas.Muted))
	w := max(line.W-46, 10)
	line.Fit(x, 0, w, who, canvas.Fg(canvas.FG))
	line.Fit(x+w+1, 0, 10, strings.Join(e.protocols, " "), canvas.Fg(canvas.Muted))
	line.Right(line.W-31, 0, 9, format.Of(format.Count, e.rate)+"/s", canvas.Fg(canvas.FG))
	line.Right(line.W-21, 0, 8, page.Percent(e.ratio()), canvas.Fg(page.ErrorToken(e.ratio())))
	line.Right(line.W-12, 0, 12, "p99 "+format.Of(format.Seconds, e.p99), canvas.Fg(canvas.FG))
}

func (p *Page) drawList(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Who calls whom", "", true)
	p.table.Draw(in, func(row, col int, cell canvas.Area) { p.drawEdge(p.rows[row], col, cell) })
	widget.Remark(a, cmp.Or(p.table.Span(), "tab picture"))
	c.At(p.table.CursorAt())
}

func (p *Page) drawEdge(e *edge, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case colFrom, colTo:
		name := e.from
		if col == colTo {
			name = e.to
		}
		st := canvas.Style{}
		if p.known[name] == nil {
			st = canvas.Fg(canvas.Muted)
		}
		cell.Fit(0, 0, cell.W, name, st)
	case colProto:
		cell.Fit(0, 0, cell.W, strings.Join(e.protocols, " "), canvas.Fg(canvas.Muted))
	case colRate:
		page.Rate(cell, e.rate, true)
	case colErr:
		page.Errors(cell, e.ratio())
	case colP99:
		page.Latency(cell, e.p99)
	case colCount:
		page.Num(cell, format.Int(b[:0], e.count), canvas.Style{})
	}
}

// Click moves the cursor; two clicks open.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	if p.flat {
		if row := p.table.RowAt(x, y); row >= 0 {
			p.table.Cursor = row
		} else {
			page.SortClick(&p.table, x, y, func() { p.Update(c) })
			return
		}
	}
	for i, r := range p.hits {
		if r.Has(x, y) {
			p.at = p.graph.nodes[i].name
		}
	}
	if double {
		p.open(c)
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	if p.flat {
		p.table.Move(n)
		return
	}
	p.walk(map[bool]keys.Action{true: keys.CursorDown, false: keys.CursorUp}[n > 0])
}
