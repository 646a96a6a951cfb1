package diagnose

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// lab is a source and a directory whose units are set by the test.
type lab struct {
	mu      sync.Mutex
	now     *core.Snapshot
	changed chan struct{}
	units   map[string]core.Unit
}

func newLab() *lab {
	return &lab{now: &core.Snapshot{At: time.Now()}, changed: make(chan struct{}), units: map[string]core.Unit{}}
}

func (l *lab) Latest() *core.Snapshot { l.mu.Lock(); defer l.mu.Unlock(); return l.now }
func (l *lab) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
func (l *lab) Lookup(id string) (core.Spec, core.Unit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.units[id]
	return core.Spec{ID: id}, u, ok
}

// set publishes rows, and pushes, as the newest snapshot.
func (l *lab) set(pushes []*core.PushRow, rows ...core.UnitRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &core.Snapshot{Seq: l.now.Seq + 1, At: time.Now(), Push: pushes}
	for _, r := range rows {
		s.Units = append(s.Units, &r)
	}
	l.now = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// unit is a unit that is checked by check.
type unit struct {
	check func(context.Context, core.CheckRequest) (core.Finding, error)
	calls atomic.Int64

	attach, detach func(context.Context) error
	detached       atomic.Int64
}

func (u *unit) Attach(ctx context.Context) (core.Parts, error) {
	if u.attach != nil {
		return nil, u.attach(ctx)
	}
	return nil, nil
}
func (u *unit) Serve(ctx context.Context, ready func()) error { ready(); <-ctx.Done(); return nil }
func (u *unit) Detach(ctx context.Context) error {
	u.detached.Add(1)
	if u.detach != nil {
		return u.detach(ctx)
	}
	return nil
}
func (u *unit) CheckHealth(ctx context.Context, r core.CheckRequest) (core.Finding, error) {
	u.calls.Add(1)
	return u.check(ctx, r)
}

func finds(f core.Finding, err error) *unit {
	return &unit{check: func(context.Context, core.CheckRequest) (core.Finding, error) { return f, err }}
}

// plain is a unit without any ability.
type plain struct{}

func (plain) Attach(context.Context) (core.Parts, error) { return nil, nil }
func (plain) Serve(ctx context.Context, _ func()) error  { <-ctx.Done(); return nil }
func (plain) Detach(context.Context) error               { return nil }
func running(id string) core.UnitRow                     { return phase(id, core.PhaseRunning, core.HealthOK) }
func phase(id string, p core.Phase, h core.Health) core.UnitRow {
	return core.UnitRow{ID: id, Class: core.ClassIntegration, Kind: "test", Phase: p, Health: h, Since: time.Now()}
}

const one = "integration/test/one"

// only is the health of the one unit, checked now.
func only(t *testing.T, b *Board) Health {
	t.Helper()
	h, err := b.Check(t.Context(), one, core.CheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// inLab runs f in a bubble of fake time with a unit that runs.
func inLab(t *testing.T, cfg Config, u core.Unit, f func(t *testing.T, l *lab, b *Board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.set(nil, running(one))
		if u != nil {
			l.units[one] = u
		}
		cfg.Source, cfg.Directory = l, l
		f(t, l, New(cfg))
	})
}
