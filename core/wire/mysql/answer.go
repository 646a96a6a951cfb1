package mysql

import (
	"encoding/binary"

	"vitals/core/wire"
	"vitals/core/wire/feed"
	"vitals/core/wire/sqlclass"
)

// answer is how far the answer to the oldest request is.
type answer struct {
	step    step
	left    uint64 // definitions of columns that are still to come
	columns uint64 // of a prepared statement, behind its parameters
	more    bool   // the next packet goes on with the last one
	tail    bool   // the end of definitions may still come, of an answer that is over
}

type step uint8

const (
	first       step = iota // nothing has come
	definitions             // of columns
	defined                 // their end may come, then rows
	inRows
	parameters // of a prepared statement
	parametersEnd
	columnsEnd
)

// fromServer takes the server's next packet and reports whether there may be more.
func (c *conn) fromServer(s *wire.Span, out *wire.Out) bool {
	in := &c.calls.Server
	b := in.Peek(headerSize)
	if len(b) < headerSize {
		return c.serverCut(s, out)
	}
	p := header(b)
	want := int(min(p.size, headerSize+1))
	if b = in.Peek(want); len(b) < want {
		return c.serverCut(s, out)
	}
	a := &c.answer
	if a.step != definitions && a.step != parameters && !a.more && len(b) > headerSize {
		switch b[headerSize] {
		case 0x00, 0xfe, 0xff:
			want = int(min(p.size, headerSize+maxLook))
		default:
			if a.step == first {
				want = int(min(p.size, headerSize+maxLook))
			}
		}
		if !c.greeted {
			want = int(min(p.size, headerSize+128))
		}
		if b = in.Peek(want); len(b) < want && !in.Cut() {
			return false
		}
	}
	at := in.First()
	if !c.greeted && c.calls.Len() == 0 {
		if !c.greeting(b[headerSize:], p, at, s.Last, out) {
			return c.bad(in, out)
		}
		in.Skip(p.size)
		return true
	}
	in.Skip(p.size)
	c.packet(b[headerSize:], p, at, s.Last, out)
	return out.Blind == ""
}

// greeting takes the first packet of all.
func (c *conn) greeting(body []byte, p packet, at, last int64, out *wire.Out) bool {
	if p.seq == 0 && len(body) > 2 && body[0] == 0xff { // too many connections, host is blocked
		call := feed.Call{Method: "CONNECT", Start: at, First: at, Answered: p.size}
		c.failed(&call, body)
		c.calls.Tell(&call, last, out)
		c.known = true
		return true
	}
	if p.seq != 0 || !isGreeting(body) {
		return false
	}
	c.known = true
	end := 1
	for body[end] != 0 {
		end++
	}
	// Behind the version: thread 4, salt 8, zero, capabilities 2, charset, status 2, capabilities 2.
	if rest := body[end+1:]; len(rest) >= 20 {
		c.offered = uint32(binary.LittleEndian.Uint16(rest[13:])) | uint32(binary.LittleEndian.Uint16(rest[18:]))<<16
		c.status(binary.LittleEndian.Uint16(rest[16:]))
	}
	return true
}

// packet takes one of an answer, of which body was captured.
func (c *conn) packet(body []byte, p packet, at, last int64, out *wire.Out) {
	a := &c.answer
	goesOn := a.more
	a.more = p.more
	if a.tail {
		a.tail = false
		if p.seq != 1 && p.size == headerSize+5 && body[0] == 0xfe {
			return // the end of definitions, of the answer before
		}
	}
	call := c.calls.Oldest()
	if call == nil {
		c.unasked(p, last, out)
		return
	}
	if call.First == 0 {
		call.First = at
	}
	call.Answered += p.size
	c.known = true
	if goesOn || len(body) == 0 {
		if len(body) == 0 && shape(call.Kind) == line {
			c.done(last, out)
		}
		return
	}
	if body[0] == 0xff && a.step != definitions && a.step != parameters {
		if len(body) >= 3 && body[1] == 0xff && body[2] == 0xff {
			return // MariaDB: how far the command is
		}
		c.failed(call, body)
		c.done(last, out)
		return
	}
	switch shape(call.Kind) {
	case login:
		c.loggingIn(call, body, last, out)
	case line:
		c.done(last, out)
	case stream:
	case simple:
		c.end(body, last, out)
	case prepared:
		c.preparing(call, body, last, out)
	case rows:
		if isEnd(body, p) {
			c.end(body, last, out)
		}
	default:
		c.result(body, p, last, out)
	}
}

