package processes

import (
	"cmp"
	"math"
	"slices"

	"vitals/core"
	"vitals/ui/page"
)

// keyed is a row with what it is sorted by, read once: comparing would follow
// two pointers n log n times.
type keyed struct {
	num  float64
	low  int // what cannot be instrumented comes after what can
	tie  float64
	text string
	row  row
}

func (p *Page) sort(c *page.Context) {
	p.keyed = p.keyed[:0]
	for _, r := range p.rows {
		num, text := sortKey(c, r.ProcessRow, p.table.Sort)
		p.keyed = append(p.keyed, keyed{num, low(r.ProcessRow), known(r.CPURatio), text, r})
	}
	desc := 1
	if p.table.Desc {
		desc = -1
	}
	slices.SortFunc(p.keyed, func(a, b keyed) int {
		return cmp.Or(desc*cmp.Compare(a.num, b.num), desc*cmp.Compare(a.text, b.text), cmp.Compare(a.low, b.low), -cmp.Compare(a.tie, b.tie), cmp.Compare(a.row.PID, b.row.PID))
	})
	for i := range p.keyed {
		p.rows[i] = p.keyed[i].row
	}
	clear(p.keyed) // keep no process alive
}

func low(r *core.ProcessRow) int {
	switch {
	case r.Skip != "":
		return 2
	case !r.Alive:
		return 1
	}
	return 0
}

func known(v float64) float64 {
	if math.IsNaN(v) {
		return -1
	}
	return v
}

// sortKey is what a column sorts by; what is not known is least.
func sortKey(c *page.Context, r *core.ProcessRow, col int) (float64, string) {
	red, _ := page.RED(&r.Server, &r.Client)
	switch col {
	case colSign:
		s, _ := page.StateOf(c, r)
		return -float64(s), ""
	case colPID:
		return float64(r.PID), ""
	case colName:
		return 0, page.Name(r.Process)
	case colLang:
		return 0, r.Runtime.Language
	case colListen:
		if len(r.Listeners) > 0 {
			return 0, page.Port(r.Listeners[0])
		}
		return 0, ""
	case colProto:
		return 0, c.Protocols(r.ProcKey)
	case colErr:
		return known(red.ErrRatio), ""
	case colP50:
		return known(red.P50), ""
	case colP99:
		return known(red.P99), ""
	case colCPU:
		return known(r.CPURatio), ""
	case colRSS:
		return float64(r.Usage.RSS), ""
	case colAge:
		return -float64(r.Started.Unix()), ""
	}
	if !r.Alive {
		return -1, "" // it has no rate any more, whatever the last seconds were: below all that live
	}
	return known(red.Rate), ""
}

// arrange puts children below their parents, siblings in the order of the sort.
func (p *Page) arrange() {
	index := make(map[int32]int, len(p.rows))
	for i := range p.rows {
		index[p.rows[i].PID] = i
	}
	children := make(map[int32][]int, len(p.rows))
	var roots []int
	for i := range p.rows {
		if parent := p.rows[i].PPID; parent != p.rows[i].PID {
			if _, ok := index[parent]; ok {
				children[parent] = append(children[parent], i)
				continue
			}
		}
		roots = append(roots, i)
	}
	out := make([]row, 0, len(p.rows))
	seen := make([]bool, len(p.rows))
	var walk func(i, depth int, last bool)
	walk = func(i, depth int, last bool) {
		if seen[i] {
			return // a circle, as a pid that is reused between two looks can make one
		}
		seen[i] = true
		r := p.rows[i]
		r.depth, r.last = uint8(min(depth, 12)), last
		out = append(out, r)
		below := children[r.PID]
		for n, j := range below {
			walk(j, depth+1, n == len(below)-1)
		}
	}
	for _, i := range roots {
		walk(i, 0, false)
	}
	for i := range p.rows {
		if !seen[i] {
			walk(i, 0, false)
		}
	}
	p.rows = out
}
