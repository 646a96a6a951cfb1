package gateway

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"vitals/core"
)

// tally counts pushes for the report. Safe for concurrent use.
type tally struct {
	taken, refused atomic.Uint64
	last           atomic.Pointer[failure]
	changed        chan struct{} // holds one value when something is to be told
}

type failure struct {
	text string
	at   time.Time
}

// pushed notes how a push ended.
func (t *tally) pushed(err error) {
	if err == nil {
		t.taken.Add(1)
	} else {
		t.last.Store(&failure{core.Clean(err.Error(), 512), time.Now()}) // before it is counted: a count without its cause teaches nothing
		t.refused.Add(1)
	}
	t.tell()
}

func (t *tally) tell() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// Row tells the state of the gateway, its newest groups first.
func (g *Gateway) Row() core.GatewayRow {
	row := core.GatewayRow{At: time.Now(), Store: "memory", Pushes: g.tally.taken.Load(), Refused: g.tally.refused.Load()}
	if d, ok := g.Store.(*DiskStore); ok {
		row.Store = core.Clean(d.dir, core.MaxCmdline)
	}
	if f := g.tally.last.Load(); f != nil {
		row.LastError, row.LastFailed = f.text, f.at
	}
	if text := g.storeErr.Load(); text != nil {
		row.StoreError = core.Clean(*text, 512)
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	row.Groups, row.Series, row.Bytes = len(g.state.groups), g.state.count, uint64(g.state.bytes)
	for _, grp := range g.state.newest(core.MaxGatewayGroups) {
		row.Listed = append(row.Listed, groupRow(grp))
	}
	return row
}

func groupRow(grp *group) core.GatewayGroup {
	c := grp.content
	row := core.GatewayGroup{
		ID: grp.id, Labels: grp.key.String(), Pushed: moment(c.pushed), Failed: moment(c.failed),
		LastError: c.lastError, Families: len(c.families), Expires: grp.expires,
	}
	for _, f := range c.families {
		row.Series += len(f.hashes)
		row.Bytes += uint64(f.bytes())
	}
	return row
}

// newest gives at most n groups, those that were pushed to last first.
func (s *state) newest(n int) []*group {
	later := func(a, b *group) int {
		at := func(g *group) int64 { return max(g.content.pushed, g.content.failed) }
		return cmp.Or(cmp.Compare(at(b), at(a)), cmp.Compare(a.number, b.number))
	}
	// The n best so far are kept sorted: with many groups most are turned down
	// by one comparison.
	var best []*group
	for _, g := range s.groups {
		if len(best) == n && later(best[n-1], g) <= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, g, later)
		best = slices.Insert(best, at, g)
		best = best[:min(len(best), n)]
	}
	return best
}
