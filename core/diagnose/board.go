package diagnose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"vitals/core"
)

// ErrNoUnit is returned for an id that no unit has.
var ErrNoUnit = errors.New("there is no such unit")

// Config is what a Board needs; only Source is required.
type Config struct {
	Source    core.Source
	Directory core.Directory // finds the units themselves; nil judges by their lives alone
	Recorder  core.Recorder  // times checks as "check"; nil for none
	Log       *slog.Logger

	Deadline time.Duration // [5s] of a check
	TTL      time.Duration // [2s] for which a result is told again
	Hold     int           // [2] checks in a row before a failing one is believed
	Recovery time.Duration // [1m] for which a unit that worked and now retries counts as well
}

// Board knows the health of every unit: from its life, from its last
// operations, and from a check that it runs when it is asked. Its methods may be
// called from any goroutine.
type Board struct {
	cfg    Config
	redact redactor

	mu    sync.Mutex
	cells map[string]*cell // by unit id
}

// keptChecks is how many results of a unit are remembered.
const keptChecks = 10

// cell is the memory of one unit. The board's lock guards it.
type cell struct {
	flight  *flight // the check that runs, also one that is over its deadline
	newest  result
	unit    core.Unit // that newest is about
	shown   core.Status
	since   time.Time // of shown
	proven  bool      // it was well at some time
	trouble time.Time // when it stopped being well, zero while it is
	bad     int       // checks in a row that did not come to OK
	red     int       // of those, the ones that came to ERROR at the end
	history []Checked
}

// flight is a check that runs, for all who ask meanwhile.
type flight struct {
	done chan struct{}
	over bool // its deadline passed: nobody waits for it
	result
}

