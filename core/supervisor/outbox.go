package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
)

// report is one thing to tell: exactly one field is set.
type report struct {
	unit    *core.UnitRow
	gone    string
	event   *core.Event
	toggles *core.Toggles
}

// outbox hands reports to the Reporter in order, from its own goroutine, so
// that a slow reader of facts never delays a unit. It is bounded: rows and
// toggles that wait are replaced by newer ones, events beyond the limit are
// dropped and counted.
type outbox struct {
	to      Reporter
	log     *slog.Logger
	limit   int
	dropped atomic.Uint64
	wake    chan struct{}

	mu     sync.Mutex
	queue  []report
	rows   map[string]int // unit id -> index in queue of its waiting row
	choice int            // 1 + index in queue of the waiting toggles
	events int            // events in queue
	told   uint64         // of dropped, what the Reporter was told
	busy   bool           // a delivery is under way
}

// empty reports whether the Reporter was told everything.
func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 0 && !o.busy
}

func newOutbox(to Reporter, log *slog.Logger, limit int) *outbox {
	return &outbox{to: to, log: log, limit: limit, wake: make(chan struct{}, 1), rows: make(map[string]int)}
}

func (o *outbox) unit(row core.UnitRow) {
	o.mu.Lock()
	if i, waits := o.rows[row.ID]; waits {
		o.queue[i].unit = &row
	} else {
		o.rows[row.ID] = len(o.queue)
		o.queue = append(o.queue, report{unit: &row})
	}
	o.mu.Unlock()
	nudge(o.wake)
}

func (o *outbox) gone(id string) {
	o.mu.Lock()
	delete(o.rows, id)
	o.queue = append(o.queue, report{gone: id})
	o.mu.Unlock()
	nudge(o.wake)
}

func (o *outbox) event(e core.Event) {
	e.At = time.Now()
	o.mu.Lock()
	if o.events < o.limit {
		o.queue = append(o.queue, report{event: &e})
		o.events++
	} else {
		o.dropped.Add(1) // the rows still tell how things stand
	}
	o.mu.Unlock()
	nudge(o.wake)
}

func (o *outbox) toggles(t *core.Toggles) {
	o.mu.Lock()
	if o.choice > 0 {
		o.queue[o.choice-1].toggles = t
	} else {
		o.queue = append(o.queue, report{toggles: t})
		o.choice = len(o.queue)
	}
	o.mu.Unlock()
	nudge(o.wake)
}

// run delivers until stop is closed, then what still waits.
func (o *outbox) run(stop <-chan struct{}) {
	for {
		select {
		case <-o.wake:
			o.deliver()
		case <-stop:
			o.deliver()
			return
		}
	}
}

func (o *outbox) deliver() {
	defer func() {
		o.mu.Lock()
		o.busy = false
		o.mu.Unlock()
	}()
	o.mu.Lock()
	o.busy = true
	queue := o.queue
	o.queue, o.events, o.choice = nil, 0, 0
	clear(o.rows)
	lost := o.dropped.Load() - o.told
	o.told += lost
	o.mu.Unlock()
	for _, r := range queue {
		o.tell(r)
	}
	if lost > 0 {
		o.tell(report{event: &core.Event{At: time.Now(), Kind: core.EventLost,
			Reason: fmt.Sprintf("events of units dropped, too many at once: %d", lost)}})
	}
}

// tell never lets a reporter's panic alter a unit's life.
func (o *outbox) tell(r report) {
	defer func() {
		if v := recover(); v != nil {
			o.log.Error("report a change", "panic", v)
		}
	}()
	switch {
	case r.unit != nil:
		o.to.Unit(*r.unit)
	case r.gone != "":
		o.to.UnitGone(r.gone)
	case r.event != nil:
		logEvent(o.log, r.event)
		o.to.Event(*r.event)
	case r.toggles != nil:
		o.to.Toggles(r.toggles)
	}
}

// logEvent writes one line for a change that a person following the log wants
// to know; steps on the way are for debugging.
func logEvent(log *slog.Logger, e *core.Event) {
	attrs := []any{"reason", e.Reason}
	if e.Unit != "" {
		attrs = append(attrs, "unit", e.Unit, "from", e.From)
	}
	if e.Error != "" {
		attrs = append(attrs, "error", e.Error)
	}
	level := slog.LevelInfo
	switch core.Phase(e.To) {
	case core.PhaseAttaching, core.PhaseStarting, core.PhaseDetaching:
		level = slog.LevelDebug
	case core.PhaseBackoff, core.PhaseFailed, core.PhaseStuck:
		level = slog.LevelWarn
	}
	message := string(e.Kind)
	if e.To != "" {
		message += " " + e.To
	}
	log.Log(context.Background(), level, message, attrs...)
}
