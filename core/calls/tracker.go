package calls

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"vitals/core"
)

// Failing says that an operation has done nothing but fail for a while.
type Failing struct {
	Op    string
	For   time.Duration // since the first failure in a row
	Count uint64        // failures in a row
}

// Tracker watches for operations that keep failing: those that have not
// succeeded for longer than the threshold are told on every tick until they do.
// It passes every call on to the next recorder. A cancelled call says nothing
// about the other side and is neither a failure nor a success.
type Tracker struct {
	next      Rower
	threshold time.Duration
	interval  time.Duration

	mu    sync.Mutex
	since map[string]*failing // operations whose last outcome was a failure
}

type failing struct {
	began time.Time
	count uint64
}

// NewTracker makes a tracker; zero threshold and interval mean a minute each.
func NewTracker(next Rower, threshold, interval time.Duration) *Tracker {
	if threshold <= 0 {
		threshold = time.Minute
	}
	if interval <= 0 {
		interval = time.Minute
	}
	return &Tracker{next: next, threshold: threshold, interval: interval, since: make(map[string]*failing)}
}

// Run tells of failing operations at every interval until ctx ends. tell is
// called from this goroutine.
func (t *Tracker) Run(ctx context.Context, tell func(Failing)) {
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, f := range t.Stuck() {
				tell(f)
			}
		}
	}
}

// Stuck returns the operations that have been failing for longer than the
// threshold, by name.
func (t *Tracker) Stuck() (list []Failing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for op, f := range t.since {
		if d := time.Since(f.began); d > t.threshold {
			list = append(list, Failing{Op: op, For: d, Count: f.count})
		}
	}
	slices.SortFunc(list, func(a, b Failing) int { return strings.Compare(a.Op, b.Op) })
	return list
}

// Begin passes on.
func (t *Tracker) Begin(op string) { t.next.Begin(op) }

// End notes how op does and passes on.
func (t *Tracker) End(op string, o core.Outcome, d time.Duration) {
	t.next.End(op, o, d)
	if o == core.OutcomeCancelled {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch f := t.since[op]; {
	case o == core.OutcomeOK:
		delete(t.since, op)
	case f != nil:
		f.count++
	case len(t.since) < MaxOps:
		t.since[op] = &failing{began: time.Now(), count: 1}
	}
}

// Rows returns what the next recorder knows.
func (t *Tracker) Rows() []core.CallRow { return t.next.Rows() }
