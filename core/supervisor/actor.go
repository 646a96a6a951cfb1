package supervisor

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
)

// order is what the loop wants of an actor. The newest one counts; the actor
// looks at it whenever it is woken.
type order struct {
	given   bool // a first decision was made
	on      bool
	why     string
	spec    core.Spec
	remade  int // raised with each new spec
	retries int // raised with each request to try again
	leave   bool
	reason  string // of leave
	forget  bool   // tell UnitGone at the end
}

// actor is the life of one unit. Its goroutine runs live, which reads from top
// to bottom like that life: rest until wanted, make, attach, serve, detach,
// and rest again. Foreign code runs in goroutines of its own (see start), so
// the actor always answers.
type actor struct {
	id    string
	sup   *Supervisor
	sel   *selection // nil for units that do not select processes
	tune  *tuning
	wake  chan struct{}
	done  chan struct{}   // closed when the actor has ended
	after <-chan struct{} // closed when the former actor of this id has; nil for none
	users atomic.Int64    // processes that use it, written by the loop

	mu    sync.Mutex
	order order
	row   core.UnitRow
	left  string    // what could not be taken out, once done is closed
	unit  core.Unit // while it is attached
	made  int       // remade of the newest attempt's order

	// Owned by the actor's goroutine.
	fails   int    // attempts that failed since it last did well
	retries int    // the newest request to try again that was heard
	trouble *ended // why the last attempt ended, while that still matters
	next    time.Time
	unclean error // what the last Detach complained of
}

// newActor begins a life, once that of a former actor of the same id is over.
// Its goroutine ends after dismiss.
func (s *Supervisor) newActor(spec core.Spec, sel *selection, tune *tuning, former *actor) *actor {
	a := &actor{
		id:    spec.ID,
		sup:   s,
		sel:   sel,
		tune:  tune,
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		order: order{spec: spec},
		row: core.UnitRow{ID: spec.ID, Class: spec.Class, Kind: spec.Kind, Title: spec.Title,
			Phase: core.PhaseNew, Health: core.HealthStarting, Since: time.Now()},
	}
	if former != nil {
		former.give(func(o *order) { o.forget = false })
		a.after = former.done
	}
	s.out.unit(a.row)
	go a.live()
	return a
}

// live is the whole life of the unit.
func (a *actor) live() {
	defer close(a.done)
	if a.after != nil {
		<-a.after
	}
	for {
		o, ok := a.rest()
		if !ok {
			break
		}
		a.settle(a.attempt(o), o)
	}
	a.end()
}

// end tells the last phase, and whether something could not be taken out.
func (a *actor) end() {
	err := a.unclean
	if a.stuckNow() {
		err = a.trouble.err
	}
	a.become(change{to: core.PhaseGone, why: a.ordered().reason, err: err})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = errorText(err)
	if a.order.forget {
		a.sup.out.gone(a.id)
	}
}

// rest waits until the unit shall be attached; false when it shall go. What it
// waits for depends on how the last attempt ended.
func (a *actor) rest() (order, bool) {
	for {
		o := a.ordered()
		asked := o.retries != a.retries
		a.retries = o.retries
		var due *time.Timer
		var late <-chan struct{}
		switch {
		case o.leave:
			return o, false
		case a.stuckNow() && !asked:
			late = a.trouble.late
		case !o.given:
		case !o.on:
			a.fails, a.trouble = 0, nil
			a.become(change{to: core.PhaseOff, why: o.why, err: a.unclean})
		case a.sup.cfg.DryRun:
			a.rehearse(o)
		case a.trouble == nil || asked || o.remade != a.trouble.remade:
			if asked {
				a.fails = 0
			}
			a.trouble = nil
			return o, true
		case a.trouble.final:
		default:
			wait := time.Until(a.next)
			if wait <= 0 {
				a.trouble = nil
				return o, true
			}
			due = time.NewTimer(wait)
		}
		a.sleep(due, late)
	}
}

// rehearse says what attaching the unit would come to, as far as that can be
// told without doing it.
func (a *actor) rehearse(o order) {
	var err error
	if o.spec.Check != nil {
		p := a.start("", o.spec.Check)
		if err = fmt.Errorf("its check did not return in time: %w", context.DeadlineExceeded); p.within(a.sup.cfg.Limits.Attach) {
			err = p.err
		}
	}
	e := &ended{stage: "attach", err: err}
	switch {
	case err == nil:
		a.become(change{to: core.PhaseOff, why: "dry run: it would be attached, " + o.why})
	case e.unsupported():
		a.become(change{to: core.PhaseUnsupp, err: err, why: "dry run: this machine or user cannot do it"})
	default:
		a.become(change{to: core.PhaseFailed, err: err, why: "dry run: it could not be attached"})
	}
}

// unaware reports whether the unit has something to be told.
func (a *actor) unaware() bool {
	return a.sel != nil && a.sel.changed() || a.tune.changed()
}

// sleep waits for a new order, for the time of the next try, or for an
// abandoned call to come back. What that call left was released meanwhile.
func (a *actor) sleep(due *time.Timer, late <-chan struct{}) {
	var ring <-chan time.Time
	if due != nil {
		defer due.Stop()
		ring = due.C
	}
	select {
	case <-a.wake:
	case <-ring:
	case <-late:
		e := a.trouble
		e.late = nil
		a.backOff(fmt.Sprintf("the abandoned %s came back", e.stage), e.err)
	}
}

