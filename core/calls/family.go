package calls

import (
	"slices"
	"strings"
	"sync"
	"time"

	"vitals/core"
)

// Rower is a recorder that tells what it knows.
type Rower interface {
	core.Recorder
	Rows() []core.CallRow
}

// Family collects some operations in their own way, all others in the usual
// one. It must not be modified once in use.
type Family struct {
	Ops   map[string]Rower // by operation
	Other Rower            // for all others
}

var (
	_ Rower = (*Recorder)(nil)
	_ Rower = Family{}
	_ Rower = (*Counts)(nil)
	_ Rower = (*Tracker)(nil)
)

func (f Family) of(op string) Rower {
	if r, special := f.Ops[op]; special {
		return r
	}
	return f.Other
}

// Begin counts a call that begins now.
func (f Family) Begin(op string) { f.of(op).Begin(op) }

// End counts the end of a call.
func (f Family) End(op string, o core.Outcome, d time.Duration) { f.of(op).End(op, o, d) }

// Rows returns the rows of all, by operation.
func (f Family) Rows() []core.CallRow {
	rows := f.Other.Rows()
	for _, r := range f.Ops {
		rows = append(rows, r.Rows()...)
	}
	slices.SortFunc(rows, func(a, b core.CallRow) int { return strings.Compare(a.Op, b.Op) })
	return slices.CompactFunc(rows, func(a, b core.CallRow) bool { return a.Op == b.Op })
}

// Counts keeps counts only, no durations, of one operation: for calls so
// frequent or so alike that a histogram of them says nothing.
type Counts struct {
	mu  sync.Mutex
	row core.CallRow
}

// Begin counts a call that begins now.
func (c *Counts) Begin(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.row.Op = op
	c.row.Begun++
	c.row.InFlight++
}

// End counts the end of a call; one without a begin is not counted.
func (c *Counts) End(_ string, o core.Outcome, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.row.InFlight == 0 || !slices.Contains(outcomes[:], o) {
		return
	}
	if c.row.Ended == nil {
		c.row.Ended = make(map[core.Outcome]uint64, len(outcomes))
	}
	c.row.InFlight--
	c.row.Ended[o]++
	c.row.Last = d
}

// Rows returns the one row, none before the first call.
func (c *Counts) Rows() []core.CallRow {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.row.Begun == 0 {
		return nil
	}
	row := c.row
	row.Ended = make(map[core.Outcome]uint64, len(outcomes))
	for o, n := range c.row.Ended {
		row.Ended[o] = n
	}
	return []core.CallRow{row}
}
