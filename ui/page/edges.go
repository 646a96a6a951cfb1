package page

import (
	"cmp"
	"slices"
	"time"

	"vitals/core"
)

// resting is how long after its last request a call still counts as one of now.
const resting = 10 * time.Second

// Pairs adds up edges over protocols: who calls whom, in whatever language.
func Pairs(edges []*core.EdgeRow) (out []*core.EdgeRow) {
	index := map[[2]string]*core.EdgeRow{}
	for _, e := range edges {
		sum := index[[2]string{e.From, e.To}]
		if sum == nil {
			first := *e
			index[[2]string{e.From, e.To}] = &first
			out = append(out, &first)
			continue
		}
		sum.Protocol += " " + e.Protocol
		sum.Count += e.Count
		sum.Errors += e.Errors
		sum.Rate += e.Rate
		if sum.P99 != sum.P99 || e.P99 > sum.P99 { // NaN is not equal to itself
			sum.P99 = e.P99
		}
		if e.Last.After(sum.Last) {
			sum.Last = e.Last
		}
	}
	return out
}

// LiveEdges parts the calls of now from those that are over.
func LiveEdges(c *Context) (live, past []*core.EdgeRow) {
	for _, e := range c.Snap.Edges {
		if e.Rate > 0 || c.Snap.At.Sub(e.Last) < resting {
			live = append(live, e)
		} else {
			past = append(past, e)
		}
	}
	return live, past
}

// TopEdges are the n busiest edges, in steps of two so that the order does not
// tremble.
func TopEdges(edges []*core.EdgeRow, n int) []*core.EdgeRow {
	out := slices.Clone(edges)
	slices.SortStableFunc(out, func(a, b *core.EdgeRow) int {
		return cmp.Or(-cmp.Compare(log2(a.Rate), log2(b.Rate)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out[:min(len(out), max(n, 0))]
}

// LastEdges are the n edges whose last request is the newest.
func LastEdges(edges []*core.EdgeRow, n int) []*core.EdgeRow {
	out := slices.Clone(edges)
	slices.SortStableFunc(out, func(a, b *core.EdgeRow) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out[:min(len(out), max(n, 0))]
}
