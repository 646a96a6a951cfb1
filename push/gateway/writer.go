package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"vitals/core"
)

// op is what a change does.
type op uint8

const (
	opPut op = iota
	opPost
	opDelete
	opFail // a push to the group failed
	opWipe
	opExpire
)

// change waits in the queue for the writer.
type change struct {
	op       op
	key      Key
	families []*family
	ttl      time.Duration
	cause    string // of opFail

	turn atomic.Int32 // who decides: waiting, taken by the writer, given up by the handler
	done chan error   // one answer, buffered
}

const (
	waiting = iota
	taken
	givenUp
)

// maxBatch is how many changes are stored together.
const maxBatch = 256

// submit queues c and waits until it is applied and stored. A change that was
// given up in time is never applied.
func (g *Gateway) submit(ctx context.Context, c *change) error {
	if g.closing.Load() {
		return unavailable("the gateway is shutting down")
	}
	c.done = make(chan error, 1)
	select {
	case g.queue <- c:
	default:
		return unavailable("the queue is full: %d changes wait", cap(g.queue))
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
	case <-g.stopped:
	}
	if c.turn.CompareAndSwap(waiting, givenUp) {
		if ctx.Err() != nil {
			return unavailable("not done within %v", g.Timeout)
		}
		return unavailable("the gateway is shutting down")
	}
	return <-c.done
}

