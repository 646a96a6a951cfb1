package memcached

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/feed"
)

// conn is one connection.
type conn struct {
	calls    feed.Calls
	fields   fields
	cmd      command
	call     feed.Call // that is being read
	reading  bool      // a line of keys goes on
	inWord   bool      // and was cut inside of one
	tail     bool      // a line of an answer that is of no interest goes on
	known    bool      // something was understood
	watching bool
}

// quiet marks the kind of calls that are answered only when there is something
// to say.
const quiet = 0x80

func newConn(o wire.Options) *conn {
	c := &conn{}
	if o.Joined {
		c.joined()
	}
	return c
}

func (c *conn) joined() {
	c.calls.Client.Forget()
	c.calls.Server.Forget()
	c.reading, c.tail = false, false
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	in, step := &c.calls.Client, (*conn).request
	if s.From == wire.Server {
		in, step = &c.calls.Server, (*conn).answer
	} else {
		c.calls.Asking()
	}
	in.Begin(s)
	if s.From == wire.Server {
		c.calls.Settle(s, out)
	}
	if in.Lost() {
		if sniff(s.From, in.Rest(), s.Size) == wire.No {
			in.Drop()
		} else {
			in.Found()
			c.reading, c.tail = false, false
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

// request takes the next command and reports whether there may be more.
func (c *conn) request(_ *wire.Span, out *wire.Out) bool {
	in := &c.calls.Client
	if c.reading {
		return c.keys(out)
	}
	b := in.Peek(1)
	if len(b) == 0 {
		return c.requestCut(out)
	}
	if b[0] == 0x80 {
		out.Blind = "binary protocol"
		return false
	}
	text, size, ok := in.Line(maxLine)
	if !ok && len(text) < maxLine && !in.Cut() {
		if !printable(bytes.TrimSuffix(text, []byte{'\r'})) && string(text) != "\r" {
			return c.bad(in, out)
		}
		return false
	}
	if len(text) == 0 || !printable(bytes.TrimSuffix(text, []byte{'\r'})) {
		if ok && len(text) == 0 && c.known {
			in.Skip(int64(size)) // behind a value of another length than announced
			return true
		}
		return c.bad(in, out)
	}
	f := &c.fields
	f.split(text)
	if f.n == 0 || !ok && f.n == 1 {
		return c.requestCutOr(in, out)
	}
	c.cmd = lookup(f.word[0])
	c.call = feed.Call{Method: c.cmd.name, Kind: uint8(c.cmd.shape), Start: in.First(), Asked: int64(size)}
	if c.cmd.keys > 0 {
		c.call.Items = int64(max(f.n-c.cmd.keys, 0))
		if !ok {
			c.inWord = text[len(text)-1] != ' '
			c.reading = true
			in.Skip(int64(size))
			return true
		}
	} else if !ok {
		return c.requestCutOr(in, out)
	}
	in.Skip(int64(size))
	return c.asked(out)
}

// requestCutOr gives up a line that is too long, or that was not captured.
func (c *conn) requestCutOr(in *feed.Input, out *wire.Out) bool {
	if in.Cut() {
		return c.requestCut(out)
	}
	return c.bad(in, out)
}

// keys counts the keys of a line that is longer than what is looked at.
func (c *conn) keys(out *wire.Out) bool {
	in := &c.calls.Client
	b := in.Peek(1)
	if len(b) == 0 {
		return c.requestCut(out)
	}
	text, size, ok := in.Line(maxLine)
	if !ok && len(text) < maxLine && !in.Cut() {
		return false
	}
	f := &c.fields
	f.split(text)
	c.call.Items += int64(f.n)
	if c.inWord && len(text) > 0 && text[0] != ' ' {
		c.call.Items--
	}
	if len(text) > 0 {
		c.inWord = text[len(text)-1] != ' '
	}
	c.call.Asked += int64(size)
	in.Skip(int64(size))
	if !ok {
		return true
	}
	c.reading = false
	return c.asked(out)
}

// requestCut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) requestCut(out *wire.Out) bool {
	in := &c.calls.Client
	if !in.Cut() {
		return false
	}
	if c.reading {
		c.reading = false
		c.call.Partial = true
		c.call.Asked += in.Left()
		c.calls.Ask(&c.call, out)
	}
	in.Lose()
	return false
}

// asked takes the command that was read, and passes over its value.
func (c *conn) asked(out *wire.Out) bool {
	f, in := &c.fields, &c.calls.Client
	c.known = true
	if c.cmd.data > 0 {
		n, ok := f.number(c.cmd.data)
		if ok {
			c.call.Asked += n + 2
			in.Skip(n + 2)
		} // else the server answers with an error
	}
	if c.cmd.name == "MG" {
		c.call.Items = 1
	}
	switch {
	case c.cmd.shape == silent:
		return true
	case c.cmd.shape == meta && c.isQuiet():
		c.call.Kind |= quiet
	case c.cmd.shape == line && f.n > 1 && string(f.last) == "noreply":
		c.calls.Tell(&c.call, c.call.Start, out)
		return true
	case c.cmd.shape == watch:
		c.call.Stream = true
	}
	c.calls.Ask(&c.call, out)
	return true
}

// isQuiet reports whether a meta command has the flag for it.
func (c *conn) isQuiet() bool {
	for i := 2; i < min(c.fields.n, maxFields); i++ {
		if string(c.fields.word[i]) == "q" {
			return true
		}
	}
	return false
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
