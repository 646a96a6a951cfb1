package postgres

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/feed"
	"vitals/core/wire/sqlclass"
)

// maxError is how much of an error is looked at: its code comes early.
const maxError = 160

// maxNotification is how long one is at most.
const maxNotification = 8 << 10

// fromServer takes the server's next message and reports whether there may be more.
func (c *conn) fromServer(s *wire.Span, out *wire.Out) bool {
	in := &c.calls.Server
	b := in.Peek(1)
	if len(b) == 0 {
		return c.serverCut(s, out)
	}
	if c.state == stateAsked && (b[0] == 'S' || b[0] == 'N' || b[0] == 'G') {
		return c.encryption(b[0], out)
	}
	if b = in.Peek(5); len(b) < 5 {
		return c.serverCut(s, out)
	}
	size := header(wire.Server, b)
	if size == 0 {
		return c.bad(in, out)
	}
	want := 5
	switch b[0] {
	case 'E':
		want = int(min(size, 5+maxError))
	case 'A':
		if want = int(min(size, maxNotification)); int64(want) < size {
			return c.bad(in, out)
		}
	case 'Z':
		want = 6
	case 'C', 'S', 'R':
		want = int(min(size, 5+40))
	}
	if b = in.Peek(want); len(b) < want && !in.Cut() {
		return false
	}
	c.known = true
	if b[0] == 'A' && len(b) < want {
		return c.serverCut(s, out)
	}
	first := in.First()
	in.Skip(size)
	c.answer(b, size, first, s.Last, out)
	return true
}

// encryption takes the answer to the wish for it.
func (c *conn) encryption(answer byte, out *wire.Out) bool {
	c.calls.Server.Skip(1)
	switch answer {
	case 'S':
		out.Blind = "tls"
	case 'G':
		out.Blind = "gssapi"
	default:
		c.state = stateStart
	}
	return out.Blind == ""
}

// answer takes a message with its type, of which b was captured.
func (c *conn) answer(b []byte, size, first, last int64, out *wire.Out) {
	oldest := c.calls.Oldest()
	switch b[0] {
	case 'A':
		call := feed.Call{Method: "NOTIFICATION", Start: first, First: first, Answered: size, Stream: true}
		c.calls.Tell(&call, last, out)
		return
	case 'N':
		return
	case 'S':
		c.parameter(b[5:])
	}
	if oldest != nil {
		if oldest.First == 0 {
			oldest.First = first
		}
		oldest.Answered += size
	}
	switch b[0] {
	case 'Z':
		c.ready(last, out)
	case 'E':
		c.failed(b[5:], last, out)
	case 'C':
		if oldest != nil && oldest.Target == notFound && oldest.Method == "EXECUTE" {
			if tag, ended := cString(b[5:]); ended {
				oldest.Method = sqlclass.Operation(tag)
			}
		}
		c.over(last, out)
	case 'I', 's':
		c.over(last, out)
	case 'W':
		if oldest != nil {
			oldest.Stream = true
		}
	}
}

// parameter takes how the server reads literals.
func (c *conn) parameter(body []byte) {
	name, ended := cString(body)
	if !ended || string(name) != "standard_conforming_strings" {
		return
	}
	c.dialect = sqlclass.Postgres
	if bytes.HasPrefix(body[len(name)+1:], []byte("off")) {
		c.dialect |= sqlclass.Backslash
	}
}

// over ends a request with its own answer. One with a Sync ends when the server
// is ready, as a Query does.
func (c *conn) over(last int64, out *wire.Out) {
	oldest := c.calls.Oldest()
	if oldest == nil || oldest.Kind != endPart || c.state == stateBroken {
		return
	}
	if c.calls.Len() == 1 {
		c.building = false
	}
	c.calls.Done(last, out)
}

// failed takes an error. The server skips what else came before the next Sync.
func (c *conn) failed(body []byte, last int64, out *wire.Out) {
	code := c.names.Get(sqlState(body))
	oldest := c.calls.Oldest()
	if oldest == nil || c.state == stateBroken {
		return // the server says good-bye
	}
	if oldest.Code == "" {
		oldest.Code, oldest.Failed, oldest.Hidden = code, true, false
	}
	switch {
	case c.state == stateLogin:
		c.calls.Done(last, out)
	case oldest.Kind == endPart:
		c.state = stateBroken
		if c.calls.Len() == 1 {
			c.building = false
		}
		c.calls.Done(last, out)
	}
}

// sqlState finds the code in the fields of an error.
func sqlState(b []byte) []byte {
	for len(b) > 1 && b[0] != 0 {
		value, ended := cString(b[1:])
		if b[0] == 'C' && len(value) == 5 && isCode(value) {
			return value
		}
		if !ended {
			break
		}
		b = b[len(value)+2:]
	}
	return []byte("error")
}

func isCode(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// ready ends everything up to the next Sync.
func (c *conn) ready(last int64, out *wire.Out) {
	broken := c.state == stateBroken
	if c.state == stateLogin || broken {
		c.state = stateReady
	}
	c.awaited = max(c.awaited-1, 0)
	for range c.calls.Len() {
		oldest := c.calls.Oldest()
		if oldest == nil {
			break
		}
		ends := oldest.Kind == endReady
		switch {
		case oldest.Hidden, oldest.Code != "":
		case broken:
			oldest.Code, oldest.Failed = "aborted", true
		case !ends:
			oldest.Partial = true // its own answer, or the Sync, was not seen
		}
		c.calls.Done(last, out)
		if ends {
			return
		}
	}
	c.building = false
	switch {
	case c.calls.Refused() == 0:
		c.calls.Done(last, out)
	case c.awaited == 0:
		c.calls.Clear()
	}
}

// serverCut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) serverCut(s *wire.Span, out *wire.Out) bool {
	in := &c.calls.Server
	if !in.Cut() {
		return false
	}
	if oldest := c.calls.Oldest(); oldest != nil {
		if oldest.First == 0 {
			oldest.First = in.First()
		}
		if c.calls.Len() == 1 {
			oldest.Answered += in.Left()
		}
		c.calls.Flush(s.Last, false, out)
	}
	c.state, c.building, c.awaited = stateReady, false, 0
	in.Lose()
	return false
}