// unasked takes a packet that no known request waits for: only the first one of
// an answer counts.
func (c *conn) unasked(p packet, last int64, out *wire.Out) {
	if p.seq == 1 {
		c.calls.Done(last, out)
	}
}

// result takes a packet of columns and rows.
func (c *conn) result(body []byte, p packet, last int64, out *wire.Out) {
	a := &c.answer
	switch a.step {
	case first:
		switch n, size := number(body); {
		case body[0] == 0:
			c.end(body, last, out)
		case body[0] == 0xfb: // the server asks for a file
			c.file = true
		case size == 0:
			c.end(body, last, out)
		default:
			a.left, a.step = n, definitions
			if size < len(body) && body[size] == 0 { // MariaDB: the client has them
				a.left, a.step = 0, defined
			}
		}
	case definitions:
		if a.left--; a.left == 0 {
			a.step = defined
		}
	case defined:
		a.step = inRows
		if p.size == headerSize+5 && body[0] == 0xfe && (len(body) < 5 || binary.LittleEndian.Uint16(body[3:])&statusCursor == 0) {
			return
		}
		fallthrough
	default:
		if isEnd(body, p) {
			c.end(body, last, out)
		}
	}
}

// isEnd reports whether a packet ends rows.
func isEnd(body []byte, p packet) bool { return body[0] == 0xfe && !p.more }

// preparing takes a packet of what a prepared statement takes and gives.
func (c *conn) preparing(call *feed.Call, body []byte, last int64, out *wire.Out) {
	a := &c.answer
	isEOF := body[0] == 0xfe && len(body) <= 5
	switch a.step {
	case first:
		if body[0] != 0 || len(body) < 9 {
			c.done(last, out)
			return
		}
		c.remember(binary.LittleEndian.Uint32(body[1:]), call.Target)
		a.columns, a.left = uint64(binary.LittleEndian.Uint16(body[5:])), uint64(binary.LittleEndian.Uint16(body[7:]))
		a.step = parameters
		if a.left > 0 {
			return
		}
	case parameters:
		if a.left--; a.left > 0 {
			return
		}
		a.step = parametersEnd
		if a.columns > 0 {
			return
		}
	case parametersEnd:
		if isEOF {
			return
		}
		fallthrough
	default:
		a.columns--
	}
	switch {
	case a.columns == 0:
		tail := a.step != parameters // there was a definition, whose end may come
		c.done(last, out)
		c.answer.tail = tail
	case a.step == parametersEnd || a.step == parameters:
		a.step = columnsEnd
	}
}

// loggingIn takes a packet of a login.
func (c *conn) loggingIn(call *feed.Call, body []byte, last int64, out *wire.Out) {
	if body[0] != 0 {
		return // the server wants to know more
	}
	c.greeted = true
	c.end(body, last, out)
	if c.compressed {
		out.Blind = "compressed"
	}
}

// end takes the packet that ends an answer, or one result of several.
func (c *conn) end(body []byte, last int64, out *wire.Out) {
	var flags []byte
	if body[0] == 0xfe && len(body) == 5 {
		flags = body[3:]
	} else if _, n := number(body[1:]); n > 0 {
		if _, k := number(body[1+n:]); k > 0 {
			flags = body[1+n+k:]
		}
	}
	if len(flags) >= 2 {
		status := binary.LittleEndian.Uint16(flags)
		c.status(status)
		if status&statusMore != 0 {
			c.answer = answer{}
			return
		}
	}
	c.done(last, out)
}

// status takes what the server says of how it reads literals.
func (c *conn) status(flags uint16) {
	c.dialect = sqlclass.MySQL
	if flags&statusNoBackslash != 0 {
		c.dialect &^= sqlclass.Backslash
	}
}

// failed takes an error packet: 0xff, number, "#", SQLSTATE, text.
func (c *conn) failed(call *feed.Call, body []byte) {
	call.Failed, call.Code = true, "error"
	if len(body) >= 3 {
		call.Status = int(binary.LittleEndian.Uint16(body[1:]))
	}
	if len(body) >= 9 && body[3] == '#' {
		for _, b := range body[4:9] {
			if (b < '0' || b > '9') && (b < 'A' || b > 'Z') {
				return
			}
		}
		call.Code = c.names.Get(body[4:9])
	}
}

// done ends the answer.
func (c *conn) done(last int64, out *wire.Out) {
	c.answer = answer{more: c.answer.more}
	c.file = false
	c.calls.Done(last, out)
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
	c.answer, c.file, c.greeted = answer{}, false, true
	in.Lose()
	return false
}
