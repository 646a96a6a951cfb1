package talk

import (
	"time"

	"vitals/core"
	"vitals/core/wire"
)

// feed gives a record to the parser of its connection and takes what comes out.
func (p *Reader) feed(c *connection, r *Record) {
	var s wire.Span
	if r.Kind == Transfer {
		if !c.stream {
			c.stream = true
			p.streaming[c] = struct{}{}
		}
		s = wire.Span{From: r.from(), Data: r.Request, Size: r.size(), First: r.First, Last: r.Last}
		c.conn.Feed(&s, &p.out)
		p.harvest(c, r)
		return
	}
	if n := r.asked(); n > 0 {
		s = wire.Span{From: wire.Client, Data: r.Request, Size: n, First: r.Start, Last: r.Start, Turn: true}
		c.conn.Feed(&s, &p.out)
	}
	if n := r.answered(); n > 0 && !p.out.Wrong {
		s = wire.Span{From: wire.Server, Data: r.Response, Size: n, First: r.First, Last: r.Last, Turn: true}
		c.conn.Feed(&s, &p.out)
	}
	if r.Flags&(Closed|Ends) != 0 && !p.out.Wrong {
		c.conn.End(r.Last, reason(r.Flags), &p.out)
	}
	p.harvest(c, r)
}

// harvest takes what the parser found in r.
func (p *Reader) harvest(c *connection, r *Record) {
	out := &p.out
	if out.Wrong {
		out.Reset()
		p.mistaken(c, r)
		p.wonder(c, r)
		return
	}
	if out.Peer != "" {
		c.sni, c.peer = out.Peer, ""
	}
	found := uint64(len(out.Exchanges))
	for i := range out.Exchanges {
		p.request(c, r, &out.Exchanges[i])
	}
	p.count(r, found)
	for _, name := range out.Resolved {
		p.peers.resolved(r.Proc, name)
	}
	next, blind := out.Switch, out.Blind
	out.Reset()
	if next != "" {
		p.change(c, next, r.serverPort())
	}
	if blind != "" {
		p.blinded(c, r, blind)
	}
}

// count adds what a record was worth: exchanges as the parser found them, or one
// that it could make nothing of.
func (p *Reader) count(r *Record, found uint64) {
	out := &p.out
	t := p.of(r.Proc)
	t.BytesParsed += uint64(out.Parsed)
	t.Parsed += found
	t.Unpaired += uint64(out.Unpaired)
	t.Exchanges += found + uint64(out.Unpaired)
	if found == 0 && out.Unpaired == 0 && out.Parsed == 0 && out.Skipped > 0 && r.Kind == Exchange {
		t.Exchanges++
	}
}

// request hands one exchange on.
func (p *Reader) request(c *connection, r *Record, x *wire.Exchange) {
	q := p.next()
	*q = core.Request{
		Proc:     r.Proc,
		Role:     r.Role,
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

// change goes on with another protocol on the same connection.
func (p *Reader) change(c *connection, name string, port uint16) {
	proto := p.judge.byName[name]
	if proto == nil {
		c.conn, c.blind = nil, name
		p.ignore(c)
		return
	}
	c.proto = proto
	c.conn = proto.New(wire.Options{Names: p.names, Port: port})
	if how := captureFor(proto); p.tune != nil && how != (Capture{}) {
		p.tune.Connection(c.cookie, c.role, how)
	}
}

// blinded gives up reading a connection.
func (p *Reader) blinded(c *connection, r *Record, why string) {
	c.conn, c.blind = nil, why
	p.of(r.Proc).Why = why
	p.ignore(c)
}

// ignore forgets that a connection is read transfer by transfer.
func (p *Reader) ignore(c *connection) {
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
