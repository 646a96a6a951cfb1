package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vitals/core"
)

// attempt runs one life of the unit, from Make to Detach. nil means that it
// ended because the order changed.
func (a *actor) attempt(o order) (e *ended) {
	post := a.sup.post
	defer func() { post.exit(a.id, a.farewell(e)) }()
	a.mu.Lock()
	a.row.Tries++
	a.made = o.remade
	a.mu.Unlock()
	a.become(change{to: core.PhaseAttaching, why: o.why})
	unit, e := a.make(o)
	post.init(a.id, e.cause())
	if e != nil {
		return e
	}
	parts, e := a.attach(unit, o)
	if e != nil || parts != nil {
		post.load(a.id, parts, e.cause())
	}
	if e != nil || parts == nil {
		return e
	}
	a.sup.attached.Add(1)
	a.present(unit)
	a.become(change{to: core.PhaseStarting, why: "attached"})
	return a.serve(unit, parts, o)
}

func (a *actor) make(o order) (core.Unit, *ended) {
	var unit core.Unit
	p := a.start("init", func() (err error) {
		if unit, err = o.spec.Make(); err == nil && unit == nil {
			err = errors.New("its recipe made nothing")
		}
		return err
	})
	l := a.sup.cfg.Limits
	if !p.within(l.Attach + l.Grace) {
		return nil, a.abandon("init", p, nil)
	}
	if _, ok := unit.(core.Selective); p.err == nil && o.spec.PerProcess && !ok {
		p.err = errors.New("it observes process by process but cannot select them")
	}
	if p.err != nil {
		return nil, &ended{stage: "init", err: p.err, final: true}
	}
	return unit, nil
}

// attach attaches the unit and gives it its selection. Parts are nil when the
// order changed meanwhile; then, and after any failure, nothing is left behind.
func (a *actor) attach(unit core.Unit, o order) (core.Parts, *ended) {
	release, ok := a.slot(o)
	if !ok {
		return nil, nil
	}
	defer release()
	l := a.sup.cfg.Limits
	ctx, cancel := context.WithTimeout(context.Background(), l.Attach)
	defer cancel()
	var parts core.Parts
	stage, p := "attach", a.start("attach", func() (err error) {
		parts, err = unit.Attach(ctx)
		return err
	})
	if !a.watch(p, o, cancel) {
		return nil, a.abandon("attach", p, unit)
	}
	// An order that was taken back may be given again while this goes on: a unit
	// that was cancelled, or not told its selection then, is not one that stays.
	stays := a.stays(o) && !errors.Is(ctx.Err(), context.Canceled)
	if p.err == nil && stays && a.sel != nil {
		stage, p = "select", a.choose(unit, a.sel.whole())
		if !p.within(l.Detach) {
			return nil, a.hung(unit, nil, p)
		}
	}
	if p.err == nil && stays {
		// Settings that are refused are no failure of the unit: they are told
		// again once it runs.
		if tune := a.settings(unit, a.tune.whole); tune != nil && !tune.within(l.Detach) {
			return nil, a.hung(unit, nil, tune)
		}
	}
	stays = stays && a.stays(o)
	if p.err == nil && stays {
		if parts == nil {
			parts = core.Parts{}
		}
		return parts, nil
	}
	if e := a.release(unit, nil); e != nil {
		return nil, e
	}
	if !stays {
		return nil, nil
	}
	return nil, &ended{stage: stage, err: p.err, final: permanent(o.spec.Class, p.err)}
}

// watch waits for an attach to return, and cancels it when it is no longer
// wanted; false when it is over its deadline.
func (a *actor) watch(p *pending, o order, cancel context.CancelFunc) bool {
	l := a.sup.cfg.Limits
	hard := time.NewTimer(l.Attach + l.Grace)
	defer hard.Stop()
	for cancelled := false; ; {
		select {
		case <-p.done:
			return true
		case <-hard.C:
			return false
		case <-a.wake:
			if !cancelled && !a.stays(o) {
				cancelled = true
				cancel()
				hard.Reset(l.Detach + l.Grace)
			}
		}
	}
}

// slot takes a place in the attach pool, which is for the verifier's heavy work
// only; false when the order changed while waiting.
func (a *actor) slot(o order) (release func(), ok bool) {
	if o.spec.Class != core.ClassInstrumentation {
		return func() {}, a.stays(o)
	}
	for a.stays(o) {
		select {
		case a.sup.pool <- struct{}{}:
			return func() { <-a.sup.pool }, true
		case <-a.wake:
		}
	}
	return nil, false
}

func (a *actor) choose(unit core.Unit, sel core.Selection) *pending {
	return a.start("select", func() error { return unit.(core.Selective).Select(sel) })
}

// serve runs the unit until the order changes or it stops by itself, then
// releases it.
func (a *actor) serve(unit core.Unit, parts core.Parts, o order) *ended {
	l := a.sup.cfg.Limits
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan struct{})
	var once sync.Once
	run := a.start("", func() error { return unit.Serve(ctx, func() { once.Do(func() { close(ready) }) }) })

	proven := time.NewTimer(l.BackoffMax) // long enough to forget earlier failures
	proven.Stop()
	again := time.NewTimer(l.BackoffMax) // when to repeat a selection that was refused
	again.Stop()
	refusals := 0
	for {
		select {
		case <-run.done:
			if !a.stays(o) {
				return a.stop(unit, cancel, run, a.ordered())
			}
			err := run.err
			if err == nil {
				err = errors.New("it returned without being asked")
			}
			a.sup.post.run(a.id, err)
			a.become(change{to: core.PhaseDetaching, why: "it stopped unasked", err: err})
			if e := a.release(unit, run); e != nil {
				return e
			}
			return &ended{stage: "serve", err: err, final: permanent(o.spec.Class, err)}
		case <-ready:
			ready = nil
			a.become(change{to: core.PhaseRunning, why: "it works", parts: parts})
			proven.Reset(l.BackoffMax)
		case <-proven.C:
			if a.fails > 0 {
				a.fails = 0
				a.proven()
			}
		case <-again.C:
		case <-a.wake:
			if !a.stays(o) {
				return a.stop(unit, cancel, run, a.ordered())
			}
		}
		told, err, stuck := a.adjust(unit)
		switch {
		case stuck != nil:
			cancel()
			return a.hung(unit, run, stuck)
		case err != nil:
			refusals++
			again.Reset(backoff(l, refusals, a.sup.cfg.Jitter()))
			a.become(change{to: a.phase(), parts: parts, err: err, why: "some processes are not switched yet"})
		case told && refusals > 0:
			refusals = 0
			a.become(change{to: a.phase(), parts: parts, why: "all processes are switched"})
		}
	}
}

