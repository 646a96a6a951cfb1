package http2

import (
	"slices"

	"vitals/core/wire"
)

// maxMissed is how many requests are believed to have been in one hole.
const maxMissed = 1 << 20

// missed is what the numbers of streams tell of requests that went by in a hole:
// clients count their streams up by two. Clients may skip numbers, so that only a
// hole makes a skipped number a request.
type missed struct {
	holed bool // something of the client was missing since the last new stream
	// sure says that streams.asked is the last number before the hole: not when
	// nobody looked at what came before.
	sure bool
	seen uint32 // the highest number that anything told of since the hole
}

// sign notes that a stream exists.
func (m *missed) sign(id uint32) {
	if id&1 == 1 && id < 1<<31-1 { // which is no stream, but GOAWAY without an end
		m.seen = max(m.seen, id)
	}
}

// beginning says that the connection begins here.
func (c *conn) beginning() {
	if c.streams.asked == 0 {
		c.holed, c.sure = false, true
	}
}

// skipped counts the requests before a new one that went by in a hole. Answers
// to them are of no use any more.
func (c *conn) skipped(before uint32, out *wire.Out) {
	if c.holed && c.sure {
		next := c.streams.asked + 1 + c.streams.asked&1
		if n := (before - next) / 2; before > next && n <= maxMissed {
			out.Missed += int(n)
		}
		c.streams.list = slices.DeleteFunc(c.streams.list, func(x stream) bool { return !x.known && x.id < before })
	}
	c.missed = missed{sure: true}
}

// orphan lets go of an answer whose request was not seen. After a hole it is that
// of a request that is missed: the numbers count it.
func (c *conn) orphan(x *stream, out *wire.Out) {
	if c.holed && c.sure {
		c.sign(x.id)
	} else {
		out.Unpaired++
	}
	c.streams.drop(x)
}

// Lost implements wire.Witness.
func (c *conn) Lost(b []byte) {
	for c.holed && len(b) >= frameHead {
		f := parseFrame(b)
		if !f.likely() {
			return
		}
		if f.typ != typePriority {
			c.sign(f.stream)
		}
		b = b[min(len(b), frameHead+f.length):]
	}
}

// Rejoin implements wire.Rejoiner.
func (c *conn) Rejoin() { c.sure = false }