// write is the writer: the only one that changes state.
func (g *Gateway) write(ctx context.Context) error {
	defer close(g.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	dirty := &unstored{}
	if g.Store != nil {
		dirty.keys = map[string]Key{}
	}
	batch := make([]*change, 0, maxBatch)
	for {
		wait := g.untilExpiry()
		if len(dirty.keys) > 0 {
			wait = min(wait, flushEvery)
		}
		timer.Reset(wait)
		select {
		case c := <-g.queue:
			batch = append(batch[:0], c)
			g.apply(g.fill(batch), dirty)
		case <-timer.C:
			g.apply([]*change{{op: opExpire}}, dirty)
			g.flush(dirty, true)
		case <-ctx.Done():
			return g.finish(dirty)
		case <-g.stop:
			return g.finish(dirty)
		}
	}
}

// fill takes what else waits.
func (g *Gateway) fill(batch []*change) []*change {
	for len(batch) < maxBatch {
		select {
		case c := <-g.queue:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// finish applies what waits and stores what the store lacks.
func (g *Gateway) finish(dirty *unstored) error {
	g.closing.Store(true)
	for batch := g.fill(nil); len(batch) > 0; batch = g.fill(batch[:0]) {
		g.apply(batch, dirty)
	}
	if g.Store == nil {
		return nil
	}
	dirty.tried = time.Time{}
	g.flush(dirty, true)
	if n := len(dirty.keys); n > 0 {
		g.Log.Error("the last failures of groups could not be stored", "groups", n)
	}
	return g.Store.Close()
}

func (g *Gateway) untilExpiry() time.Duration {
	if len(g.state.expiry) == 0 {
		return time.Hour
	}
	return max(0, time.Until(g.state.expiry[0].expires))
}

// undo restores one group.
type undo struct {
	key     Key
	was     content
	expires time.Time
	there   bool // it existed
	applied *change
}

// apply makes the changes of a batch visible, stores them together, and answers.
// What cannot be stored is undone, latest first; when it was several, each is
// tried by itself, so that one that does not fit fails alone.
func (g *Gateway) apply(batch []*change, dirty *unstored) {
	now := time.Now()
	var undos []undo
	results := make([]error, len(batch))
	g.mu.Lock()
	for i, c := range batch {
		if c.done != nil && !c.turn.CompareAndSwap(waiting, taken) && c.turn.Load() != taken {
			continue
		}
		results[i] = g.applyOne(c, now, &undos, dirty)
	}
	g.mu.Unlock()

	if err := g.commit(undos); err != nil {
		alone := len(batch) == 1
		g.mu.Lock()
		g.rollback(undos, now, err, alone, dirty)
		g.mu.Unlock()
		if !alone {
			for _, c := range batch {
				if c.done == nil || c.turn.Load() == taken {
					g.apply([]*change{c}, dirty)
				}
			}
			return
		}
		if results[0] == nil && len(undos) > 0 {
			results[0] = &refusal{status: http.StatusInternalServerError, err: err}
		}
	}
	for i, c := range batch {
		if c.done != nil && c.turn.Load() == taken {
			c.done <- results[i]
		}
	}
	g.tally.tell()
	g.flush(dirty, false)
}

// applyOne applies c, notes how to undo it, or says why not.
func (g *Gateway) applyOne(c *change, now time.Time, undos *[]undo, dirty *unstored) error {
	s := g.state
	switch c.op {
	case opDelete:
		if grp := s.groups[c.key.id()]; grp != nil {
			*undos = append(*undos, g.removal(grp, c))
		}
		s.unbury(c.key.id())
		return nil
	case opWipe:
		for _, grp := range s.sorted() {
			*undos = append(*undos, g.removal(grp, c))
		}
		s.tombs = nil
		return nil
	case opExpire:
		for len(s.expiry) > 0 && !s.expiry[0].expires.After(now) {
			grp := s.expiry[0]
			*undos = append(*undos, g.removal(grp, c))
			s.bury(grp, now)
		}
		return nil
	}
	there := s.groups[c.key.id()] != nil
	if twin := s.twin(c.key); twin != nil && !there && s.check {
		return inconsistent("the group %s would have the same push times as the group %s: use one of them", c.key, twin.key)
	}
	grp, err := s.find(c.key)
	if err != nil {
		return err
	}
	s.unbury(grp.id)
	if c.op != opFail {
		if err = s.judge(grp, c.families, c.op == opPut); err == nil {
			u := undo{key: grp.key, was: grp.content, expires: grp.expires, there: there, applied: c}
			g.replace(grp, c, now)
			*undos = append(*undos, u)
			return nil
		}
		c.cause = err.Error()
	}
	g.fail(grp, c.cause, now, dirty)
	return err
}

// replace gives grp what was pushed.
func (g *Gateway) replace(grp *group, c *change, now time.Time) {
	next := grp.content
	next.pushed, next.ttl = now.UnixNano(), c.ttl
	for _, f := range c.families {
		f.at = next.pushed
		g.noteHelp(grp, f)
	}
	if c.op == opPut {
		next.families = c.families
	} else {
		next.families = merged(next.families, c.families)
	}
	g.state.put(grp, next)
	g.state.expireAt(grp, expiryOf(now, c.ttl))
}

// noteHelp tells when a family comes with another help than is shown for its
// name, which is that of the group that is here longest.
func (g *Gateway) noteHelp(grp *group, f *family) {
	n := g.state.names[f.name]
	if n == nil || n.owners[0].group == grp.number || n.owners[0].family.help == f.help || has(grp.content.families, f.name) {
		return
	}
	g.Log.Warn("groups have different help texts for one metric: the one that is here longest is shown",
		"metric", core.Clean(f.name, core.MaxName), "group", grp.key.String())
}

// fail notes that a push failed. It is stored with the next change of the
// group, or at the end: nobody was told that it is kept.
func (g *Gateway) fail(grp *group, cause string, now time.Time, dirty *unstored) {
	grp.content.failed = now.UnixNano()
	grp.content.lastError = core.Clean(cause, 512)
	if grp.content.pushed == 0 && grp.slot < 0 {
		g.state.expireAt(grp, expiryOf(now, g.TTL))
		grp.content.ttl = g.TTL
	}
	dirty.add(grp.id, grp.key)
}

func expiryOf(now time.Time, ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return now.Add(ttl)
}

func (g *Gateway) removal(grp *group, c *change) undo {
	u := undo{key: grp.key, expires: grp.expires, there: true, applied: c}
	u.was = g.state.remove(grp)
	return u
}
