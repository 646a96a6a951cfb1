// Package http2 reads HTTP/2 over plain connections, and gRPC on it: streams by
// their number, headers by a decoder that keeps only what matters, data by its
// length. It needs every transfer, in both directions.
//
// A call or an answer is a stream, without a latency, when it is one of server-sent
// events, a tunnel, or a call of which one side has sent more than one message.
package http2

import "vitals/core/wire"

// Protocol is HTTP/2 with prior knowledge or after an upgrade.
var Protocol = wire.Protocol{
	Name:     "http", // or "grpc"
	ID:       "http2",
	Sniff:    Sniff,
	Ports:    []uint16{50051, 50052},
	Programs: []string{"envoy"},
	Stream:   true,
	Head:     4096,
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

// Protocols of requests.
const (
	httpName = "http"
	grpcName = "grpc"
)

// Limits of what is remembered of a connection.
const (
	maxBlock  = 16 << 10 // bytes of a block of headers
	maxMisses = 64       // spans in which nothing was found
)

type conn struct {
	names          *wire.Names
	client, server side
	streams        streams
	misses         int
	known          bool // frames were seen
	missed
}

// side is what one end sends.
type side struct {
	decoder
	from    wire.Side
	preface int // bytes of the preface that were seen; -1: none is to come
	lost    bool
	unknown string // what a hidden name is called: why it is not known

	head   [frameHead]byte
	have   int // bytes of head
	frame  frame
	left   int   // bytes of the payload that are still to come
	began  int64 // time of its first byte
	opened int64 // time of the first byte of the block of headers

	gathered []byte // of the payload, or of the blocks of a continued one
	fragment int    // where in it the payload of this frame begins
	missing  bool   // bytes of it were not captured
	open     bool   // the block continues
	ends     bool   // the block's HEADERS end the stream
	pushed   bool   // the block is that of a promise
	size     int64  // of its frames
}

func newConn(o wire.Options) *conn {
	c := &conn{names: o.Names}
	c.client.names, c.server.names = o.Names, o.Names
	c.server.from, c.server.preface = wire.Server, -1
	c.holed, c.sure = o.Missed, o.Missed || !o.Joined
	if o.Joined {
		c.client.lost, c.server.lost = true, true
		c.client.unknown, c.server.unknown = wire.UnknownJoined, wire.UnknownJoined
		if o.Missed {
			c.client.unknown, c.server.unknown = wire.UnknownLost, wire.UnknownLost
		}
		c.client.preface = -1
	}
	return c
}

// Adopt implements wire.Adopter: the request that asked for the upgrade is the
// first stream, and is answered on it.
func (c *conn) Adopt(x *wire.Exchange) {
	c.streams.open(stream{id: 1, known: true, method: x.Method, target: x.Target, peer: x.Peer, start: x.Start, asked: x.Asked, code: -1})
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	d := &c.client
	if s.From == wire.Server {
		d = &c.server
	}
	b := s.Data
	if d.lost && !c.resync(d, s) {
		out.Skipped += s.Size
		if s.From == wire.Server {
			c.streams.doubt()
		}
		if c.misses++; c.misses >= maxMisses {
			out.Wrong = true
		}
		return
	}
	for len(b) > 0 && !d.lost {
		n := c.step(d, b, s, out)
		if out.Wrong {
			return
		}
		if !d.lost {
			out.Parsed += int64(n)
			b = b[n:]
		}
	}
	hole := s.Size - int64(len(s.Data)) + int64(len(b))
	for hole > 0 && !d.lost && d.have == frameHead && d.left > 0 {
		n := min(int64(d.left), hole)
		c.skip(d, n)
		d.left -= int(n)
		hole -= n
		out.Parsed += n
		if d.left == 0 {
			c.end(d, s, out)
		}
	}
	if hole > 0 {
		out.Skipped += hole
		c.lose(d, out)
	}
}

// resync looks whether a span begins with a frame.
func (c *conn) resync(d *side, s *wire.Span) bool {
	b := s.Data
	if d.from == wire.Client && len(b) >= len(preface) && string(b[:len(preface)]) == preface {
		d.lost, d.preface = false, 0
		c.beginning()
		return true
	}
	if frames, end := chain(b); frames == 0 || end < 0 {
		return false
	}
	d.lost = false
	return true
}

// lose forgets the position of a side, and what was added to its table before
// the loss. Answers may have ended there.
func (c *conn) lose(d *side, out *wire.Out) {
	d.lost, d.have, d.left, d.preface = true, 0, 0, -1
	d.open, d.missing, d.size = false, false, 0
	d.gathered = d.gathered[:0]
	d.forget()
	if d.from == wire.Server {
		c.tellAll(out)
	} else {
		c.holed = true
	}
}

func (d *side) forget() {
	d.table.reset()
	if d.unknown == "" {
		d.unknown = wire.UnknownLost
	}
}

// step reads from b and gives how many bytes, at least one.
func (c *conn) step(d *side, b []byte, s *wire.Span, out *wire.Out) int {
	if d.preface >= 0 {
		n := min(len(b), len(preface)-d.preface)
		if string(b[:n]) != preface[d.preface:d.preface+n] {
			out.Wrong = true
		}
		if d.preface += n; d.preface == len(preface) {
			d.preface = -1
		}
		return n
	}
	if d.have < frameHead {
		if d.have == 0 {
			d.began = s.First
		}
		n := copy(d.head[d.have:], b)
		if d.have += n; d.have == frameHead {
			c.begin(d, s, out)
		}
		return n
	}
	n := min(len(b), d.left)
	c.payload(d, b[:n], out)
	if d.left -= n; d.left == 0 {
		c.end(d, s, out)
	}
	return n
}

// begin takes the head of a frame.
func (c *conn) begin(d *side, s *wire.Span, out *wire.Out) {
	d.frame = parseFrame(d.head[:])
	f := &d.frame
	if !f.possible() || d.open != (f.typ == typeContinuation) {
		if !c.known {
			out.Wrong = true
		}
		c.misses++
		c.lose(d, out)
		return
	}
	c.known, c.misses = true, 0
	d.left = f.length
	if c.holed && f.typ != typePriority { // which is of streams, too, that are never opened
		c.sign(f.stream)
	}
	switch f.typ {
	case typeHeaders, typePush:
		d.gathered, d.fragment, d.missing, d.size = d.gathered[:0], 0, false, frameHead
		d.opened = d.began
		d.ends = f.typ == typeHeaders && f.flags&endStream != 0
		d.pushed = f.typ == typePush
	case typeContinuation:
		d.fragment = len(d.gathered)
		d.size += frameHead
	case typeReset, typeGoAway:
		d.gathered = d.gathered[:0]
	case typeData:
		c.streams.count(d, frameHead, s)
	}
	if d.left == 0 {
		c.end(d, s, out)
	}
}

// payload takes bytes of a frame.
func (c *conn) payload(d *side, b []byte, out *wire.Out) {
	switch d.frame.typ {
	case typeHeaders, typePush, typeContinuation:
		d.size += int64(len(b))
		d.missing = d.missing || len(d.gathered)+len(b) > maxBlock
		if !d.missing {
			d.gathered = append(d.gathered, b...)
		}
	case typeReset, typeGoAway:
		d.gathered = append(d.gathered, b[:min(len(b), 8-min(8, len(d.gathered)))]...)
	case typeData:
		if d.frame.flags&padded != 0 && d.left == d.frame.length {
			b = b[1:] // how much padding there is, which is zeros
		}
		c.data(d, b, out)
	}
}

// skip takes n bytes of a frame that were not captured.
func (c *conn) skip(d *side, n int64) {
	switch d.frame.typ {
	case typeHeaders, typePush, typeContinuation:
		d.size += n
		d.missing = true
	case typeData:
		if x := c.streams.find(d.frame.stream); x != nil {
			x.skip(d.from, n)
		}
	}
}

// end ends a frame.
func (c *conn) end(d *side, s *wire.Span, out *wire.Out) {
	d.have = 0
	switch d.frame.typ {
	case typeHeaders, typePush, typeContinuation:
		d.unpad()
		if d.open = d.frame.flags&endHeaders == 0; !d.open {
			c.block(d, s, out)
		}
	case typeData:
		c.streams.count(d, int64(d.frame.length), s)
		if d.frame.flags&endStream != 0 {
			c.ended(d, d.frame.stream, out)
		}
	case typeReset:
		c.reset(d, s, out)
	case typeGoAway:
		c.goAway(d, s, out)
	}
}

// unpad leaves of a frame's payload what belongs to the block of headers.
func (d *side) unpad() {
	b := d.gathered[d.fragment:]
	f := d.frame
	front, back := 0, 0
	if f.typ != typeContinuation {
		if f.flags&padded != 0 && len(b) > 0 {
			front, back = 1, int(b[0])
		}
		if f.typ == typeHeaders && f.flags&priority != 0 {
			front += 5
		}
		if f.typ == typePush {
			front += 4
		}
	}
	if d.missing {
		back = 0 // it is beyond what was captured
	}
	if front+back > len(b) {
		d.gathered, d.missing = d.gathered[:d.fragment], true
		return
	}
	n := copy(b, b[front:len(b)-back])
	d.gathered = d.gathered[:d.fragment+n]
}
