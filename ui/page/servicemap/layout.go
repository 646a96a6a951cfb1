package servicemap

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"vitals/core"
)

// node is a service, an outside peer, or a waypoint of an edge that passes
// through a column.
type node struct {
	name string // empty for waypoints
	svc  *core.ServiceRow
	out  []*link
	in   []*link
	rank int
	pos  int // place in its column
	y    int // first row on the picture
	mark int // of the depth-first walk
}

func (n *node) waypoint() bool { return n.name == "" }

// height is how many rows a node takes.
func (n *node) height() int {
	if n.waypoint() {
		return 1
	}
	return boxHeight
}

// mid is the row in which lines arrive and leave.
func (n *node) mid() int {
	if n.waypoint() {
		return n.y
	}
	return n.y + 1
}

const boxHeight = 5 // the last row stays empty

// link is what goes from one node to the next column's; edge is the whole.
type link struct {
	from, to *node
	edge     *edge
	last     bool // it arrives at the edge's end
}

// edge is all calls from one to another, whatever the protocol.
type edge struct {
	from, to      string
	protocols     []string
	count, errors uint64
	rate, p99     float64
}

// graph is the picture's plan: columns of nodes, edges between neighbours.
type graph struct {
	nodes   []*node // the real ones, in the order in which the cursor walks
	columns [][]*node
	edges   []*edge
	loops   int // edges that go back or stay in a column: not drawn
	more    int // nodes for which there was no room
	height  int
}

// gather adds up edges over protocols, the busiest first.
func gather(rows []*core.EdgeRow) []*edge {
	type key struct{ from, to string }
	index := map[key]*edge{}
	var out []*edge
	for _, r := range rows {
		k := key{r.From, r.To}
		e := index[k]
		if e == nil {
			e = &edge{from: r.From, to: r.To, p99: math.NaN()}
			index[k] = e
			out = append(out, e)
		}
		e.count += r.Count
		e.errors += r.Errors
		e.rate += r.Rate
		e.p99 = known(e.p99, r.P99)
		if !slices.Contains(e.protocols, r.Protocol) {
			e.protocols = append(e.protocols, r.Protocol)
		}
	}
	slices.SortFunc(out, func(a, b *edge) int {
		return cmp.Or(-cmp.Compare(a.rate, b.rate), -cmp.Compare(a.count, b.count), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return out
}

// known is the larger of two figures of which either may be unknown.
func known(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// plan lays the edges out in at most columns columns, with at most limit nodes:
// those of the busiest edges.
func plan(edges []*edge, services map[string]*core.ServiceRow, columns, limit int) *graph {
	g := &graph{edges: edges}
	byName := map[string]*node{}
	at := func(name string) *node {
		n := byName[name]
		if n == nil && len(byName) < limit {
			n = &node{name: name, svc: services[name]}
			byName[name] = n
		}
		return n
	}
	left := map[string]bool{}
	for _, e := range edges {
		from, to := at(e.from), at(e.to)
		if from == nil || to == nil {
			for _, name := range []string{e.from, e.to} {
				if byName[name] == nil {
					left[name] = true
				}
			}
			continue
		}
		l := &link{from: from, to: to, edge: e, last: true}
		from.out = append(from.out, l)
		to.in = append(to.in, l)
	}
	g.more = len(left)
	g.rank(byName, columns)
	g.waypoints()
	g.order()
	g.place()
	return g
}

// rank gives each node its column: behind everything that calls it. Calls in a
// circle are cut where the walk closes it.
func (g *graph) rank(byName map[string]*node, columns int) {
	names := slices.SortedFunc(maps.Keys(byName), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(byName[a].in), len(byName[b].in)), cmp.Compare(a, b))
	})
	const open, done = 1, 2
	var sorted []*node // callers before the called, once reversed
	back := map[*link]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		n.mark = open
		for _, l := range n.out {
			switch l.to.mark {
			case open:
				back[l] = true
			case 0:
				walk(l.to)
			}
		}
		n.mark = done
		sorted = append(sorted, n)
	}
	for _, name := range names {
		if n := byName[name]; n.mark == 0 {
			walk(n)
		}
	}
	slices.Reverse(sorted)
	for _, n := range sorted {
		for _, l := range n.out {
			if !back[l] {
				l.to.rank = max(l.to.rank, min(n.rank+1, columns-1))
			}
		}
	}
	for _, n := range sorted {
		for len(g.columns) <= n.rank {
			g.columns = append(g.columns, nil)
		}
		g.columns[n.rank] = append(g.columns[n.rank], n)
		n.out = slices.DeleteFunc(n.out, func(l *link) bool {
			if l.to.rank > n.rank {
				return false
			}
			g.loops++
			l.to.in = slices.DeleteFunc(l.to.in, func(x *link) bool { return x == l })
			return true
		})
	}
}

// waypoints cuts edges that pass through columns into links of one column each.
func (g *graph) waypoints() {
	for rank := range g.columns {
		for _, n := range g.columns[rank] {
			for _, l := range n.out {
				for l.to.rank > l.from.rank+1 {
					w := &node{rank: l.from.rank + 1}
					rest := &link{from: w, to: l.to, edge: l.edge, last: true}
					l.to.in[slices.Index(l.to.in, l)] = rest
					l.to, l.last = w, false
					w.in, w.out = []*link{l}, []*link{rest}
					g.columns[w.rank] = append(g.columns[w.rank], w)
					l = rest
				}
			}
		}
	}
}

// order moves nodes next to those that they talk to, so that few lines cross.
func (g *graph) order() {
	number := func(column []*node) {
		for i, n := range column {
			n.pos = i
		}
	}
	for _, column := range g.columns {
		number(column)
	}
	sortBy := func(column []*node, links func(*node) []*link, other func(*link) *node) {
		weight := func(n *node) float64 {
			sum, ls := 0, links(n)
			for _, l := range ls {
				sum += other(l).pos
			}
			if len(ls) == 0 {
				return float64(n.pos)
			}
			return float64(sum) / float64(len(ls))
		}
		slices.SortStableFunc(column, func(a, b *node) int { return cmp.Compare(weight(a), weight(b)) })
		number(column)
	}
	for range 4 {
		for i := 1; i < len(g.columns); i++ {
			sortBy(g.columns[i], func(n *node) []*link { return n.in }, func(l *link) *node { return l.from })
		}
		for i := len(g.columns) - 2; i >= 0; i-- {
			sortBy(g.columns[i], func(n *node) []*link { return n.out }, func(l *link) *node { return l.to })
		}
	}
}

// place stacks each column and centres it beside the tallest.
func (g *graph) place() {
	heights := make([]int, len(g.columns))
	for i, column := range g.columns {
		for _, n := range column {
			heights[i] += n.height()
		}
		g.height = max(g.height, heights[i])
	}
	for i, column := range g.columns {
		y := (g.height - heights[i]) / 2
		for _, n := range column {
			n.y = y
			y += n.height()
			if !n.waypoint() {
				g.nodes = append(g.nodes, n)
			}
		}
	}
}
