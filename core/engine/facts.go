package engine

import (
	"sync"
	"time"

	"vitals/core"
)

// fact is one thing that the engine was told. apply runs on the engine's goroutine.
type fact interface{ apply(*Engine) }

var _ core.Sink = (*Engine)(nil)
var _ core.Source = (*Engine)(nil)

// pools hold the buffers that batches are copied into, since callers keep theirs.
type pools struct {
	requests, samples, usage, coverage, inflight sync.Pool
}

// batch is a pooled copy of what a probe handed over.
type batch[T any] struct {
	items []T
	at    int64 // CLOCK_MONOTONIC when it was handed over
	run   func(*state, *batch[T])
	home  *sync.Pool
}

func (b *batch[T]) apply(e *Engine) {
	b.run(e.state, b)
	clear(b.items)
	b.items = b.items[:0]
	b.home.Put(b)
}

func hand[T any](e *Engine, pool *sync.Pool, items []T, run func(*state, *batch[T])) {
	if len(items) == 0 {
		return
	}
	b, _ := pool.Get().(*batch[T])
	if b == nil {
		b = &batch[T]{home: pool}
	}
	b.items = append(b.items, items...)
	b.at = e.cfg.Mono()
	b.run = run
	e.put(b)
}

// put enqueues a fact; it blocks while the queue is full and drops only what
// comes after the engine's end.
func (e *Engine) put(f fact) {
	select {
	case e.queue <- f:
		return
	default:
	}
	select {
	case e.queue <- f:
	case <-e.done:
	}
}

// Requests takes parsed exchanges. The slice is copied.
func (e *Engine) Requests(r []core.Request) { hand(e, &e.pools.requests, r, (*state).requests) }

// Samples takes values of metrics. The slice is copied.
func (e *Engine) Samples(s []core.Sample) { hand(e, &e.pools.samples, s, (*state).samples) }

// Usage takes what processes have consumed. The slice is copied.
func (e *Engine) Usage(u []core.Usage) { hand(e, &e.pools.usage, u, (*state).usage) }

// Coverage takes increments of completeness figures. The slice is copied.
func (e *Engine) Coverage(c []core.Coverage) { hand(e, &e.pools.coverage, c, (*state).coverage) }

// InFlight replaces the list of open requests. The slice is copied.
func (e *Engine) InFlight(f []core.InFlight) {
	if len(f) == 0 {
		e.put(call(func(s *state) { s.inFlight(nil) }))
		return
	}
	hand(e, &e.pools.inflight, f, func(s *state, b *batch[core.InFlight]) { s.inFlight(b.items) })
}

// call is a rare fact.
type call func(*state)

func (c call) apply(e *Engine) { c(e.state) }

// Lost adds to vitals_events_lost_total{stage,reason}.
func (e *Engine) Lost(stage, reason string, n uint64) {
	if n > 0 {
		e.put(call(func(s *state) { s.addLost(stage, reason, n) }))
	}
}

// ProcessUp tells of a process, new or found by looking.
func (e *Engine) ProcessUp(p *core.Process) { e.put(call(func(s *state) { s.processUp(p) })) }

// ProcessChanged tells that more, or something else, is known of a process.
func (e *Engine) ProcessChanged(p *core.Process) { e.put(call(func(s *state) { s.processChanged(p) })) }

// ProcessDown tells that a process ended.
func (e *Engine) ProcessDown(k core.ProcKey, exit core.Exit, at time.Time) {
	e.put(call(func(s *state) { s.processDown(k, exit, at) }))
}

// Unit tells the state of a unit, new or changed.
func (e *Engine) Unit(u core.UnitRow) { e.put(call(func(s *state) { s.unit(u) })) }

// UnitGone forgets a unit.
func (e *Engine) UnitGone(id string) { e.put(call(func(s *state) { s.unitGone(id) })) }

// Event numbers and keeps an event.
func (e *Engine) Event(ev core.Event) { e.put(call(func(s *state) { s.event(ev) })) }

// Toggles replaces the choices that hold.
func (e *Engine) Toggles(t *core.Toggles) { e.put(call(func(s *state) { s.setToggles(t) })) }

// Push tells the state of a destination.
func (e *Engine) Push(p core.PushRow) { e.put(call(func(s *state) { s.push(p) })) }

// Gateway tells the state of the gateway in this process.
func (e *Engine) Gateway(g core.GatewayRow) { e.put(call(func(s *state) { s.gateway(&g) })) }

// GatewayGone forgets it.
func (e *Engine) GatewayGone() { e.put(call(func(s *state) { s.gateway(nil) })) }

// Integration tells what is known of an integration, new or changed.
func (e *Engine) Integration(r core.IntegrationRow) {
	e.put(call(func(s *state) { s.integration(r) }))
}

// IntegrationGone forgets an integration.
func (e *Engine) IntegrationGone(id string) {
	e.put(call(func(s *state) { s.integrationGone(id) }))
}

// Kinds replaces the list of kinds of instrumentation, in display order.
func (e *Engine) Kinds(k []core.KindRow) { e.put(call(func(s *state) { s.setKinds(k) })) }

// Notice replaces Self.Notice and Self.Others.
func (e *Engine) Notice(text string, others []int32) {
	e.put(call(func(s *state) { s.setNotice(text, others) }))
}

type flushFact struct{ reply chan *core.Snapshot }

func (f *flushFact) apply(e *Engine) {
	e.state.tick()
	e.publish(true)
	f.reply <- e.Latest()
}
