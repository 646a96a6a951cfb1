package talk

import "vitals/core"

// A socket that is not TCP may vanish untold, so that its exchange is shipped at
// its first response byte; an amendment with the final figures may follow. Until
// then the record is held.

// hold keeps an early record; false when there is no room.
func (p *Reader) hold(c *connection, r *Record) bool {
	if len(p.held) >= maxHeld {
		return false
	}
	c.held = p.keep(r)
	c.held.Flags &^= Closed | Ends // it was answered, and may go on
	p.held[c] = struct{}{}
	return true
}

// amended takes the final figures of what is held; anything else that comes for
// the connection lets go of it. It reports whether r was the amendment.
func (p *Reader) amended(c *connection, r *Record) bool {
	k := c.held
	same := r.Flags&Amend != 0 && r.Seq == k.Seq
	if same {
		k.Times = r.Times
	}
	p.release1(c)
	return same
}

// release1 reads what is held for a connection.
func (p *Reader) release1(c *connection) {
	k := c.held
	if k == nil {
		return
	}
	c.held = nil
	delete(p.held, c)
	p.understand(c, &k.Record)
	p.lay(k)
}

// Sends are told when they end: a client's answer may be told before the request
// that it answers. maxDelayed is how many transfers wait for such a send.
const maxDelayed = 16

// delay keeps answers that came before their requests; false when r is to be read
// now.
func (p *Reader) delay(c *connection, r *Record) bool {
	waits := c.delayed != nil
	if r.Kind != Transfer || r.Role != core.RoleClient || !r.received() || !waits && r.Flags&Late == 0 {
		return false
	}
	if !waits {
		c.delayed = &delayed{}
		p.late[c] = struct{}{}
	}
	c.delayed.list = append(c.delayed.list, p.keep(r))
	if len(c.delayed.list) == maxDelayed {
		p.catchUp(c)
	}
	return true
}

// delayed are transfers that wait for the send before them.
type delayed struct {
	list []*kept
	idle bool // a sweep found nothing new
}

// catchUp reads what was delayed.
func (p *Reader) catchUp(c *connection) {
	d := c.delayed
	if d == nil {
		return
	}
	c.delayed = nil
	delete(p.late, c)
	for _, k := range d.list {
		p.understand(c, &k.Record)
		p.lay(k)
	}
}

// Release reads what has been held since the release before, unless its socket is
// in open: still answering. Without open it reads all.
func (p *Reader) Release(open map[uint64]bool) {
	for c := range p.held {
		switch {
		case open[c.cookie]:
		case open != nil && c.held.fresh:
			c.held.fresh = false
		default:
			p.release1(c)
		}
	}
	p.settle(open == nil)
	p.age()
}

// age ends sockets of datagrams on which nothing was said for long.
func (p *Reader) age() {
	p.tick()
	for c := p.datagrams.oldest; c != nil && p.now-c.last > maxSilence; c = p.datagrams.oldest {
		if p.lossy[c.proc] >= c.last && c.conn != nil { // the answer may have been lost on its way here
			c.conn.Gap(&p.out)
			p.harvest(c, &Record{Cookie: c.cookie, Proc: c.proc, Role: c.role})
		}
		p.end(c, &Record{Kind: End, Flags: Timeout | Datagram, Cookie: c.cookie, Proc: c.proc, Role: c.role, Times: Times{Last: p.now}})
	}
}

func (p *Reader) tick() {
	if p.Clock != nil {
		p.now = max(p.now, p.Clock())
	}
}

// Lossy says that transfers of a process were lost: what nobody seems to answer
// may have been answered.
func (p *Reader) Lossy(proc core.ProcKey) {
	p.tick()
	for old, at := range p.lossy {
		if p.now-at > 2*maxSilence {
			delete(p.lossy, old)
		}
	}
	if len(p.lossy) < maxLossy {
		p.lossy[proc] = p.now
	}
}

// settle ends what nothing followed: exchanges of undecided connections, and
// answers whose requests did not come.
func (p *Reader) settle(all bool) {
	for c := range p.late {
		if all || c.delayed.idle {
			p.catchUp(c)
		} else {
			c.delayed.idle = true
		}
	}
	for c := range p.undecided {
		if c.guess.idle++; all || c.guess.idle > 4 {
			p.giveUp(c)
		}
	}
}
