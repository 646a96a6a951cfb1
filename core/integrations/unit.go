package integrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"vitals/core"
	"vitals/core/integrations/dial"
	"vitals/core/integrations/kit"
)

// Patience with servers that do not answer as they should.
const (
	failuresInARow = 3 // after which the unit ends, and its back-off begins
	refusedPause   = time.Minute
	refusedPauses  = time.Hour // at most
	closing        = time.Second
	secondRound    = 2 * time.Second
)

// errDeaf is a call of a collector that does not return when its time is over.
var errDeaf = errors.New("it did not return from a call")

// unit asks one server on an interval: the life that the supervisor runs of a job.
type unit struct {
	job       *job
	collector kit.Collector
	now       chan struct{} // asks for a round at once
	turn      chan struct{} // a token: one call of the collector at a time
	stopped   context.Context
	stop      context.CancelFunc
	proven    bool
	checked   time.Time // guarded by turn
	verdict   error     // of the newest round, guarded by turn
	// deaf is true once a call did not return in time and the collector was closed
	// for it: it must not be called any more. Guarded by turn.
	deaf bool
}

// newUnit opens a collector, without side effects.
func newUnit(j *job) (*unit, error) {
	u := &unit{job: j, now: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	u.turn <- struct{}{}
	u.stopped, u.stop = context.WithCancel(context.Background())
	r := j.recipe()
	c, err := open(j.kind, r.settings, j.m.env(j.id, r.where))
	if err != nil {
		return nil, err
	}
	u.collector = c
	return u, nil
}

// open contains the panics of a kind.
func open(k kit.Kind, settings any, e kit.Env) (c kit.Collector, err error) {
	defer contain(&err)
	if c, err = k.Open(settings, e); err == nil && c == nil {
		err = errors.New("it opened nothing")
	}
	return c, err
}

// contain makes a panic an error.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = &core.PanicError{Value: v, Stack: debug.Stack()}
	}
}

// Attach does nothing: the first connection is that of the first round.
func (u *unit) Attach(context.Context) (core.Parts, error) { return nil, nil }

// Serve collects now and then on the interval. It ends when the server did not
// answer several times in a row, or never did: the supervisor waits and tries anew.
func (u *unit) Serve(ctx context.Context, ready func()) error {
	u.job.began(u)
	defer u.job.ended(u)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stopped, cancel)()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-u.now:
		}
		began := time.Now()
		err := u.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // what it says of a round that was cut off is not worth telling
		case err == nil && !u.proven:
			failed, u.proven = 0, true
			ready()
			// Rates need two collections: the second one comes soon.
			timer.Reset(min(secondRound, u.job.recipe().options.Interval))
			continue
		case err == nil:
			failed = 0
		default:
			if failed++; !u.proven || failed >= failuresInARow || refusal(err) || errors.Is(err, errDeaf) {
				return u.final(err)
			}
		}
		timer.Reset(time.Until(began.Add(spread(u.job.recipe().options.Interval))))
	}
}

// spread keeps units that began together from asking together for ever.
func spread(interval time.Duration) time.Duration {
	return interval + time.Duration((rand.Float64()-0.5)*0.1*float64(interval))
}

// final is the error that a unit ends with: refused logins are not repeated soon.
func (u *unit) final(err error) error {
	u.job.mu.Lock()
	defer u.job.mu.Unlock()
	hidden := errors.New(u.job.hide(err.Error()))
	if refusal(err) {
		pause := refusedPauses
		if n := u.job.refused; n < 7 {
			pause = min(pause, refusedPause<<max(0, n-1))
		}
		return &core.Remedied{Err: hidden, After: pause}
	}
	if core.IsPermanent(err) {
		return &core.Remedied{Err: hidden, Permanent: true}
	}
	return hidden
}

// refusal reports whether the server is well and does not want us: asking again
// soon only fills its log.
func refusal(err error) bool {
	return errors.Is(err, kit.ErrCredentials) || errors.Is(err, kit.ErrRights) ||
		errors.Is(err, kit.ErrNotOffered) || errors.Is(err, kit.ErrConsent)
}

// needs is what a user can do about an error.
func needs(err error) string {
	switch {
	case errors.Is(err, kit.ErrConsent):
		return core.NeedsConsent
	case errors.Is(err, kit.ErrCredentials):
		return core.NeedsLogin
	case errors.Is(err, kit.ErrRights):
		return core.NeedsRights
	case errors.Is(err, kit.ErrNotOffered):
		return core.NeedsServer
	}
	return core.NeedsTime
}

