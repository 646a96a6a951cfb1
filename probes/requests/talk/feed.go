package talk

import (
	"time"

	"vitals/core"
	"vitals/core/wire"
)

// feed gives a record to the parser of its connection and takes what comes out.
func (p *Reader) feed(c *connection, r *Record) {
	if r.Kind == Transfer {
		if !c.stream && r.Flags&Greeting == 0 {
			c.stream = true
			p.streaming[c] = struct{}{}
		}
		p.turn = wire.Span{From: r.from(), Data: r.Request, Size: r.size(), First: r.First, Last: r.Last}
		p.told, p.unpaired, p.holes, p.read = 0, 0, 0, 0
		p.span(c, r)
		if c.stream {
			p.stirred = true
			p.review(c, r)
		}
		return
	}
	before := c.proto
	p.told, p.unpaired, p.holes, p.read = 0, 0, 0, 0
	if n := r.asked(); n > 0 {
		p.turn = wire.Span{From: wire.Client, Data: r.Request, Size: n, First: r.Start, Last: r.Start, Turn: true}
		p.span(c, r)
	}
	if n := r.answered(); n > 0 && c.conn != nil && c.proto == before {
		p.turn = wire.Span{From: wire.Server, Data: r.Response, Size: n, First: r.First, Last: r.Last, Turn: true}
		p.span(c, r)
	}
	if r.Flags&(Closed|Ends) != 0 && c.conn != nil {
		c.conn.End(r.Last, reason(r.Flags), &p.out)
		p.harvest(c, r)
	}
	if p.told == 0 && p.read == 0 && c.conn != nil && c.proto == before {
		p.of(r.Proc).Exchanges++ // one that the parser could make nothing of
	}
	if c.conn != nil {
		p.widen(c, r)
	}
}

// span feeds the span in p.turn. A protocol that turns out to be wrong, or hands over to
// another one, leaves what it did not take.
func (p *Reader) span(c *connection, r *Record) {
	s := &p.turn
	c.conn.Feed(s, &p.out)
	if p.out.Wrong {
		p.out.Reset()
		p.mistaken(c, r)
		p.wonder(c, r)
		return
	}
	next, rest, begun := p.out.Switch, min(p.out.Rest, s.Size), p.out.Begun
	p.harvest(c, r)
	if next == "" {
		return
	}
	p.change(c, r, next, begun)
	if rest <= 0 || c.conn == nil {
		return
	}
	s.Data = s.Data[min(int64(len(s.Data)), s.Size-rest):]
	s.Size = rest
	p.span(c, r)
}

// harvest takes what the parser found in r.
func (p *Reader) harvest(c *connection, r *Record) {
	out := &p.out
	if out.Peer != "" {
		c.sni, c.peer = out.Peer, ""
	}
	if out.Inside != "" {
		c.inside = out.Inside
	}
	p.holes += out.Skipped
	if out.Missed > 0 {
		p.missed(r, uint64(out.Missed))
	}
	for i := range out.Exchanges {
		if out.Exchanges[i].Partial {
			p.holes++
		}
		p.request(c, r, &out.Exchanges[i])
	}
	p.count(r, uint64(len(out.Exchanges)))
	for _, name := range out.Resolved {
		p.peers.resolved(r.Proc, name)
	}
	blind := out.Blind
	out.Reset()
	if blind != "" {
		p.blinded(c, r, blind)
	}
}

// count adds what the parser made of a span.
func (p *Reader) count(r *Record, found uint64) {
	told := found + uint64(p.out.Unpaired)
	p.told += told
	p.unpaired += p.out.Unpaired
	p.read += p.out.Parsed
	t := p.of(r.Proc)
	t.BytesParsed += uint64(p.out.Parsed)
	t.Parsed += found
	t.Unpaired += uint64(p.out.Unpaired)
	t.Exchanges += told
}

// missed counts requests that went by unseen.
func (p *Reader) missed(r *Record, n uint64) {
	t := p.of(r.Proc)
	t.Exchanges += n
	t.Lost += n
	p.sink.Lost("wire", "requests", n)
}

// request hands one exchange on.
func (p *Reader) request(c *connection, r *Record, x *wire.Exchange) {
	q := p.next()
	*q = core.Request{
		Proc:     r.Proc,
		Role:     r.Role,
		TLS:      p.TLS,
		Protocol: x.Protocol,
		Method:   x.Method,
		Route:    x.Target,
		Status:   x.Status,
		Code:     x.Code,
		Error:    x.Error,
		Failed:   x.FailedServer,

		Start:     x.Start,
		FirstByte: since(x.Start, x.First),
		Duration:  since(x.Start, x.End),
		BytesIn:   uint64(max(x.Asked, 0)),
		BytesOut:  uint64(max(x.Answered, 0)),
		PeerProc:  c.otherEnd(),
		Stream:    x.Stream,
		Partial:   x.Partial || r.Flags&Late != 0,
	}
	if q.Protocol == "" {
		q.Protocol = c.proto.Name
	}
	if r.Role == core.RoleClient {
		q.Failed = x.FailedClient
		q.BytesIn, q.BytesOut = q.BytesOut, q.BytesIn
		if q.Peer = x.Peer; q.Peer == "" {
			q.Peer = p.peer(c, r)
		}
	}
	q.Failed = q.Failed || x.Error != ""
}

// change goes on with another protocol on the same connection. One that nobody
// knows is looked for anew: a tunnel may carry anything.
func (p *Reader) change(c *connection, r *Record, name string, begun *wire.Exchange) {
	proto := p.judge.byName[name]
	if proto == nil {
		c.proto, c.conn, c.guess = nil, nil, &guess{}
		p.plainly(c)
		return
	}
	c.proto = proto
	c.conn = proto.New(wire.Options{Names: p.names, Port: r.serverPort()})
	if a, ok := c.conn.(wire.Adopter); ok && begun != nil {
		a.Adopt(begun)
	}
	if how := captureFor(proto); how != c.captured {
		p.capture(c, how)
	}
}

// blinded gives up reading a connection.
func (p *Reader) blinded(c *connection, r *Record, why string) {
	c.conn, c.blind, c.because = nil, why, ""
	if p.readElsewhere(c, r.Proc) {
		return
	}
	p.of(r.Proc).Why = c.reason()
	p.plainly(c)
}

// readElsewhere leaves an encrypted connection alone whose plain text is read
// where it is encrypted.
func (p *Reader) readElsewhere(c *connection, proc core.ProcKey) bool {
	if c.blind != core.ProtoTLS || p.Secret == nil {
		return false
	}
	c.elsewhere, c.why = p.Secret(proc)
	c.because = ""
	if c.elsewhere {
		p.ignore(c)
		c.open = Times{}
		p.capture(c, Capture{Mute: true})
	}
	return c.elsewhere
}

// reason is why a connection cannot be read.
func (c *connection) reason() string {
	if c.because == "" {
		c.because = c.blind
		if c.inside != "" {
			c.because += " (offers " + c.inside + ")"
		}
		if c.why != "" {
			c.because += ": " + c.why
		}
	}
	return c.because
}

// ignore forgets that a connection is read transfer by transfer.
func (p *Reader) ignore(c *connection) {
	p.stirred = p.stirred || c.stream
	c.stream = false
	delete(p.streaming, c)
}

// since is 0 when there is no later time.
func since(start, t int64) time.Duration {
	if t <= start {
		return 0
	}
	return time.Duration(t - start)
}
