package push

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vitals/core"
)

// unit is a destination with a life. One goroutine, that of Serve, pushes, so
// pushes never overlap.
type unit struct {
	*settings
	pusher *pusher
	status *status

	stopping context.Context // ends when Detach is called
	stop     context.CancelFunc
	done     chan struct{} // closed when Serve has returned

	mu       sync.Mutex
	serving  bool
	deadline time.Time          // of the final push, when Detach came with one
	abort    context.CancelFunc // ends the final push
}

func newUnit(s *settings) *unit {
	u := &unit{settings: s, status: newStatus(s), done: make(chan struct{})}
	u.stopping, u.stop = context.WithCancel(context.Background())
	return u
}

// Attach reads the files that the client settings name. It sends nothing: a
// gateway that is down is a state of the destination, not of the unit.
func (u *unit) Attach(context.Context) (core.Parts, error) {
	p, err := newPusher(u.settings)
	if err != nil {
		return nil, err
	}
	u.pusher = p
	u.status.publish()
	return nil, nil
}

// Serve pushes at once, then every interval, until ctx ends or Detach is
// called, and then a last time.
func (u *unit) Serve(ctx context.Context, ready func()) error {
	u.mu.Lock()
	if u.stopping.Err() != nil {
		u.mu.Unlock()
		return nil
	}
	u.serving = true
	u.mu.Unlock()
	defer close(u.done)

	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stopping, cancel)()

	ready()
	u.loop(running)
	u.finish(ctx)
	return nil
}

// Detach stops pushing, waits for the final push and closes the connections.
// When ctx ends first, the final push is abandoned and the error says so.
func (u *unit) Detach(ctx context.Context) error {
	u.mu.Lock()
	if at, ok := ctx.Deadline(); ok && u.deadline.IsZero() {
		// A little earlier, so that the outcome can still be told.
		u.deadline = at.Add(-min(time.Until(at)/10, 250*time.Millisecond))
	}
	u.stop()
	serving := u.serving
	u.mu.Unlock()

	var err error
	if serving {
		select {
		case <-u.done:
		case <-ctx.Done():
			u.mu.Lock()
			if u.abort != nil {
				u.abort()
			}
			u.mu.Unlock()
			err = fmt.Errorf("final push to %s: %w", u.shown, context.Cause(ctx))
		}
	}
	if u.pusher != nil {
		u.pusher.close()
	}
	return err
}

// CheckHealth asks the destination something harmless.
func (u *unit) CheckHealth(ctx context.Context, _ core.CheckRequest) (core.Finding, error) {
	if u.pusher == nil || u.stopping.Err() != nil {
		return core.Finding{}, fmt.Errorf("push to %s: not attached", u.shown)
	}
	says, err := u.pusher.sender.check(ctx)
	if err != nil {
		return core.Finding{}, err
	}
	return core.Healthy(says).With(map[string]any{"destination": u.called(), "kind": u.Kind}), nil
}

// loop pushes until ctx ends. What it pushes is always the newest snapshot:
// the gateway keeps one state, so an older one is worth nothing.
func (u *unit) loop(ctx context.Context) {
	start := u.firstSnapshot(ctx)
	grid := newSchedule(start, u.Interval, u.Instance)
	planned, previous, doubts := start, start, 0
	tick := start // planned as a point of the schedule, zero when it is none
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-u.Now:
			asked = true
		}
		if asked {
			planned, tick = time.Now(), time.Time{}
		}
		u.status.row.Skipped += grid.between(previous, planned)
		previous = planned

		r := u.pusher.pushFamilies(ctx, u.families(tick))
		if r.verdict == cancelled {
			return
		}
		if r.verdict != doubtful {
			doubts = 0
		} else if doubts++; doubts > doubtfulTries {
			r.verdict, doubts = permanent, 0
		}
		now := time.Now()
		u.status.record(r, now)
		planned = grid.after(now)
		tick = planned
		if r.verdict == transient || r.verdict == doubtful {
			planned, tick = now.Add(u.waitFor(r)), time.Time{}
		}
		u.status.row.NextAttempt = planned
		u.status.publish()
		timer.Reset(time.Until(planned))
	}
}

// waitFor is how long to wait after a failure that passes.
func (u *unit) waitFor(r result) time.Duration {
	if r.wait > 0 {
		return r.wait
	}
	return backoff(u.status.row.Consecutive)
}

// firstSnapshot waits a moment for the first snapshot with anything in it, so
// that the push at start is not an empty one, and returns the time that the
// schedule counts from.
func (u *unit) firstSnapshot(ctx context.Context) time.Time {
	changed := u.Source.Changed()
	if u.Source.Latest().Seq == 0 {
		timer := time.NewTimer(min(u.Interval, 500*time.Millisecond))
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
	}
	if u.Shared != nil {
		return u.Shared.begin()
	}
	return time.Now()
}

// finish pushes a last time and removes the group when asked to. It has its own
// deadline: the context that ended is what it comes after.
func (u *unit) finish(ended context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), FinalTimeout)
	defer cancel()
	u.mu.Lock()
	u.abort = cancel
	deadline := u.deadline
	u.mu.Unlock()
	if !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}

	// Half of the time for the snapshot: the other half must do for the request.
	due, _ := ctx.Deadline()
	r := u.pusher.push(ctx, u.fresh(ctx, time.Until(due)/2))
	if r.verdict == cancelled {
		r.verdict = transient
	}
	u.status.row.NextAttempt = time.Time{}
	u.status.record(r, time.Now())
	if r.err != nil {
		u.Log.Warn("the final push failed: the destination keeps the figures of the last one that worked",
			"error", r.err, "last", u.status.row.LastSuccess)
	}
	u.status.publish()
	if !u.DeleteOnExit {
		return
	}
	if err := u.pusher.remove(ctx); err != nil {
		u.Log.Warn("what was pushed could not be removed", "from", u.shown, "error", err)
	}
}