// round collects once and tells the job.
func (u *unit) round(ctx context.Context) error {
	select {
	case <-u.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { u.turn <- struct{}{} }()
	return u.collect(ctx)
}

// collect needs the turn.
func (u *unit) collect(ctx context.Context) error {
	if u.deaf {
		return errDeaf
	}
	o := u.job.recipe().options
	began := time.Now()
	b := kit.NewBatch(began, u.job.kind.MaxSeries, 64)
	call := core.StartCall(u.job.m.cfg.Recorder, "integration."+u.job.kind.Name)
	err := u.within(ctx, o.Timeout, func(ctx context.Context) error { return u.collector.Collect(ctx, b) })
	call.End(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	res := kit.Result{At: began}
	if err == nil {
		res = b.Done()
	}
	u.checked, u.verdict = began, err
	next := o.Interval
	if !u.proven {
		next = min(secondRound, next)
	}
	u.job.collected(res, err, began, time.Since(began), began.Add(next))
	return err
}

// within runs a call of the collector with a deadline. One that does not return
// is closed, and the unit ends; one that does not return even then is left behind.
func (u *unit) within(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(kit.WithOperator(ctx, u.job.recipe().options.operator), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer contain(&err)
		err = f(ctx)
	}()
	select {
	case err := <-done:
		return u.told(ctx, err, limit)
	case <-ctx.Done():
	}
	grace := time.NewTimer(closing)
	defer grace.Stop()
	select {
	case err := <-done:
		return u.told(ctx, err, limit)
	case <-grace.C:
	}
	u.deaf = true
	u.close()
	grace.Reset(closing)
	select {
	case <-done:
		return fmt.Errorf("%w within %v: %w", errDeaf, limit+closing, context.DeadlineExceeded)
	case <-grace.C:
		return fmt.Errorf("%w after %v: %w", errDeaf, limit+2*closing, context.DeadlineExceeded)
	}
}

// told says which limit was meant by a deadline, and logs panics.
func (u *unit) told(ctx context.Context, err error, limit time.Duration) error {
	if p, ok := errors.AsType[*core.PanicError](err); ok {
		u.job.m.cfg.Log.Error("an integration panicked", "unit", u.job.id, "panic", fmt.Sprint(p.Value), "stack", string(p.Stack))
	}
	if err != nil && ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it did not answer within %v: %w", limit, err)
	}
	return err
}

// Detach ends the connection.
func (u *unit) Detach(context.Context) error {
	u.stop()
	u.close()
	return nil
}

func (u *unit) close() {
	var err error
	defer func() {
		if err != nil {
			u.job.m.cfg.Log.Error("an integration panicked", "unit", u.job.id, "error", err)
		}
	}()
	defer contain(&err)
	u.collector.Close()
}

// soon asks for a round at once.
func (u *unit) soon() {
	select {
	case u.now <- struct{}{}:
	default:
	}
}

// update gives the running collector new settings.
func (u *unit) update(settings any) (err error) {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer contain(&err)
		err = u.job.kind.Update(u.collector, settings)
	}()
	select {
	case err = <-done:
	case <-time.After(5 * time.Second):
		err = fmt.Errorf("%w: it did not take its settings within 5s", kit.ErrNeedsRemake)
	}
	if err == nil {
		u.soon()
	}
	return err
}

// CheckHealth says how the newest collection went, when that is not long ago,
// and else collects.
func (u *unit) CheckHealth(ctx context.Context, _ core.CheckRequest) (core.Finding, error) {
	select {
	case <-u.turn:
	case <-ctx.Done():
		return core.Finding{}, fmt.Errorf("the collection that runs takes too long: %w", ctx.Err())
	}
	defer func() { u.turn <- struct{}{} }()
	if u.stopped.Err() != nil || u.deaf {
		return core.Finding{}, errors.New("it was stopped")
	}
	if u.checked.IsZero() || time.Since(u.checked) > 2*u.job.recipe().options.Interval {
		u.collect(ctx)
	} else if c, ok := u.collector.(kit.Checker); ok && u.verdict == nil {
		u.verdict = u.within(ctx, u.job.recipe().options.Timeout, c.Check)
	}
	if ctx.Err() != nil {
		return core.Finding{}, ctx.Err()
	}
	row := u.job.snapshot()
	if u.verdict != nil {
		return core.Finding{}, u.final(u.verdict)
	}
	f := core.Healthy(fmt.Sprintf("%d series in %v", row.Series, row.Duration.Round(time.Microsecond)))
	details := map[string]any{"series": row.Series, "duration_seconds": row.Duration.Seconds(), "collections": row.Runs, "failures": row.Failures}
	if len(row.Missing) > 0 {
		f.Message += "; without " + row.Missing[0]
		details["missing"] = row.Missing
	}
	if j, ok := u.collector.(kit.Judge); ok {
		if err := j.Verdict(); err != nil {
			f = core.Unhealthy(u.final(err).Error())
		}
	}
	return f.With(details), nil
}

// Collect returns the newest families; it asks nobody.
func (u *unit) Collect(context.Context, core.CheckRequest) ([]core.Family, error) {
	row := u.job.snapshot()
	if row.Families == nil && row.Message != "" {
		return nil, errors.New(row.Message)
	}
	return row.Families, nil
}

// Targets is the page of the unit at our own server.
func (u *unit) Targets() []core.Target {
	o := u.job.recipe().options
	return []core.Target{{Labels: o.Labels, Manual: !o.Scrape, Interval: o.ownInterval, Timeout: o.ownTimeout}}
}

// env is what a collector sees of the world.
func (m *Manager) env(id string, where dial.Target) kit.Env {
	return kit.Env{
		Shared: m.sharedCopy(), Dial: where.Dial, DialAs: where.DialAs, Owner: where.Owner,
		Log: m.cfg.Log.With("unit", id), Recorder: m.cfg.Recorder,
	}
}
