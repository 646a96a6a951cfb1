package http1

import "vitals/core/wire"

// resync looks whether a span begins with a message when the position is lost,
// or when the whole turn of a side proves that the one before has ended.
func (c *conn) resync(h *half, s *wire.Span) {
	b := s.Data
	switch {
	case h.state == lost:
		if !c.begins(h, b) {
			if p := c.current(h); len(b) > 0 && p == nil {
				c.miss(s.Turn)
			}
			return
		}
		h.state, h.unsure, h.began = start, true, false
		h.line, h.long, h.before, h.unpaired, h.interim = h.line[:0], false, 0, false, false
		if !c.opens(h, b) && h == &c.client {
			if first, ok := Beheaded(b); ok {
				h.line = append(h.line, first)
			}
		}
		h.first = s.First
	case h.state == start && h.unsure && len(h.line) > 0:
		if c.opens(h, b) {
			h.line, h.before, h.first = h.line[:0], 0, s.First
		}
	case s.Turn && (h.state == body || h.state == chunkData || h.state == untilClose):
		c.overtaken(h, b)
	}
}

// overtaken ends a message that should go on, when the span begins with the head
// of the next and nothing speaks against it: bytes were moved where nobody saw.
func (c *conn) overtaken(h *half, b []byte) {
	if h == &c.client {
		var r Request
		if c.at(h.number) != nil || !r.Parse(b) || r.Minor < 0 {
			return
		}
	} else {
		var r Response
		if len(c.queue)-c.head < 2 || !r.Parse(b) {
			return
		}
		c.queue[c.head].partial = true
	}
	h.state, h.began = start, false
}

// current gives the request whose message h reads.
func (c *conn) current(h *half) *pending {
	if h == &c.client {
		return c.at(h.number)
	}
	if p := c.oldest(); p != nil && p.got {
		return p
	}
	return nil
}

func (c *conn) miss(whole bool) {
	if c.misses++; whole {
		c.misses += 31
	}
}

// begins reports whether b may begin a message or the first bytes of one.
func (c *conn) begins(h *half, b []byte) bool {
	if c.opens(h, b) || plausible(h == &c.client, b) {
		return true
	}
	_, ok := Beheaded(b)
	return ok && h == &c.client
}

// opens reports whether b begins with what only a message begins with.
func (c *conn) opens(h *half, b []byte) bool {
	if h == &c.client {
		_, n := Method(b)
		return n > 0
	}
	return len(b) >= 7 && string(b[:7]) == "HTTP/1."
}

// plausible reports whether b is the first bytes of a message, too short to tell.
func plausible(client bool, b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if !client {
		return isPrefix(b[:min(len(b), 7)], "HTTP/1.")
	}
	if _, n := Method(b); n > 0 {
		return true
	}
	return isPrefix(b, methods[:]...)
}

// hole takes in n bytes that were not captured.
func (c *conn) hole(h *half, n int64, s *wire.Span, out *wire.Out) {
	if h.state == start && len(h.line) > 0 {
		line := skipEmptyLines(h.line)
		if len(line) == 0 || !c.message(h, line, true, s, out) {
			c.stray(h, s, out)
		}
		h.line = h.line[:0]
	}
	if h == &c.server {
		h.events.Skip()
	}
	switch h.state {
	case untilClose:
		c.count(h, n, s, out)
	case body:
		k := min(n, h.left)
		c.count(h, k, s, out)
		if h.left -= k; h.left > 0 {
			return
		}
		h.end()
		c.finish(h, out)
		if n > k {
			c.beyond(h, n-k, s, out)
		}
	case chunkData:
		if n >= h.left {
			c.beyond(h, n, s, out)
			return
		}
		h.left -= n
		c.count(h, n, s, out)
	default:
		c.beyond(h, n, s, out)
	}
}

// beyond takes in a hole in which a head is, or the end of a message of unknown
// length.
func (c *conn) beyond(h *half, n int64, s *wire.Span, out *wire.Out) {
	if h == &c.client {
		// One byte more is the first of the next request, read ahead.
		if p := c.at(h.number); p != nil && h.state == start && n > 1 {
			p.partial = true
		}
	} else if p := c.oldest(); p != nil && !p.got {
		p.got, p.partial = true, true
		p.first = max(p.start, s.First)
	} else if p != nil && h.state == headers && c.switched(p) != "" {
		c.count(h, n, s, out)
		c.finish(h, out)
		return
	}
	if p := c.oldest(); h.interim && p != nil { // the answer proper was not captured
		p.status, p.partial = 0, true
	}
	h.state, h.line, h.long, h.interim = lost, h.line[:0], false, false
	c.count(h, n, s, out)
}