// New makes a board. Run keeps it up to date; without, it learns when asked.
func New(cfg Config) *Board {
	if cfg.Deadline <= 0 {
		cfg.Deadline = DefaultDeadline
	}
	if cfg.TTL <= 0 {
		cfg.TTL = 2 * time.Second
	}
	if cfg.Hold <= 0 {
		cfg.Hold = 2
	}
	if cfg.Recovery <= 0 {
		cfg.Recovery = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Board{cfg: cfg, redact: newRedactor(), cells: map[string]*cell{}}
}

// Run follows the lives of units, so that "since" and "how long already" are
// right for who asks later. It does little, and only when something changed.
func (b *Board) Run(ctx context.Context) error {
	for {
		changed := b.cfg.Source.Changed()
		b.observe(b.cfg.Source.Latest())
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// observe takes notice of every life and forgets units that are gone.
func (b *Board) observe(s *core.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range s.Units {
		b.follow(row, s)
	}
	if len(b.cells) <= len(s.Units) {
		return
	}
	for id, c := range b.cells {
		if c.flight == nil && !slices.ContainsFunc(s.Units, func(r *core.UnitRow) bool { return r.ID == id }) {
			delete(b.cells, id)
		}
	}
}

func newCell(row *core.UnitRow) *cell {
	if row.Since.IsZero() {
		return &cell{since: time.Now()}
	}
	return &cell{since: row.Since}
}

// follow notes whether a unit is well. The board is locked.
func (b *Board) follow(row *core.UnitRow, s *core.Snapshot) *cell {
	c := b.cells[row.ID]
	if c == nil {
		c = newCell(row)
		b.cells[row.ID] = c
	}
	switch judge(row, s) {
	case well:
		c.proven, c.trouble = true, time.Time{}
	case troubled:
		if c.trouble.IsZero() {
			c.trouble = s.At
		}
	case idle:
		c.proven, c.trouble, c.bad, c.red = false, time.Time{}, 0, 0
	}
	return c
}

// Check tells the health of one unit. It runs the unit's check unless one runs
// already or a result is younger than the TTL, and blocks at most until ctx ends
// or the check's deadline passed. The error is ErrNoUnit or nil.
func (b *Board) Check(ctx context.Context, id string, r core.CheckRequest) (Health, error) {
	s := b.cfg.Source.Latest()
	i := slices.IndexFunc(s.Units, func(row *core.UnitRow) bool { return row.ID == id })
	if i < 0 {
		return Health{}, fmt.Errorf("%s: %w", core.Clean(id, core.MaxName), ErrNoUnit)
	}
	return b.check(ctx, s, s.Units[i], r), nil
}

// All tells the health of every unit, by id. Checks run side by side.
func (b *Board) All(ctx context.Context, r core.CheckRequest) []Health {
	s := b.cfg.Source.Latest()
	list := make([]Health, len(s.Units))
	var all sync.WaitGroup
	for i, row := range s.Units {
		all.Go(func() { list[i] = b.check(ctx, s, row, r) })
	}
	all.Wait()
	slices.SortFunc(list, func(x, y Health) int { return strings.Compare(x.Unit, y.Unit) })
	return list
}

func (b *Board) check(ctx context.Context, s *core.Snapshot, row *core.UnitRow, r core.CheckRequest) Health {
	r.Unit, r.Kind = row.ID, row.Kind
	var found *result
	if attached(row.Phase) && b.cfg.Directory != nil {
		if _, unit, ok := b.cfg.Directory.Lookup(row.ID); ok && unit != nil {
			found = b.test(ctx, row, unit, r)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tell(b.follow(row, s), row, s, found)
}

func attached(p core.Phase) bool { return p == core.PhaseRunning || p == core.PhaseTuning }

// test returns the newest result of a unit's check, of a new one when it is too
// old; nil when the unit has none.
func (b *Board) test(ctx context.Context, row *core.UnitRow, unit core.Unit, r core.CheckRequest) *result {
	checker := checkerOf(unit)
	if checker == nil {
		return nil
	}
	limit := deadlineOf(unit, b.cfg.Deadline)
	b.mu.Lock()
	c := b.cells[row.ID]
	if c == nil {
		c = newCell(row)
		b.cells[row.ID] = c
	}
	if c.unit == unit && !c.newest.at.IsZero() && time.Since(c.newest.at) < b.cfg.TTL {
		defer b.mu.Unlock()
		newest := c.newest
		return &newest
	}
	f := c.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flight, c.unit = f, unit
		go b.fly(context.WithoutCancel(ctx), c, f, checker, limit, r)
	} else if f.over {
		defer b.mu.Unlock()
		late := overdue(limit)
		late.Message += ", and the check still runs"
		return &late
	}
	b.mu.Unlock()
	select {
	case <-f.done:
		return &f.result
	case <-ctx.Done():
		return &result{Finding: core.Unsure("who asked did not wait for the check"), at: time.Now()}
	}
}

// fly runs one check. Who waits hears of it at its end or at its deadline; until
// the check really returns no other one is begun.
func (b *Board) fly(ctx context.Context, c *cell, f *flight, checker core.Checker, limit time.Duration, r core.CheckRequest) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	late := time.AfterFunc(limit+limit/10, func() {
		b.land(c, f, func() { f.result = overdue(limit); f.over = true })
	})
	call := core.StartCall(b.cfg.Recorder, "check")
	finding, err := guarded(ctx, checker, r)
	took := time.Since(began)
	call.End(err)
	late.Stop()
	var panicked *core.PanicError
	if errors.As(err, &panicked) {
		b.cfg.Log.Error("a health check panicked", "unit", r.Unit, "panic", b.redact.text(textOf(err)), "stack", string(panicked.Stack))
	}
	b.land(c, f, func() {
		f.result = b.redact.found(finding, err)
		if ctx.Err() != nil && err != nil {
			f.Status, f.Message = core.StatusUnknown, overdue(limit).Message
		}
		f.at, f.took = time.Now(), took
	})
	b.mu.Lock()
	c.flight = nil
	b.mu.Unlock()
}

func overdue(limit time.Duration) result {
	return result{Finding: core.Unsure(fmt.Sprintf("timed out after %v", limit)), at: time.Now(), took: limit}
}

// land tells a flight's result to all who wait, once.
func (b *Board) land(c *cell, f *flight, set func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-f.done:
		return
	default:
	}
	set()
	c.newest = f.result
	c.history = append(c.history, Checked{f.at, f.took, f.Status, f.Message})
	if len(c.history) > keptChecks {
		c.history = slices.Delete(c.history, 0, 1)
	}
	switch f.Status {
	case core.StatusOK:
		c.bad, c.red = 0, 0
	case core.StatusError:
		c.bad++
		c.red++
	default:
		c.bad++
	}
	close(f.done)
}