// adjust tells the unit which processes to observe and with which settings, as
// far as that changed. What it refuses is told again later. stuck is a call
// that did not return.
func (a *actor) adjust(unit core.Unit) (told bool, err error, stuck *pending) {
	limit := a.sup.cfg.Limits.Detach
	if a.sel != nil {
		if sel, changed := a.sel.rest(); changed {
			told = true
			p := a.choose(unit, sel)
			if !p.within(limit) {
				return told, nil, p
			}
			if err = p.err; err != nil {
				a.sel.refused(sel)
			} else {
				a.sel.took()
			}
		}
	}
	if p := a.settings(unit, a.tune.rest); p != nil {
		told = true
		if !p.within(limit) {
			return told, err, p
		}
		err = errors.Join(err, p.err)
	}
	return told, err, nil
}

// settings tells a tunable unit what get returns; nil when there is nothing to
// tell, or nobody to take it.
func (a *actor) settings(unit core.Unit, get func() (core.Tuning, bool)) *pending {
	t, changed := get()
	tunable, ok := unit.(core.Tunable)
	if !changed || !ok {
		a.tune.took()
		return nil
	}
	return a.start("tune", func() error {
		err := guarded(func() error { return tunable.Tune(t) })
		if err != nil {
			a.tune.refused(t)
			return fmt.Errorf("settings: %w", err)
		}
		a.tune.took()
		return nil
	})
}

// hung ends a unit whose Select or Tune did not return.
func (a *actor) hung(unit core.Unit, run, sel *pending) *ended {
	err := fmt.Errorf("select did not return in time: %w", context.DeadlineExceeded)
	a.become(change{to: core.PhaseDetaching, why: "it does not answer", err: err})
	if e := a.release(unit, run); e != nil {
		return e
	}
	if !sel.within(a.sup.cfg.Limits.Grace) {
		return a.abandon("select", sel, nil)
	}
	return &ended{stage: "select", err: err}
}

// proven forgets failures of the past.
func (a *actor) proven() {
	a.mu.Lock()
	a.row.Attempts = 0
	a.mu.Unlock()
	a.refresh()
}

// stop ends a unit that is no longer wanted as it is.
func (a *actor) stop(unit core.Unit, cancel context.CancelFunc, run *pending, now order) *ended {
	why := now.why
	switch {
	case now.leave:
		why = now.reason
	case now.on:
		why = "its configuration changed"
	}
	a.become(change{to: core.PhaseDetaching, why: why})
	cancel()
	e := a.release(unit, run)
	a.sup.post.run(a.id, nil)
	return e
}

// release takes the unit out. Serve, told to end by its context, gets half of
// the time to drain what it holds before Detach pulls everything from under it.
// nil means that it came to an end; what Detach complains of is kept and shown.
func (a *actor) release(unit core.Unit, run *pending) *ended {
	l := a.sup.cfg.Limits
	a.present(nil)
	a.stopTelling()
	if run != nil {
		run.within(l.Detach / 2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.Detach)
	defer cancel()
	p := a.start("detach", func() error { return unit.Detach(ctx) })
	if !p.within(l.Detach + l.Grace) {
		return a.abandon("detach", p, nil)
	}
	a.unclean = p.err
	if run != nil && !run.within(l.Grace) {
		return a.abandon("serve", run, nil)
	}
	return nil
}

// start runs foreign code; a panic in it is counted and logged. op "" is not timed.
func (a *actor) start(op string, f func() error) *pending {
	r := a.sup.cfg.Recorder
	if op == "" {
		r = nil
	}
	return start(r, op, func() error {
		err := guarded(f)
		var panicked *core.PanicError
		if errors.As(err, &panicked) {
			a.sup.panics.Add(1)
			a.sup.cfg.Log.Error("a unit panicked", "unit", a.id,
				"panic", errorText(err), "stack", string(panicked.Stack))
		}
		return err
	})
}

// abandon gives up waiting for a call. When it comes back after all, whatever
// it acquired is released, and the unit may be tried again.
func (a *actor) abandon(stage string, p *pending, unit core.Unit) *ended {
	s := a.sup
	s.stuck.Add(1)
	s.abandoned.Add(1)
	a.stopTelling()
	late := make(chan struct{})
	go func() {
		defer close(late)
		defer s.abandoned.Add(-1)
		<-p.done
		if unit != nil {
			ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Limits.Detach)
			defer cancel()
			<-a.start("detach", func() error { return unit.Detach(ctx) }).done
		}
	}()
	return &ended{stage: stage, late: late,
		err: fmt.Errorf("%s did not return in time: %w", stage, context.DeadlineExceeded)}
}

// stopTelling ends the collecting of changes: the unit is not attached any more.
func (a *actor) stopTelling() {
	if a.sel != nil {
		a.sel.stop()
	}
	a.tune.stop()
}
