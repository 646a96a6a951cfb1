package talk

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
}

// settle ends what nothing followed: exchanges of undecided connections, and
// generic ones.
func (p *Reader) settle(all bool) {
	for c := range p.undecided {
		if c.guess.idle++; all || c.guess.idle > 4 {
			p.giveUp(c)
		}
	}
}
