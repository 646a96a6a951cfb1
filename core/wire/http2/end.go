package http2

import (
	"encoding/binary"

	"vitals/core/wire"
)

// errors are the names of the error codes, RFC 9113, section 7.
var errors = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

const refused = 7

// reset takes RST_STREAM: a client has left, or a server gives up.
func (c *conn) reset(d *side, s *wire.Span, out *wire.Out) {
	x := c.streams.find(d.frame.stream)
	if x == nil {
		return
	}
	if !x.known {
		c.part(x, out)
		return
	}
	code := ""
	if len(d.gathered) == 4 {
		if n := binary.BigEndian.Uint32(d.gathered); int(n) < len(errors) {
			code = errors[n]
		}
	}
	reason := "reset"
	if d.from == wire.Client {
		reason = "cancelled"
		if x.flows() && x.got {
			reason, code = "", "" // how streams end
		}
	}
	if x.grpc {
		code = ""
	}
	x.last = s.Last
	c.tell(x, reason, code, out)
}

// goAway takes GOAWAY: streams beyond the last were not looked at.
func (c *conn) goAway(d *side, s *wire.Span, out *wire.Out) {
	if d.from == wire.Client || len(d.gathered) < 8 {
		return
	}
	last := binary.BigEndian.Uint32(d.gathered) & (1<<31 - 1)
	if c.holed {
		c.sign(last)
	}
	for n := len(c.streams.list); n > 0; n = len(c.streams.list) {
		x := &c.streams.list[n-1]
		if x.id <= last {
			return
		}
		if !x.known {
			c.part(x, out)
			continue
		}
		x.last = s.Last
		code := errors[refused]
		if x.grpc {
			code = ""
		}
		c.tell(x, "reset", code, out)
	}
}

// tellAll tells what is open, of which no more can be known. Requests that are not
// reported yet may still come: their answers wait for them as they are.
func (c *conn) tellAll(out *wire.Out) {
	for i := 0; i < len(c.streams.list); {
		x := &c.streams.list[i]
		if x.known {
			c.part(x, out)
			continue
		}
		x.done, x.partial = true, true
		i++
	}
}

// Gap implements wire.Conn.
func (c *conn) Gap(out *wire.Out) {
	c.holed = true
	c.tellAll(out)
	c.lose(&c.client, out)
	c.lose(&c.server, out)
}

// End implements wire.Conn.
func (c *conn) End(at int64, reason string, out *wire.Out) {
	for len(c.streams.list) > 0 {
		x := &c.streams.list[0]
		switch {
		case !x.known:
			c.part(x, out)
		case x.flows() && x.got && reason == "cancelled":
			c.tell(x, "", "", out)
		default:
			x.last = at
			c.tell(x, reason, "", out)
		}
	}
	c.skipped(c.seen+2, out)
}

// Waiting implements wire.Conn. Streams wait for nothing.
func (c *conn) Waiting() (n int, oldest int64) {
	for i := range c.streams.list {
		x := &c.streams.list[i]
		if !x.known || x.flows() {
			continue
		}
		if n++; oldest == 0 || x.start < oldest {
			oldest = x.start
		}
	}
	return n, oldest
}
