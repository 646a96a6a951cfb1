package talk

import (
	"vitals/core"
	"vitals/core/wire"
)

// wonder looks what an undecided connection speaks. What it said so far waits
// for the decision.
func (p *Reader) wonder(c *connection, r *Record) {
	if c.guess == nil {
		c.guess = &guess{}
	}
	g := c.guess
	if g.looked >= maxLooks && g.looked%lookAgain != 0 {
		g.looked++
		p.generic(c, r)
		return
	}
	if found := p.judge.look(c, r, func() string { return p.program(c) }); found != nil {
		p.decide(c, found, r)
		return
	}
	if g.looked > maxWaiting || len(p.undecided) >= maxUndecided {
		p.giveUp(c)
		p.generic(c, r)
		return
	}
	k := p.keep(r)
	g.waiting, g.idle = append(g.waiting, k), 0
	p.undecided[c] = struct{}{}
}

// program is the one that serves on a connection, when it is one of this machine.
func (p *Reader) program(c *connection) string {
	server := c.proc
	if c.role == core.RoleClient {
		server = c.otherEnd()
	}
	if p.Program == nil || server == (core.ProcKey{}) {
		return ""
	}
	return p.Program(server)
}

// decide begins to read a connection as what it is, from what waits on.
func (p *Reader) decide(c *connection, proto *wire.Protocol, r *Record) {
	g := c.guess
	c.guess = nil
	delete(p.undecided, c)
	c.proto = proto
	unread := g.looked > len(g.waiting)+1
	c.conn = proto.New(wire.Options{Names: p.names, Joined: c.joined || unread, Missed: c.missed && !unread, Port: r.serverPort()})
	p.join(c)
	at, how := r.endpoint(), captureFor(proto)
	if p.judge.learn(at, proto, how) && p.tune != nil {
		p.tune.Endpoint(at, how)
	}
	if how != c.captured && !c.captured.Stream || c.nameless {
		p.capture(c, how)
	}
	for _, k := range g.waiting {
		k.Role = c.role
		p.again(c, &k.Record)
		p.lay(k)
	}
	p.again(c, r)
}

// again reads a record of a connection that may have changed meanwhile.
func (p *Reader) again(c *connection, r *Record) {
	switch {
	case c.conn != nil:
		if r.Flags&afterGap != 0 {
			p.hole(c, r)
		}
		p.feed(c, r)
	case c.guess != nil:
		p.wonder(c, r)
	default:
		p.generic(c, r)
	}
}

// giveUp counts what waits as of no known protocol.
func (p *Reader) giveUp(c *connection) {
	delete(p.undecided, c)
	if c.guess == nil {
		return
	}
	for _, k := range c.guess.waiting {
		p.generic(c, &k.Record)
		p.lay(k)
	}
	c.guess.waiting = nil
}

// capture tells the kernel how to hand a connection over.
func (p *Reader) capture(c *connection, how Capture) {
	if p.tune != nil {
		p.tune.Connection(c.cookie, c.role, how)
	}
	c.captured = how
}

// plainly has a connection handed over as one that nobody reads.
func (p *Reader) plainly(c *connection) {
	p.ignore(c)
	if c.captured != (Capture{}) {
		p.capture(c, Capture{})
	}
}

// mistaken drops a protocol that turned out to be wrong.
func (p *Reader) mistaken(c *connection, r *Record) {
	p.judge.exclude(c, c.proto)
	if p.judge.unlearn(r.endpoint(), c.proto) && p.tune != nil {
		p.tune.Endpoint(r.endpoint(), Capture{})
	}
	p.plainly(c)
	c.proto, c.conn, c.guess = nil, nil, &guess{}
}
