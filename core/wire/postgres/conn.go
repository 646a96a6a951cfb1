package postgres

import (
	"vitals/core/wire"
	"vitals/core/wire/feed"
	"vitals/core/wire/sqlclass"
)

// conn is one connection.
type conn struct {
	names    *wire.Names
	calls    feed.Calls
	dialect  sqlclass.Dialect
	prepared statements
	unnamed  statement
	portal   statement // of the portal without a name
	state    state
	building bool // the newest request has no Execute yet
	refused  bool // and no room
	known    bool // a message was understood
	awaited  int  // how often the server will be ready again
	text     []byte
}

// state is how far a connection is.
type state uint8

const (
	stateStart  state = iota // nothing was said
	stateAsked               // the client asked for encryption
	stateLogin               // who and how is settled
	stateReady               // messages have types
	stateBroken              // the server skips everything before the next Sync
)

// Kinds of calls: where they end.
const (
	endReady uint8 = iota + 1 // when the server is ready
	endPart                   // with their own answer, or at the next Sync
)

func newConn(o wire.Options) *conn {
	c := &conn{names: o.Names, dialect: sqlclass.Postgres, unnamed: statement{"EXECUTE", notFound}, portal: statement{"EXECUTE", notFound}}
	if o.Joined {
		c.joined()
	}
	return c
}

// joined forgets where messages begin, and what the client said before.
func (c *conn) joined() {
	c.calls.Client.Forget()
	c.calls.Server.Forget()
	c.state, c.building, c.awaited = stateReady, false, 0
	c.dialect |= sqlclass.Unsure
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
		if boundary(s.From, in.Rest(), s.Size) {
			in.Found()
		} else if s.From == wire.Client && sniffStart(in.Rest(), s.Size) == wire.Sure {
			in.Found()
			c.state = stateStart
		} else {
			in.Drop()
		}
	}
	for !in.Lost() && !out.Wrong && out.Blind == "" && step(c, s, out) {
	}
	in.Finish(out)
}

// bad is for bytes that are not the protocol.
func (c *conn) bad(in *feed.Input, out *wire.Out) bool {
	if !c.known {
		out.Wrong = true
	}
	in.Lose()
	return false
}

// class gives the statement that text is.
func (c *conn) class(text []byte, cut bool) statement {
	c.text = sqlclass.Append(c.text[:0], text, c.dialect, cut)
	return statement{sqlclass.Operation(c.text), c.names.Get(c.text)}
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
