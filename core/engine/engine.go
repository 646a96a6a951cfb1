// Package engine is the one writer of vitals: it takes facts from probes,
// discovery and the supervisor, joins them with processes and services, keeps
// series and their recent past, and publishes immutable snapshots.
//
// All state belongs to one goroutine. Every input enqueues a fact and returns;
// the queue is first in, first out, so that what was handed over before a Flush
// is in the snapshot that Flush returns.
package engine

import (
	"context"
	"sync/atomic"
	"time"

	"vitals/core"
)

// Config says what an Engine needs. The zero value of every field is usable.
type Config struct {
	Host       core.Host
	Version    string
	Privileged bool   // becomes Self.Privileged
	Notice     string // becomes Self.Notice
	Others     []int32

	// Tick is how often a snapshot is published when nothing changes; default 1 s.
	Tick time.Duration
	// Kinds lists every kind of instrumentation in display order.
	Kinds []core.KindRow
	// Programs lists our kernel programs with their counters; may be nil.
	Programs func() []core.Program
	// Serves is told of the protocols that a process is seen to answer, of each at
	// least once and at most once a series. It is called on the engine's goroutine
	// and must not block. May be nil.
	Serves func(core.ProcKey, string)
	// Calls lists the calls that vitals itself makes; may be nil.
	Calls func() []core.CallRow
	// Grace is how long an ended process with counts stays visible; default 5 min.
	Grace time.Duration
	// Limits bound the memory that traffic can claim.
	Limits Limits

	// Now and Mono are the wall clock and CLOCK_MONOTONIC in nanoseconds; nil
	// means the system's.
	Now  func() time.Time
	Mono func() int64
	// Own tells what our own process has used so far; nil means getrusage and /proc.
	Own func() OwnUsage
}

// Limits are caps on what is kept; 0 means the default in the comment.
type Limits struct {
	RoutesPerProcess int // 200; also the cap of peers of a process
	SeriesPerProcess int // 1000
	Series           int // 20000 in all
	Ended            int // 1000 ended processes with counts
	Queue            int // 1024 batches or facts
	EventsPerSecond  int // 50 process events told one by one
}

// OwnUsage is what our own process has consumed.
type OwnUsage struct {
	CPU        time.Duration // user and system, since start
	RSSBytes   uint64
	Goroutines int
}

// Engine joins facts into snapshots. Its methods may be called from any
// goroutine. Inputs block only while the queue is full, and never after Run
// has ended.
type Engine struct {
	cfg   Config
	queue chan fact
	done  chan struct{}
	head  atomic.Pointer[published]
	pools pools
	state *state // owned by Run
}

// published is a snapshot and the channel that is closed by its successor.
type published struct {
	snapshot *core.Snapshot
	replaced chan struct{}
}

// Changes cause snapshots at least minGap apart, so that what is rare is seen at
// once; where they come without pause, stormGap apart: each costs a millisecond
// for a thousand processes, and nobody reads twenty screens a second.
const (
	minGap   = 50 * time.Millisecond
	stormGap = 250 * time.Millisecond
	burst    = 5 // snapshots minGap apart before it counts as a storm
	// gather is how long a change waits for what belongs to it: a fork is
	// followed by its exec.
	gather = 5 * time.Millisecond
)

// pacing says how long to wait before the next snapshot that a change causes.
type pacing struct {
	last time.Time // of the newest snapshot
	left float64   // of the burst, refilled by time
}

// published notes a snapshot.
func (p *pacing) published(now time.Time, byChange bool) {
	p.left = min(burst, p.left+now.Sub(p.last).Seconds()*float64(time.Second/stormGap))
	if byChange {
		p.left = max(0, p.left-1)
	}
	p.last = now
}

// wait is the time until a change may be published.
func (p *pacing) wait(now time.Time) time.Duration {
	gap := minGap
	if p.left+now.Sub(p.last).Seconds()*float64(time.Second/stormGap) < 1 {
		gap = stormGap
	}
	return max(gather, gap-now.Sub(p.last))
}

// New returns an engine that already has a first, empty snapshot.
func New(cfg Config) *Engine {
	cfg.fill()
	e := &Engine{
		cfg:   cfg,
		queue: make(chan fact, cfg.Limits.Queue),
		done:  make(chan struct{}),
		state: newState(cfg),
	}
	e.publish(true)
	return e
}

// Run applies facts and publishes snapshots until ctx ends, then publishes a
// last one. It must be called once.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.done)
	tick := time.NewTicker(e.cfg.Tick)
	defer tick.Stop()
	soon := time.NewTimer(time.Hour)
	soon.Stop()
	defer soon.Stop()
	pending := false
	pace := pacing{last: time.Now(), left: burst}
	publish := func(full bool) {
		e.publish(full)
		pace.published(time.Now(), !full)
		pending = false
		soon.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			e.drain()
			e.state.tick()
			e.publish(true)
			return nil
		case f := <-e.queue:
			f.apply(e)
			if e.state.urgent && !pending {
				pending = true
				soon.Reset(pace.wait(time.Now()))
			}
		case <-soon.C:
			publish(false)
		case <-tick.C:
			e.state.tick()
			publish(true)
		}
	}
}

// drain applies what is queued at this moment.
func (e *Engine) drain() {
	for n := len(e.queue); n > 0; n-- {
		(<-e.queue).apply(e)
	}
}

// publish makes and shows the next snapshot; see state.build.
func (e *Engine) publish(full bool) {
	e.state.self.queue = len(e.queue)
	next := &published{snapshot: e.state.build(full), replaced: make(chan struct{})}
	if old := e.head.Swap(next); old != nil {
		close(old.replaced)
	}
}

// Latest returns the newest snapshot, never nil. It never blocks.
func (e *Engine) Latest() *core.Snapshot { return e.head.Load().snapshot }

// Changed returns a channel that is closed when a snapshot newer than the one
// current at the call is published. It never blocks.
func (e *Engine) Changed() <-chan struct{} { return e.head.Load().replaced }

// Flush applies everything that was handed over before the call, publishes, and
// returns that snapshot. When ctx or the engine ends first, it returns the
// newest one.
func (e *Engine) Flush(ctx context.Context) *core.Snapshot {
	f := &flushFact{reply: make(chan *core.Snapshot, 1)}
	select {
	case e.queue <- f:
	case <-ctx.Done():
		return e.Latest()
	case <-e.done:
		return e.Latest()
	}
	select {
	case s := <-f.reply:
		return s
	case <-ctx.Done():
	case <-e.done:
	}
	return e.Latest()
}

func (cfg *Config) fill() {
	or := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	or(&cfg.Limits.RoutesPerProcess, 200)
	or(&cfg.Limits.SeriesPerProcess, 1000)
	or(&cfg.Limits.Series, 20000)
	or(&cfg.Limits.Ended, 1000)
	or(&cfg.Limits.Queue, 1024)
	or(&cfg.Limits.EventsPerSecond, 50)
	if cfg.Tick <= 0 {
		cfg.Tick = time.Second
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Mono == nil {
		cfg.Mono = monotonic
	}
	if cfg.Own == nil {
		cfg.Own = ownUsage
	}
	if cfg.Serves == nil {
		cfg.Serves = func(core.ProcKey, string) {}
	}
	if cfg.Programs == nil {
		cfg.Programs = func() []core.Program { return nil }
	}
	if cfg.Calls == nil {
		cfg.Calls = func() []core.CallRow { return nil }
	}
}
