package page

import (
	"cmp"
	"slices"
	"time"

	"vitals/core"
)

// resting is how long after its last request a call still counts as one of now.
const resting = 30 * time.Second

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