func (a *actor) stuckNow() bool { return a.trouble != nil && a.trouble.late != nil }

// settle decides what follows from how an attempt ended.
func (a *actor) settle(e *ended, o order) {
	if e == nil {
		a.fails, a.trouble = 0, nil
		return
	}
	e.remade = o.remade
	a.trouble = e
	a.fails++
	a.sup.failures.Add(1)
	if a.fails == 1 {
		a.sup.failed.Add(1)
	}
	a.mu.Lock()
	a.row.Failures++
	a.mu.Unlock()
	switch {
	case e.late != nil:
		a.become(change{to: core.PhaseStuck, err: e.err,
			why: e.stage + " is over its deadline and was abandoned"})
	case e.final && e.unsupported():
		a.become(change{to: core.PhaseUnsupp, err: e.err, why: "this machine or user cannot do it"})
	case e.final:
		a.become(change{to: core.PhaseFailed, err: e.err, why: e.stage + " cannot succeed by trying again"})
	default:
		a.backOff(e.why(), e.err)
	}
}

// backOff waits before the next attempt: doubling, and jittered, so that units
// that failed together do not come back together; longer when the error asks for it.
func (a *actor) backOff(why string, err error) {
	wait := max(backoff(a.sup.cfg.Limits, a.fails, a.sup.cfg.Jitter()), core.PauseAfter(err))
	a.next = time.Now().Add(wait)
	a.become(change{to: core.PhaseBackoff, err: err, next: a.next,
		why: fmt.Sprintf("%s; next try in %v", why, wait.Round(100*time.Millisecond))})
}

// backoff returns how long to wait after the n-th failure in a row, n >= 1: the
// doubled minimum, stretched by up to half of it, at most the maximum.
func backoff(l Limits, n int, jitter float64) time.Duration {
	d := l.BackoffMin
	for ; n > 1 && d < l.BackoffMax; n-- {
		d *= 2
	}
	return min(d+time.Duration(jitter*float64(d)/2), l.BackoffMax)
}

// change is a step from one phase to another.
type change struct {
	to    core.Phase
	why   string
	err   error
	parts core.Parts
	next  time.Time
}

// become makes a phase hold and tells of it. What holds already is not told
// again.
func (a *actor) become(c change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	message, parts := errorText(c.err), broken(c.parts)
	from := a.row.Phase
	if from == c.to && a.row.Message == message && maps.Equal(a.row.Parts, parts) {
		return
	}
	a.row.Phase, a.row.Message, a.row.Parts = c.to, message, parts
	a.row.Attempts, a.row.NextTry = a.fails, c.next
	if from != c.to {
		a.row.Since = time.Now()
	}
	a.row.Health = health(&a.row)
	a.tell()
	if message == "" && len(parts) > 0 {
		message = inWords(parts)
	}
	a.sup.out.event(core.Event{Kind: core.EventUnit, Unit: a.id, From: string(from), To: string(c.to),
		Attempt: a.fails, NextTry: c.next, Error: message, Reason: c.why})
}

// refresh tells the row anew: its health or its number of processes changed.
func (a *actor) refresh() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.row.Health = health(&a.row)
	a.tell()
}

func (a *actor) tell() {
	a.row.Processes = int(a.users.Load())
	a.sup.out.unit(a.row)
}

// untold reports whether the row's number of processes is out of date.
func (a *actor) untold() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row.Processes != int(a.users.Load())
}

// ordered returns the newest order.
func (a *actor) ordered() order {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order
}

// stays reports whether what o asked for still holds.
func (a *actor) stays(o order) bool {
	now := a.ordered()
	return now.on && !now.leave && now.remade == o.remade
}

// give changes the order and wakes the actor.
func (a *actor) give(f func(*order)) {
	a.mu.Lock()
	f(&a.order)
	a.mu.Unlock()
	nudge(a.wake)
}

func (a *actor) command(on bool, why string) {
	now := a.ordered()
	if now.given && now.on == on && now.why == why {
		return
	}
	a.give(func(o *order) { o.given, o.on, o.why = true, on, why })
}

func (a *actor) phase() core.Phase {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row.Phase
}

func (a *actor) spec() core.Spec { return a.ordered().spec }

// respec replaces the recipe: the running unit is stopped fully, then remade.
func (a *actor) respec(s core.Spec) {
	a.give(func(o *order) { o.spec = s; o.remade++ })
}

// dismiss ends the life. forget says that the unit shall vanish from sight.
func (a *actor) dismiss(why string, forget bool) {
	a.give(func(o *order) { o.leave, o.reason, o.forget = true, why, forget })
}

// retry makes a unit that waits or has given up try at once.
func (a *actor) retry() {
	switch a.phase() {
	case core.PhaseBackoff, core.PhaseFailed, core.PhaseUnsupp, core.PhaseStuck:
		a.give(func(o *order) { o.retries++ })
	}
}

// residue says what of the unit may still be attached, "" for nothing.
func (a *actor) residue() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.done:
		return a.left
	default:
		return string(a.row.Phase)
	}
}
