package websocket

import "vitals/core/wire"

// maxMisses is how many spans without a frame are endured.
const maxMisses = 64

type conn struct {
	x      wire.Exchange // the stream
	sides  [2]side
	misses int
	closed int // sides that have said so
	code   uint16
	told   bool
}

// side is what one end sends.
type side struct {
	head  [maxHead]byte
	have  int
	frame frame
	left  int64 // bytes of the payload that are still to come
	lost  bool
	open  bool // within the payload
	code  uint16
}

func newConn(o wire.Options) *conn {
	c := &conn{x: wire.Exchange{Method: wire.Unknown, Target: wire.UnknownJoined, Stream: true}}
	if o.Joined {
		c.x.Partial = true
		c.sides[0].lost, c.sides[1].lost = true, true
	}
	return c
}

// Adopt implements wire.Adopter: x is the upgrade.
func (c *conn) Adopt(x *wire.Exchange) {
	c.x.Method, c.x.Target, c.x.Peer, c.x.Start = x.Method, x.Target, x.Peer, max(x.Start, x.End)
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	d := &c.sides[s.From]
	if d.lost && !chain(s.From, s.Data, s.Size) || c.told {
		c.skip(s.Size, out)
		return
	}
	if c.x.Start == 0 {
		c.x.Start = s.First
	}
	d.lost = false
	c.x.End = max(c.x.End, s.Last)
	if s.From == wire.Server && c.x.First == 0 {
		c.x.First = max(s.First, c.x.Start)
	}
	b := s.Data
	for len(b) > 0 && !d.lost {
		n := c.step(d, b, s.From, out)
		b = b[n:]
		c.parsed(int64(n), s.From, out)
	}
	hole := s.Size - int64(len(s.Data))
	if hole > 0 && d.open && hole <= d.left {
		d.left -= hole
		c.parsed(hole, s.From, out)
		if hole = 0; d.left == 0 {
			c.end(d, out)
		}
	}
	if hole += int64(len(b)); hole > 0 {
		c.x.Partial = true
		d.lose()
		c.skip(hole, out)
	}
	if c.closed == 2 {
		c.tell(out)
	}
}

func (c *conn) parsed(n int64, from wire.Side, out *wire.Out) {
	out.Parsed += n
	if from == wire.Client {
		c.x.Asked += n
	} else {
		c.x.Answered += n
	}
}

func (c *conn) skip(n int64, out *wire.Out) {
	out.Skipped += n
	if c.misses++; c.misses >= maxMisses && c.x.Start == 0 {
		out.Wrong = true
	}
}

func (d *side) lose() { d.lost, d.have, d.open, d.left = true, 0, false, 0 }

// step reads from b and gives how many bytes.
func (c *conn) step(d *side, b []byte, from wire.Side, out *wire.Out) int {
	if d.open {
		n := int(min(int64(len(b)), d.left))
		if d.frame.kind == closing {
			d.reason(b[:n])
		}
		if d.left -= int64(n); d.left == 0 {
			c.end(d, out)
		}
		return n
	}
	want := 2
	if d.have >= 2 {
		want = headSize(d.head[:])
	}
	n := copy(d.head[d.have:want], b)
	if d.have += n; d.have < want || want == 2 && headSize(d.head[:]) > 2 {
		return n
	}
	if !d.frame.parse(from, d.head[:want]) {
		c.x.Partial = true
		d.lose()
		c.misses++
		return n
	}
	c.misses = 0
	d.have, d.code = 0, 0
	if d.left, d.open = d.frame.size, true; d.left == 0 {
		c.end(d, out)
	}
	return n
}

// reason takes bytes of a closing frame, of which the first two are the code.
func (d *side) reason(b []byte) {
	for i, ch := range b {
		at := d.frame.size - d.left + int64(i)
		if at > 1 {
			return
		}
		d.code = d.code<<8 | uint16(ch^d.frame.mask[at])
	}
}

// end ends a frame.
func (c *conn) end(d *side, out *wire.Out) {
	d.open = false
	switch d.frame.kind {
	case more, text, bin:
		if !d.frame.fin {
			return
		}
		out.Messages++
		if d == &c.sides[wire.Client] {
			c.x.MessagesAsked++
		} else {
			c.x.MessagesAnswered++
		}
	case closing:
		if c.closed++; c.closed == 1 {
			if c.code = d.code; d.frame.size < 2 {
				c.code = 1005
			}
		}
	}
}

func (c *conn) tell(out *wire.Out) {
	if c.told || c.x.Start == 0 {
		return
	}
	c.told = true
	if c.closed > 0 {
		c.x.Code, c.x.FailedServer, c.x.FailedClient = outcome(c.code)
	}
	c.x.End = max(c.x.End, c.x.Start)
	out.Add(&c.x)
}

// Gap implements wire.Conn. The stream goes on.
func (c *conn) Gap(out *wire.Out) {
	c.x.Partial = true
	c.sides[0].lose()
	c.sides[1].lose()
}

// End implements wire.Conn. Who leaves without a word has left all the same.
func (c *conn) End(at int64, reason string, out *wire.Out) {
	if c.closed == 0 && reason != "cancelled" {
		c.x.Error, c.x.FailedServer, c.x.FailedClient = reason, true, true
	}
	c.x.End = max(c.x.End, at)
	c.tell(out)
}

// Waiting implements wire.Conn: a stream waits for nothing.
func (c *conn) Waiting() (n int, oldest int64) { return 0, 0 }
