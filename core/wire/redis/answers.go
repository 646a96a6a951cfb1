package redis

import (
	"math"

	"vitals/core/wire"
	"vitals/core/wire/feed"
)

// value is the answer that is being read.
type value struct {
	open    bool
	top     byte  // its type
	left    int64 // values that are still to come, with those inside
	seen    int   // values that were read, at most 2
	size    int64
	first   int64
	code    string // of the first error in it
	push    push
	tail    bool // inside a line that is longer than what is looked at
	closing bool // read, but its last bytes are still to come
}

// push is what the first string of an array says about who asked for it.
type push uint8

const (
	pushNone push = iota
	pushConfirm
	pushMessage
)

// settle ends an answer whose last bytes have gone by.
func (c *conn) settle(s *wire.Span, out *wire.Out) {
	if c.value.closing && c.calls.Server.Pending() == 0 {
		c.answered(s.Last, out)
	}
}

// answer takes the next value of an answer and reports whether there may be more.
func (c *conn) answer(s *wire.Span, out *wire.Out) bool {
	in, v := &c.calls.Server, &c.value
	if v.closing {
		return false
	}
	b := in.Peek(1)
	if len(b) == 0 {
		return c.cut(s, out)
	}
	if !v.open {
		*v = value{open: true, top: b[0], left: 1, first: in.First()}
	}
	kind := b[0]
	line, size, ok := in.Line(maxLine)
	switch {
	case ok:
	case len(line) >= maxLine && (v.tail || kind == '+' || kind == '-'):
		if !v.tail && kind == '-' {
			c.failed(line[1:])
		}
		v.tail = true
		c.skip(int64(size))
		return true
	case len(line) >= maxLine:
		return c.bad(in, out)
	default:
		if kind == '-' && in.Cut() {
			c.failed(line[1:])
		}
		return c.cut(s, out)
	}
	if v.tail {
		v.tail = false
		c.skip(int64(size))
		return c.next(s, 0, out)
	}
	if len(line) == 0 {
		return c.bad(in, out)
	}
	switch kind {
	case '-':
		c.failed(line[1:])
		fallthrough
	case '+', ':', '_', '#', ',', '(':
		c.skip(int64(size))
		return c.next(s, 0, out)
	}
	n, ok := number(line[1:])
	if !ok || n < -1 {
		return c.bad(in, out)
	}
	n = max(n, 0)
	switch kind {
	case '$', '=', '!':
		if line[1] != '-' {
			return c.bulk(s, kind, size, n, out)
		}
	case '%', '|':
		n *= 2
	case '*', '~', '>':
	default:
		return c.bad(in, out)
	}
	c.skip(int64(size))
	if kind == '$' || kind == '=' || kind == '!' {
		n = 0
	}
	if kind == '|' { // attributes go before the value that they describe
		v.left = add(v.left, n)
		return true
	}
	return c.next(s, n, out)
}

// bulk takes a string of n bytes, whose header takes size bytes.
func (c *conn) bulk(s *wire.Span, kind byte, size int, n int64, out *wire.Out) bool {
	v := &c.value
	look := 0
	switch {
	case kind == '!':
		look = maxName
	case v.seen == 1 && (v.top == '>' || v.top == '*' && c.pushes()):
		look = maxName
	}
	if look = min(look, int(min(n, maxName))); look > 0 {
		b := c.calls.Server.Peek(size + look)
		if len(b) < size+look {
			return c.cut(s, out)
		}
		if kind == '!' {
			c.failed(b[size:])
		} else {
			v.push = pushOf(b[size:])
		}
	}
	c.skip(int64(size) + n + 2)
	return c.next(s, 0, out)
}

// pushes reports whether an array may be a push in RESP2.
func (c *conn) pushes() bool {
	oldest := c.calls.Oldest()
	if oldest != nil && kind(oldest.Kind) == subscribe {
		return true
	}
	return c.subscribed && (oldest == nil || oldest.Method == "PING" || oldest.Method == "QUIT" || oldest.Method == "RESET")
}

func pushOf(b []byte) push {
	switch string(b) {
	case "message", "pmessage", "smessage":
		return pushMessage
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
		return pushConfirm
	}
	return pushNone
}

func (c *conn) skip(n int64) {
	c.value.size += n
	c.calls.Server.Skip(n)
}

// next counts a value that holds n others.
func (c *conn) next(s *wire.Span, n int64, out *wire.Out) bool {
	v := &c.value
	v.seen = min(v.seen+1, 2)
	v.left = add(v.left-1, n)
	if v.left > 0 {
		return true
	}
	v.closing = true
	if c.calls.Server.Pending() > 0 {
		return false
	}
	c.answered(s.Last, out)
	return true
}

// add adds counts of values, without an overflow.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// failed takes the text of an error. One inside of an array belongs to another
// command, except for EXEC.
func (c *conn) failed(text []byte) {
	v := &c.value
	if v.code != "" {
		return
	}
	if oldest := c.calls.Oldest(); v.seen > 0 && (oldest == nil || kind(oldest.Kind) != exec) {
		return
	}
	w := word(text)
	v.code = "ERR"
	if len(w) == 0 || len(w) > maxName {
		return
	}
	for _, b := range w {
		if (b < 'A' || b > 'Z') && b != '_' {
			return
		}
	}
	v.code = c.names.Get(w)
}

// answered takes the answer that was read.
func (c *conn) answered(end int64, out *wire.Out) {
	v := c.value
	c.value = value{}
	c.known = true
	oldest := c.calls.Oldest()
	switch {
	case v.push == pushConfirm:
		c.subscribed = true
		if oldest == nil || kind(oldest.Kind) != subscribe {
			return // more than were asked for: UNSUBSCRIBE without a channel
		}
	case v.push == pushMessage:
		c.pushed("MESSAGE", &v, end, out)
		return
	case v.top == '>':
		c.pushed("PUSH", &v, end, out)
		return
	case oldest == nil && c.monitoring && v.top == '+' && c.calls.Len() == 0:
		c.pushed("MONITOR", &v, end, out)
		return
	}
	if oldest != nil {
		if oldest.First == 0 {
			oldest.First = v.first
		}
		oldest.Answered += v.size
		oldest.Code, oldest.Failed = v.code, v.code != "" && v.code != "MOVED" && v.code != "ASK"
		if kind(oldest.Kind) == monitor && v.code == "" {
			c.monitoring = true
		}
		if oldest.Left--; oldest.Left > 0 && v.code == "" {
			return
		}
	}
	c.calls.Done(end, out)
}

// pushed tells a message that nobody asked for.
func (c *conn) pushed(method string, v *value, end int64, out *wire.Out) {
	call := feed.Call{Method: method, Start: v.first, First: v.first, Answered: v.size, Stream: true}
	c.calls.Tell(&call, end, out)
}

// cut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) cut(s *wire.Span, out *wire.Out) bool {
	in, v := &c.calls.Server, &c.value
	if !in.Cut() {
		return false
	}
	if oldest := c.calls.Oldest(); oldest != nil {
		known := v.open && kind(oldest.Kind) != exec
		if oldest.First == 0 {
			oldest.First = in.First()
			if v.open {
				oldest.First = v.first
			}
		}
		oldest.Answered += v.size
		if c.calls.Len() == 1 {
			oldest.Answered += in.Left()
		}
		oldest.Code, oldest.Failed = v.code, v.code != ""
		c.calls.Flush(s.Last, known && s.Turn, out)
	}
	*v = value{}
	in.Lose()
	return false
}
