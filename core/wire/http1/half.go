package http1

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/sse"
)

// state is where one side of a connection is.
type state uint8

const (
	start      state = iota // a message begins
	headers                 // header lines
	body                    // left bytes of a body
	chunkSize               // a line with the size of a chunk
	chunkData               // left bytes of a chunk
	chunkEnd                // the line end behind a chunk
	trailers                // header lines behind the last chunk
	untilClose              // a body that ends with the connection
	lost                    // somewhere: the next span may begin with a message
)

// half is what one side sends.
type half struct {
	Framing
	state  state
	unsure bool // the message may be none: nothing said that one begins here
	began  bool // client: the request line was read
	ended  bool // the message has ended with the bytes just read

	unpaired bool // server: the answer has no request
	interim  bool // server: the answer proper follows

	line   []byte // the beginning of a line that has not ended
	long   bool   // there is more of it than is kept
	left   int64  // bytes of the body or chunk that are still to come
	before int64  // bytes of the message before it was known as one
	first  int64  // time of its first byte
	number uint64 // client: of the request
	events sse.Counter
}

// lose forgets the position.
func (h *half) lose() {
	h.state, h.line, h.long = lost, h.line[:0], false
	h.began, h.ended, h.unpaired, h.interim, h.before = false, false, false, false, 0
}

// take reads up to the end of a line. What it gives of the line is valid until
// the next call; cut says that the line is longer.
func (h *half) take(b []byte) (line []byte, n int, whole, cut bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		h.keep(b)
		return nil, len(b), false, false
	}
	if len(h.line) == 0 && !h.long && i <= maxLine {
		return trimCR(b[:i]), i + 1, true, false
	}
	h.keep(b[:i])
	line, cut = h.line, h.long
	h.line, h.long = h.line[:0], false
	if !cut {
		line = trimCR(line)
	}
	return line, i + 1, true, cut
}

func (h *half) keep(b []byte) {
	if room := maxLine - len(h.line); len(b) > room {
		h.long = true
		b = b[:room]
	}
	h.line = append(h.line, b...)
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// step reads from b and gives how many bytes, at least one.
func (c *conn) step(h *half, b []byte, s *wire.Span, out *wire.Out) int {
	switch h.state {
	case start:
		return c.begin(h, b, s, out)
	case headers, trailers:
		return c.heads(h, b)
	case body, chunkData:
		n := int(min(int64(len(b)), h.left))
		c.content(h, b[:n], out)
		if h.left -= int64(n); h.left == 0 {
			if h.state == body {
				h.end()
			} else {
				h.state = chunkEnd
			}
		}
		return n
	case chunkSize, chunkEnd:
		line, n, whole, cut := h.take(b)
		if whole {
			h.chunk(line, cut)
		}
		return n
	case untilClose:
		c.content(h, b, out)
	}
	if c.misses >= maxMisses {
		out.Wrong = true
	}
	return len(b)
}

func (h *half) end() { h.state, h.ended, h.unsure = start, true, false }

// chunk reads a line between chunks.
func (h *half) chunk(line []byte, cut bool) {
	if h.state == chunkEnd {
		if h.state = chunkSize; len(line) > 0 {
			h.lose()
		}
		return
	}
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line, cut = line[:i], false
	}
	size, ok := hex(bytes.TrimSpace(line))
	switch {
	case !ok || cut:
		h.state = lost
	case size == 0:
		h.state = trailers
	default:
		h.state, h.left = chunkData, size
	}
}

func hex(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, true
}

// begin reads the first line of a message.
func (c *conn) begin(h *half, b []byte, s *wire.Span, out *wire.Out) int {
	if len(h.line) == 0 && !h.long {
		h.first = s.First
	}
	line, n, whole, cut := h.take(b)
	if !whole {
		switch {
		case h.long:
			line, cut = h.line, true
		case plausible(h == &c.client, skipEmptyLines(h.line)) || len(skipEmptyLines(h.line)) == 0:
			return n
		default:
			c.stray(h, s, out)
			return n
		}
	}
	if len(line) == 0 {
		return n // empty lines before a message are allowed
	}
	if !c.message(h, skipEmptyLines(line), cut, s, out) {
		c.stray(h, s, out)
		return len(b)
	}
	if whole {
		return n
	}
	h.line = h.line[:0] // the rest of the line is to come, and of no interest
	return n
}

// message takes in the first line of a message and reports whether it is one.
func (c *conn) message(h *half, line []byte, cut bool, s *wire.Span, out *wire.Out) bool {
	f := &h.Framing
	if h == &c.client {
		var r Request
		method, n := Method(line)
		if n == 0 || !r.line(method, line[n:], !cut) {
			return false
		}
		c.ask(h, &r, s, out)
	} else {
		var r Response
		if !r.Parse(line) {
			return false
		}
		c.reply(h, r.Status, s, out)
		h.interim = r.Status < 200 && r.Status != 101
		h.events = sse.Counter{}
	}
	*f = Framing{Length: -1}
	h.state, h.unsure = headers, false
	return true
}

// stray says that what should have been a message is none.
func (c *conn) stray(h *half, s *wire.Span, out *wire.Out) {
	if !c.known && !c.joined {
		out.Wrong = true
	}
	c.miss(s.Turn)
	h.lose()
}

// heads reads header lines up to the end of the head or of b.
func (c *conn) heads(h *half, b []byte) (n int) {
	for n < len(b) {
		line, k, whole, cut := h.take(b[n:])
		n += k
		switch {
		case !whole:
		case len(line) == 0 && !cut:
			if h.state == trailers {
				h.end()
			} else {
				c.headEnd(h)
			}
			return n
		case h.state == headers && !(cut && len(line) == 0):
			c.header(h, line)
		}
	}
	return n
}

// headEnd decides what follows a head.
func (c *conn) headEnd(h *half) {
	if h == &c.server && !c.hasBody(h) {
		return
	}
	switch {
	case h.Chunked:
		h.state = chunkSize
	case h.Length > 0:
		h.state, h.left = body, h.Length
	case h.Length == 0 || h == &c.client:
		h.end()
	default:
		h.state = untilClose
	}
}

// hasBody reports whether a body follows the head of an answer, and ends the
// answer when not.
func (c *conn) hasBody(h *half) bool {
	p := c.oldest()
	if p == nil || h.unpaired {
		if h.interim {
			h.end()
			return false
		}
		if h.Length != 0 { // an answer to HEAD, perhaps
			h.lose()
			return false
		}
		return true
	}
	if NoBody(p.method, p.status) || p.method == "CONNECT" && p.status/100 == 2 {
		h.end()
		return false
	}
	return true
}

// content looks into the body of an answer that is an event stream.
func (c *conn) content(h *half, b []byte, out *wire.Out) {
	if h != &c.server {
		return
	}
	if p := c.oldest(); p != nil && p.stream {
		n := h.events.Feed(b)
		p.messages += int64(n)
		out.Messages += n
	}
}
