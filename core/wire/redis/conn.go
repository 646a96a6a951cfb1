package redis

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/feed"
)

const (
	maxArgs   = 1 << 20   // of a command: what servers accept
	maxBulk   = 512 << 20 // length of a string: what servers accept
	maxHeader = 24        // a type with a number
	maxLine   = 256       // of a line that is looked at
)

// conn is one connection.
type conn struct {
	names *wire.Names
	calls feed.Calls
	ask   ask
	value value
	known bool // something was understood
	blind bool // the connection became a replication link
	// A client may switch answers off.
	silent, skipNext bool
	subscribed       bool
	monitoring       bool
}

// ask is the command that is being read.
type ask struct {
	call  feed.Call
	cmd   command
	args  int64 // arguments that are still to come, with the name
	index int   // of the next
	off   replyMode
}

type replyMode uint8

const (
	replyKeep replyMode = iota
	replyOn
	replyOff
	replySkip
)

func newConn(o wire.Options) *conn {
	c := &conn{names: o.Names}
	if o.Joined {
		c.calls.Client.Forget()
		c.calls.Server.Forget()
	}
	return c
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	in, step := &c.calls.Client, (*conn).request
	if s.From == wire.Server {
		in, step = &c.calls.Server, (*conn).answer
	}
	in.Begin(s)
	switch {
	case c.blind:
		in.Drop()
	case s.From == wire.Client:
		c.calls.Asking()
		if in.Lost() {
			c.ask.args = 0
			c.sync(in, requestAt(in.Rest()))
		}
	default:
		c.settle(s, out)
		if in.Lost() {
			c.value = value{}
			c.sync(in, answerAt(in.Rest()))
		}
	}
	for !in.Lost() && !out.Wrong && !c.blind && step(c, s, out) {
	}
	if c.blind {
		in.Drop()
	}
	in.Finish(out)
}

