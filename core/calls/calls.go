// Package calls measures the calls that vitals itself makes: attach, check,
// scrape, push, query. It is the core.Recorder behind core.Call: durations,
// outcomes, what is in flight, and since when.
package calls

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// Other is the operation that counts the calls of operations beyond MaxOps.
const Other = "other"

// MaxOps is how many operations are told apart.
const MaxOps = 64

// maxStarts is how many calls of one operation are watched for their age.
const maxStarts = 64

// outcomes in the order in which they are counted.
var outcomes = [...]core.Outcome{core.OutcomeOK, core.OutcomeError, core.OutcomeTimeout, core.OutcomeCancelled, core.OutcomePanic}

// Recorder counts calls. It is safe for concurrent use, starts no goroutine and
// allocates only for an operation's first calls. A nil Recorder ignores all.
type Recorder struct {
	began time.Time
	ops   atomic.Pointer[map[string]*op] // replaced, never modified
	mu    sync.Mutex                     // serialises replacing
}

// Row is what is known of one operation. It is a copy.
type Row = core.CallRow

type op struct {
	mu       sync.Mutex
	begun    uint64
	ended    [len(outcomes)]uint64
	last     time.Duration
	duration metric.Durations

	// Starts of calls in flight, in no order, as time since the recorder began.
	starts  [maxStarts]time.Duration
	watched int
	// Calls in flight beyond maxStarts: how many, and the start of the first.
	crowd      int
	crowdBegan time.Duration
}

// New makes a recorder.
func New() *Recorder {
	r := &Recorder{began: time.Now()}
	r.ops.Store(&map[string]*op{})
	return r
}

// Begin counts a call that begins now.
func (r *Recorder) Begin(name string) {
	if r == nil {
		return
	}
	o, now := r.op(name), time.Since(r.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun++
	switch {
	case o.watched < maxStarts:
		o.starts[o.watched] = now
		o.watched++
	default:
		if o.crowd == 0 {
			o.crowdBegan = now
		}
		o.crowd++
	}
}

// End counts the end of a call that took d. An End without a Begin is
// a mistake of the caller and not counted.
func (r *Recorder) End(name string, how core.Outcome, d time.Duration) {
	if r == nil {
		return
	}
	o := r.op(name)
	point := metric.Of(d)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.watched+o.crowd == 0:
		return
	case o.watched == 1 && o.crowd == 0:
		o.watched = 0
	default:
		o.leave(time.Since(r.began) - d)
	}
	o.count(how, d, point)
}

// Record counts a call whose times were taken elsewhere.
func (r *Recorder) Record(name string, how core.Outcome, d time.Duration) {
	if r == nil {
		return
	}
	o := r.op(name)
	point := metric.Of(d)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun++
	o.count(how, d, point)
}

// Rows returns a copy of all that is known, by operation.
func (r *Recorder) Rows() []Row {
	if r == nil {
		return nil
	}
	ops := *r.ops.Load()
	rows := make([]Row, 0, len(ops))
	for name, o := range ops {
		rows = append(rows, o.row(name, time.Since(r.began)))
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Op, b.Op) })
	return rows
}

// op finds an operation; the first call of one makes it, within MaxOps.
func (r *Recorder) op(name string) *op {
	if o := (*r.ops.Load())[name]; o != nil {
		return o
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ops := *r.ops.Load()
	if o := ops[name]; o != nil {
		return o
	}
	if len(ops) >= MaxOps-1 || core.Clean(name, core.MaxName) != name {
		name = Other
		if o := ops[name]; o != nil {
			return o
		}
	}
	more := maps.Clone(ops)
	more[strings.Clone(name)] = &op{}
	r.ops.Store(&more)
	return more[name]
}

// leave takes the call that began at start out of those in flight: the watched
// one that began nearest to it. The exact instant is not known, since the call
// and the recorder read the clock one after the other.
func (o *op) leave(start time.Duration) {
	nearest, gap := -1, time.Duration(1<<62)
	for i, s := range o.starts[:o.watched] {
		if d := (s - start).Abs(); d < gap {
			nearest, gap = i, d
		}
	}
	if o.crowd > 0 && (nearest < 0 || start >= o.crowdBegan) {
		o.crowd--
		return
	}
	o.watched--
	o.starts[nearest] = o.starts[o.watched]
}

func (o *op) count(how core.Outcome, d time.Duration, p metric.Point) {
	for i, known := range outcomes {
		if how == known {
			o.ended[i]++
		}
	}
	o.last = d
	o.duration.Observe(p, 1)
}

func (o *op) row(name string, now time.Duration) Row {
	o.mu.Lock()
	defer o.mu.Unlock()
	row := Row{Op: name, Begun: o.begun, InFlight: o.watched + o.crowd, Last: o.last,
		Ended: make(map[core.Outcome]uint64), Duration: o.duration.Snapshot()}
	for i, n := range o.ended {
		if n > 0 {
			row.Ended[outcomes[i]] = n
		}
	}
	switch {
	case o.watched > 0:
		row.Oldest = now - slices.Min(o.starts[:o.watched])
	case o.crowd > 0:
		row.Oldest = now - o.crowdBegan
	}
	return row
}
