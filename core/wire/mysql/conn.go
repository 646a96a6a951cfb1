package mysql

import (
	"encoding/binary"

	"vitals/core/wire"
	"vitals/core/wire/feed"
	"vitals/core/wire/sqlclass"
)

// Capabilities of which both sides must tell for them to be used.
const (
	capCompress = 1 << 5
	capTLS      = 1 << 11
	capZstd     = 1 << 26
)

// Flags of the server's status.
const (
	statusMore        = 1 << 3
	statusCursor      = 1 << 6
	statusNoBackslash = 1 << 9
)

// maxStatements bounds how many prepared statements of a connection are kept.
const maxStatements = 256

type statement struct{ method, target string }

// conn is one connection.
type conn struct {
	calls      feed.Calls
	names      *wire.Names
	dialect    sqlclass.Dialect
	statements map[uint32]statement
	last       statement // the last one that was prepared
	text       []byte
	answer     answer
	offered    uint32 // capabilities of the server
	compressed bool   // from the end of the login
	greeted    bool   // the login has begun, or is long over
	known      bool   // something was understood
	more       bool   // the client's next packet goes on with its last one
	file       bool   // the client sends a file
}

func newConn(o wire.Options) *conn {
	c := &conn{names: o.Names, dialect: sqlclass.MySQL}
	if o.Joined {
		c.joined()
	}
	return c
}

// joined forgets where packets begin, and what was said before.
func (c *conn) joined() {
	c.calls.Client.Forget()
	c.calls.Server.Forget()
	c.answer = answer{}
	c.greeted, c.more, c.file, c.compressed = true, false, false, false
	c.dialect = sqlclass.MySQL | sqlclass.Unsure&^sqlclass.Backslash
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	in, step := &c.calls.Client, (*conn).fromClient
	if s.From == wire.Server {
		in, step = &c.calls.Server, (*conn).fromServer
	} else {
		c.calls.Asking()
	}
	in.Begin(s)
	if s.From == wire.Server {
		c.calls.Settle(s, out)
	}
	if in.Lost() {
		if c.boundary(s, in.Rest()) {
			in.Found()
		} else {
			in.Drop()
		}
	}
	for !in.Lost() && !out.Wrong && out.Blind == "" && step(c, s, out) {
	}
	in.Finish(out)
}

// boundary reports whether a message begins at b, as far as that is sure: a
// command of the right length, or the first packet of an answer.
func (c *conn) boundary(s *wire.Span, b []byte) bool {
	if len(b) < headerSize+1 {
		return false
	}
	p := header(b)
	if s.From == wire.Client {
		if !isCommands(b, s.Size) {
			return false
		}
		c.more, c.file = false, false
		return true
	}
	if p.seq == 0 && sniff(wire.Server, b, s.Size) == wire.Sure {
		c.greeted = false
		return true
	}
	if p.seq != 1 || p.size > s.Size || c.calls.Len() == 0 && sniff(wire.Server, b, s.Size) < wire.Likely {
		return false
	}
	return p.size == s.Size || int64(len(b)) < p.size+headerSize || b[p.size+3] == 2
}

// isCommands reports whether b begins with commands that fill size.
func isCommands(b []byte, size int64) bool {
	for {
		p := header(b)
		if name, _ := command(b[headerSize]); name == "" || p.seq != 0 || p.size > size && !p.more {
			return false
		}
		text := b[headerSize+1 : min(int64(len(b)), max(p.size, headerSize+1))]
		if c := b[headerSize]; (c == comQuery || c == comPrepare) && !isText(withoutAttributes(text)) {
			return false
		}
		if p.more || p.size == size || p.size < size && p.size > int64(len(b))-headerSize-1 && int64(len(b)) < size {
			return true
		}
		if p.size > int64(len(b))-headerSize-1 {
			return false
		}
		b, size = b[p.size:], size-p.size
	}
}

// bad is for bytes that are not the protocol.
func (c *conn) bad(in *feed.Input, out *wire.Out) bool {
	if !c.known {
		out.Wrong = true
	}
	in.Lose()
	return false
}