func (c *conn) sync(in *feed.Input, ok bool) {
	if ok {
		in.Found()
	} else {
		in.Drop()
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

// request takes the next piece of a command and reports whether there may be more.
func (c *conn) request(s *wire.Span, out *wire.Out) bool {
	in := &c.calls.Client
	if c.ask.args > 0 {
		return c.argument(out)
	}
	b := in.Peek(1)
	if len(b) == 0 {
		return c.missing(out)
	}
	if b[0] != '*' {
		return c.inline(out)
	}
	line, size, ok := in.Line(maxHeader)
	if !ok {
		if len(line) >= maxHeader {
			return c.bad(in, out)
		}
		return c.missing(out)
	}
	n, ok := number(line[1:])
	if !ok || n > maxArgs {
		return c.bad(in, out)
	}
	if n > 0 {
		c.ask = ask{args: n, call: feed.Call{Start: in.First(), Asked: int64(size)}}
	}
	in.Skip(int64(size))
	return true
}

// missing ends the work on a span that has no more bytes, for now or for good.
func (c *conn) missing(out *wire.Out) bool {
	in := &c.calls.Client
	if !in.Cut() {
		return false
	}
	if c.ask.args > 0 && c.ask.index > 0 {
		c.ask.call.Partial = true
		c.ask.call.Asked += in.Left()
		c.asked(out)
	}
	c.ask.args = 0
	in.Lose()
	return false
}

// argument takes one argument: only the name of the command, and what is part
// of it, is looked at.
func (c *conn) argument(out *wire.Out) bool {
	in, a := &c.calls.Client, &c.ask
	line, size, ok := in.Line(maxHeader)
	if !ok {
		if len(line) >= maxHeader {
			return c.bad(in, out)
		}
		return c.missing(out)
	}
	if len(line) < 2 || line[0] != '$' {
		return c.bad(in, out)
	}
	n, ok := number(line[1:])
	if !ok || n < 0 || n > maxBulk {
		return c.bad(in, out)
	}
	if want := a.wants(); want > 0 && n <= int64(want) {
		b := in.Peek(size + int(n))
		if len(b) < size+int(n) {
			return c.missing(out)
		}
		a.take(b[size:])
	} else if a.index == 0 {
		a.take(nil)
	}
	in.Skip(int64(size) + n + 2)
	a.call.Asked += int64(size) + n + 2
	a.index++
	a.args--
	if a.args == 0 {
		c.asked(out)
	}
	return true
}

// wants is how long an argument may be to matter.
func (a *ask) wants() int {
	switch {
	case a.index == 0:
		return maxName
	case a.index == 1 && (a.cmd.kind == container || a.cmd.kind == reply):
		return maxName
	case a.index == 2 && a.call.Method == "CLIENT REPLY":
		return len("SKIP")
	case a.cmd.kind == perhaps && a.index < 8:
		return len("BLOCK")
	}
	return 0
}

// take looks at the argument that b is.
func (a *ask) take(b []byte) {
	switch {
	case a.index == 0:
		a.cmd = lookup(b)
		a.call.Method = a.cmd.name
	case a.index == 1 && (a.cmd.kind == container || a.cmd.kind == reply):
		a.call.Method = sub(a.cmd.name, b)
	case a.cmd.kind == perhaps:
		if equalFold(b, "BLOCK") {
			a.cmd.kind = blocking
		}
	case equalFold(b, "OFF"):
		a.off = replyOff
	case equalFold(b, "SKIP"):
		a.off = replySkip
	case equalFold(b, "ON"):
		a.off = replyOn
	}
}

// inline takes a command in a line of its own.
func (c *conn) inline(out *wire.Out) bool {
	in := &c.calls.Client
	line, size, ok := in.Line(maxLine)
	if !ok {
		if len(line) >= maxLine || !printable(bytes.TrimSuffix(line, []byte{'\r'})) && string(line) != "\r" && len(line) > 0 {
			return c.bad(in, out)
		}
		return c.missing(out)
	}
	name := word(line)
	if len(name) > 0 {
		if !printable(line) {
			return c.bad(in, out)
		}
		c.ask = ask{call: feed.Call{Start: in.First(), Asked: int64(size)}}
		for rest := line; len(rest) > 0; c.ask.index++ {
			w := word(rest)
			if want := c.ask.wants(); len(w) <= want || c.ask.index == 0 {
				c.ask.take(w)
			}
			for len(rest) > 0 && &rest[0] != &w[0] {
				rest = rest[1:]
			}
			rest = rest[len(w):]
			for len(rest) > 0 && rest[0] == ' ' {
				rest = rest[1:]
			}
		}
		c.asked(out)
	}
	in.Skip(int64(size))
	return true
}

// asked takes the command that was read.
func (c *conn) asked(out *wire.Out) {
	a := &c.ask
	a.call.Kind = uint8(a.cmd.kind)
	switch a.cmd.kind {
	case subscribe:
		a.call.Left = max(int64(a.index)-1, 1)
		a.call.Stream = true
	case monitor, blocking, replicate:
		a.call.Stream = true
	}
	mute := c.silent || c.skipNext
	c.skipNext = false
	switch a.off {
	case replyOff:
		c.silent, mute = true, true
	case replySkip:
		c.skipNext, mute = !c.silent, true
	case replyOn:
		c.silent, mute = false, false
	}
	called := c.calls.Ask(&a.call, out)
	c.known = true
	if a.cmd.kind == replicate {
		c.blind = true
	}
	if called != nil && (mute || c.blind) {
		// Nothing answers this: it is told as it is, before what else waits.
		call, _ := c.calls.Drop()
		c.calls.Tell(&call, call.Start, out)
	}
}

// Gap implements wire.Conn.
func (c *conn) Gap(out *wire.Out) {
	c.calls.Gap(out)
	c.calls.Client.Forget()
	c.calls.Server.Forget()
	c.ask, c.value = ask{}, value{}
}

// End implements wire.Conn.
func (c *conn) End(at int64, reason string, out *wire.Out) { c.calls.End(at, reason, out) }

// Waiting implements wire.Conn.
func (c *conn) Waiting() (int, int64) { return c.calls.Waiting() }
