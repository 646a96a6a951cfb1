package postgres

import (
	"encoding/binary"

	"vitals/core/wire"
	"vitals/core/wire/feed"
)

// fromClient takes the client's next message and reports whether there may be more.
func (c *conn) fromClient(_ *wire.Span, out *wire.Out) bool {
	in := &c.calls.Client
	if c.state == stateStart || c.state == stateAsked {
		return c.start(out)
	}
	b := in.Peek(5)
	if len(b) < 5 {
		return c.clientCut()
	}
	size := header(wire.Client, b)
	if size == 0 {
		return c.bad(in, out)
	}
	want := int(min(size, int64(wanted(b[0]))))
	b = in.Peek(want)
	if len(b) < want && !in.Cut() {
		return false
	}
	if len(b) < 5 {
		return c.clientCut()
	}
	c.known = true
	c.message(b, size, in.First(), out)
	in.Skip(size)
	return true
}

// wanted is how much of a message is looked at.
func wanted(kind byte) int {
	switch kind {
	case 'Q', 'P':
		return 5 + maxText
	case 'B', 'E', 'D', 'C':
		return 5 + 2*(maxName+1)
	}
	return 5
}

// clientCut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) clientCut() bool {
	in := &c.calls.Client
	if !in.Cut() {
		return false
	}
	// What was asked for ends with the answer: a Sync, or more than that, is in
	// what was not captured.
	if newest := c.calls.Newest(); newest != nil && newest.Kind == endPart {
		newest.Kind = endReady
		c.awaited++
		newest.Partial = true
		newest.Asked += in.Left()
	}
	c.building = false
	in.Lose()
	return false
}

// start takes the first message, which has no type.
func (c *conn) start(out *wire.Out) bool {
	in := &c.calls.Client
	b := in.Peek(8)
	if len(b) < 8 {
		if in.Cut() {
			in.Lose()
		}
		return false
	}
	n, code := int64(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	call := feed.Call{Method: "CONNECT", Start: in.First(), Asked: n, Kind: endReady}
	switch {
	case n == 8 && (code == codeTLS || code == codeGSS):
		c.state = stateAsked
		in.Skip(n)
		return true
	case n >= 16 && n < 300 && code == codeCancel:
		call.Method = "CANCEL"
		c.calls.Tell(&call, call.Start, out)
	case n >= 9 && n <= maxStart && code>>16 == version3>>16:
		c.calls.Ask(&call, out)
		c.state = stateLogin
		c.awaited++
	case !c.known && header(wire.Client, b) != 0:
		c.state = stateReady // the connection is older than it seemed
		return true
	case c.state == stateAsked && b[0] == 0x16:
		out.Blind = "tls" // the answer to the wish was not seen
		return false
	default:
		return c.bad(in, out)
	}
	c.known = true
	in.Skip(n)
	return true
}

// message takes one with a type, of which b was captured.
func (c *conn) message(b []byte, size, at int64, out *wire.Out) {
	body, cut := b[5:], int64(len(b)) < size
	switch b[0] {
	case 'Q':
		text, ended := cString(body)
		st := c.class(text, !ended)
		c.building = false
		c.awaited++
		c.calls.Ask(&feed.Call{Method: st.method, Target: st.target, Start: at, Asked: size, Kind: endReady}, out)
	case 'F':
		c.building = false
		c.awaited++
		c.calls.Ask(&feed.Call{Method: "FUNCTION", Start: at, Asked: size, Kind: endReady}, out)
	case 'P':
		name, ended := cString(body)
		var st statement
		if ended {
			text, whole := cString(body[len(name)+1:])
			st = c.class(text, !whole)
		} else {
			st = statement{"PREPARE", notFound}
		}
		if len(name) == 0 {
			c.unnamed = st
		} else if ended {
			c.prepared.put(key('S', name), st)
		}
		c.part(statement{"PREPARE", st.target}, size, at, out)
	case 'B':
		c.bind(body, size, at, out)
	case 'D':
		c.part(statement{"DESCRIBE", c.named(body).target}, size, at, out)
	case 'C':
		c.close(body, cut, size, at, out)
	case 'E':
		c.execute(body, size, at, out)
	case 'S':
		c.sync(size, at, out)
	default: // of what waits already: passwords, data, Flush, Terminate
		if newest := c.calls.Newest(); newest != nil {
			newest.Asked += size
		}
	}
}

// part takes a message that prepares an Execute. It names the request until a
// later one knows better.
func (c *conn) part(st statement, size, at int64, out *wire.Out) *feed.Call {
	newest := c.calls.Newest()
	if !c.building {
		c.building = true
		if c.refused = c.calls.Full(); c.refused {
			return nil // the Execute is counted
		}
		return c.calls.Ask(&feed.Call{Method: st.method, Target: st.target, Start: at, Asked: size, Kind: endPart}, out)
	}
	if c.refused || newest == nil {
		return nil
	}
	newest.Asked += size
	if newest.Method == "CLOSE" {
		newest.Method, newest.Target = st.method, st.target
	}
	return newest
}

func (c *conn) bind(body []byte, size, at int64, out *wire.Out) {
	portal, ended := cString(body)
	st := statement{"EXECUTE", notFound}
	if ended {
		name, _ := cString(body[len(portal)+1:])
		if st = c.unnamed; len(name) > 0 {
			st = c.prepared.get(key('S', name))
		}
		if c.portal = st; len(portal) > 0 {
			c.prepared.put(key('P', portal), st)
		}
	}
	if call := c.part(st, size, at, out); call != nil {
		call.Method, call.Target = st.method, st.target
	}
}

// named gives the statement or portal that a Describe or Close is about.
func (c *conn) named(body []byte) statement {
	if len(body) < 2 {
		return statement{}
	}
	name, _ := cString(body[1:])
	if len(name) > 0 {
		return c.prepared.get(key(body[0], name))
	}
	return c.unnamed
}

// close takes a Close, which is a request only when it comes alone. Its name is
// kept: in a pipeline, it may be used before the server sees this.
func (c *conn) close(body []byte, cut bool, size, at int64, out *wire.Out) {
	newest := c.calls.Newest()
	if !c.building && newest != nil && newest.Kind == endPart {
		newest.Asked += size
		return
	}
	st := statement{method: "CLOSE"}
	if !cut {
		st.target = c.named(body).target
	}
	if newest != nil && c.building {
		newest.Asked += size
		return
	}
	c.part(st, size, at, out)
}

// execute completes a request. Without a Bind before it, it goes on with a portal.
func (c *conn) execute(body []byte, size, at int64, out *wire.Out) {
	st := c.portal
	if portal, _ := cString(body); len(portal) > 0 {
		st = c.prepared.get(key('P', portal))
	}
	fresh := !c.building
	call := c.part(st, size, at, out)
	switch {
	case call == nil:
		c.calls.Ask(&feed.Call{Method: st.method, Target: st.target, Start: at, Asked: size, Kind: endPart}, out)
	case fresh || call.Method == "PREPARE" || call.Method == "DESCRIBE" || call.Method == "CLOSE":
		call.Method, call.Target = st.method, st.target
	}
	c.building = false
}

// sync ends what is asked for: the last request is over when the server is ready.
func (c *conn) sync(size, at int64, out *wire.Out) {
	c.building = false
	c.awaited++
	if newest := c.calls.Newest(); newest != nil && newest.Kind == endPart {
		newest.Kind = endReady
		newest.Asked += size
		return
	}
	if c.calls.Refused() == 0 {
		c.calls.Ask(&feed.Call{Method: "SYNC", Start: at, Asked: size, Kind: endReady, Hidden: true}, out)
	}
}