// fromClient takes the client's next packet and reports whether there may be more.
func (c *conn) fromClient(_ *wire.Span, out *wire.Out) bool {
	in := &c.calls.Client
	b := in.Peek(headerSize)
	if len(b) < headerSize {
		return c.clientCut()
	}
	p := header(b)
	want := int(min(p.size, headerSize+maxLook))
	if b = in.Peek(min(want, headerSize+1)); len(b) > headerSize && (b[headerSize] == comQuery || b[headerSize] == comPrepare) {
		want = int(min(p.size, headerSize+1+maxText))
	}
	if b = in.Peek(want); len(b) < want && !in.Cut() {
		return false
	}
	if len(b) <= headerSize && p.size > headerSize {
		return c.clientCut()
	}
	at := in.First()
	goesOn := c.more
	c.more = p.more
	switch {
	case goesOn, c.file, p.seq != 0:
		if !c.belongs(b, p, at, out) {
			return c.bad(in, out)
		}
	case p.size == headerSize:
		return c.bad(in, out)
	default:
		c.greeted = true
		if !c.command(b[headerSize:], p, at, out) {
			return c.bad(in, out)
		}
	}
	in.Skip(p.size)
	return out.Blind == ""
}

// clientCut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) clientCut() bool {
	if c.calls.Client.Cut() {
		c.calls.Client.Lose()
	}
	return false
}

// belongs takes a packet of the client that is no command: of its login, of a
// message that is longer than a packet, of a file that the server asked for.
func (c *conn) belongs(b []byte, p packet, at int64, out *wire.Out) bool {
	newest := c.calls.Newest()
	if !c.greeted {
		if newest != nil {
			newest.Asked += p.size
			return true
		}
		return c.login(b[headerSize:], p, at, out)
	}
	if c.file && p.size == headerSize {
		c.file = false
	}
	if newest != nil {
		newest.Asked += p.size
	}
	return true
}

// login takes the answer to the greeting.
func (c *conn) login(body []byte, p packet, at int64, out *wire.Out) bool {
	if len(body) < 32 {
		return false
	}
	caps := binary.LittleEndian.Uint32(body)
	if caps&capTLS != 0 && p.size == headerSize+32 {
		out.Blind = "tls"
		return true
	}
	c.compressed = caps&c.offered&(capCompress|capZstd) != 0
	c.known = true
	c.calls.Ask(&feed.Call{Method: "CONNECT", Start: at, Asked: p.size, Kind: uint8(login)}, out)
	return true
}

// command takes a command, of which body was captured.
func (c *conn) command(body []byte, p packet, at int64, out *wire.Out) bool {
	name, answers := command(body[0])
	if answers == none {
		return false
	}
	call := feed.Call{Method: name, Start: at, Asked: p.size, Kind: uint8(answers), Stream: answers == stream}
	switch body[0] {
	case comQuery, comPrepare:
		text := withoutAttributes(body[1:])
		c.text = sqlclass.Append(c.text[:0], text, c.dialect, int64(len(body)+headerSize) < p.size || p.more)
		st := statement{sqlclass.Operation(c.text), c.names.Get(c.text)}
		call.Target = st.target
		if body[0] == comPrepare {
			c.last = st
		} else {
			call.Method = st.method
		}
	case comExecute, comBulk, comFetch:
		st := c.statement(body)
		call.Target = st.target
		if body[0] != comFetch {
			call.Method = st.method
		}
	case 0x19:
		if len(body) >= 5 {
			delete(c.statements, binary.LittleEndian.Uint32(body[1:]))
		}
	}
	c.known = true
	if answers != silent {
		c.calls.Ask(&call, out)
	}
	return true
}

// statement gives the prepared statement that a command is about.
func (c *conn) statement(body []byte) statement {
	st := statement{"EXECUTE", notFound}
	if len(body) < 5 {
		return st
	}
	id := binary.LittleEndian.Uint32(body[1:])
	if id == 1<<32-1 && c.last.target != "" { // MariaDB: the one that was just prepared
		return c.last
	}
	if known, ok := c.statements[id]; ok {
		return known
	}
	return st
}

// remember keeps what a statement is about. Numbers grow: the lowest is the oldest.
func (c *conn) remember(id uint32, target string) {
	if c.statements == nil {
		c.statements = make(map[uint32]statement)
	}
	if len(c.statements) >= maxStatements {
		oldest := id
		for k := range c.statements {
			oldest = min(oldest, k)
		}
		delete(c.statements, oldest)
	}
	c.statements[id] = statement{sqlclass.Operation([]byte(target)), target}
}

// Gap implements wire.Conn.
func (c *conn) Gap(out *wire.Out) {
	c.calls.Gap(out)
	c.joined()
}

// End implements wire.Conn.
func (c *conn) End(at int64, reason string, out *wire.Out) { c.calls.End(at, reason, out) }

// Waiting implements wire.Conn.
func (c *conn) Waiting() (int, int64) { return c.calls.Waiting() }
