package talk

import "vitals/core"

// generic counts what nobody can read: each time that the client speaks again
// begins an exchange. It has no method, route or status, but times.
func (p *Reader) generic(c *connection, r *Record) {
	// Who reads it elsewhere knows so with the first plain text, after the handshake.
	if (r.Seq&(r.Seq-1) == 0 || r.Seq%lookAgain == 0) && p.readElsewhere(c, r.Proc) {
		return
	}
	if r.Role == core.RoleUnknown {
		return // who asks is not known, so there are no exchanges
	}
	if r.Kind == Exchange {
		if r.Flags&Closed == 0 && r.First == 0 {
			return
		}
		p.unread(c, r, &r.Times, r.Flags&Closed != 0)
		return
	}
	x := &c.open
	if (r.Role == core.RoleServer) == r.received() {
		if x.First != 0 {
			p.unread(c, r, x, false)
			*x = Times{}
		}
		if x.Start == 0 {
			x.Start = r.First
		}
	} else {
		if x.Start == 0 {
			p.of(r.Proc).Unpaired++
			return
		}
		if x.First == 0 {
			x.First = r.First
		}
		x.Last = r.Last
	}
	x.In += r.In
	x.Out += r.Out
}

// finish takes the exchange that nothing will follow any more.
func (p *Reader) finish(c *connection) {
	x := &c.open
	if x.First != 0 {
		r := Record{Proc: c.proc, Role: c.role}
		p.unread(c, &r, x, false)
	}
	*x = Times{}
}

// unread hands on an exchange that nobody could read.
func (p *Reader) unread(c *connection, r *Record, x *Times, cancelled bool) {
	t := p.of(r.Proc)
	t.Exchanges++
	protocol := core.ProtoUnknown
	switch c.blind {
	case "":
		t.Unknown++
	case core.ProtoTLS:
		protocol = core.ProtoTLS
		t.Encrypted++
		t.Why = c.reason()
	default:
		t.Blind++
		t.Why = c.reason()
		if c.proto != nil {
			protocol = c.proto.Name
		}
	}
	q := p.next()
	*q = core.Request{
		Proc: r.Proc, Role: r.Role, Protocol: protocol, TLS: c.blind == core.ProtoTLS,
		Start: x.Start, FirstByte: since(x.Start, x.First), Duration: since(x.Start, x.Last),
		BytesIn: x.In, BytesOut: x.Out, PeerProc: c.otherEnd(),
		Partial: r.Flags&Late != 0,
	}
	if cancelled {
		q.Error = reason(r.Flags)
	}
	if r.Role == core.RoleClient {
		q.Peer = p.peer(c, r)
	}
}
