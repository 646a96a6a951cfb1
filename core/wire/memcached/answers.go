package memcached

import (
	"vitals/core/wire"
	"vitals/core/wire/feed"
)

// answer takes the next line of an answer and reports whether there may be more.
func (c *conn) answer(s *wire.Span, out *wire.Out) bool {
	in := &c.calls.Server
	if b := in.Peek(1); len(b) == 0 {
		return c.answerCut(s, out)
	} else if b[0] == 0x81 {
		out.Blind = "binary protocol"
		return false
	}
	text, size, ok := in.Line(maxLine)
	switch {
	case ok:
	case len(text) < maxLine:
		return c.answerCut(s, out)
	}
	at := in.First()
	tail := c.tail
	c.tail = !ok
	in.Skip(int64(size))
	oldest := c.calls.Oldest()
	if oldest != nil {
		if oldest.First == 0 {
			oldest.First = at
		}
		oldest.Answered += int64(size)
	}
	if tail {
		return true
	}
	f := &c.fields
	f.split(text)
	if f.n == 0 || !printable(text) {
		return c.bad(in, out)
	}
	if len(f.word[0]) < len("VALUE")+8 {
		c.known = true
	}
	c.line(f, int64(size), at, s.Last, out)
	return true
}

// line takes a line of an answer.
func (c *conn) line(f *fields, size, at, last int64, out *wire.Out) {
	word := f.word[0]
	oldest := c.unquiet(word, size, at, last, out)
	if code, failed := outcome(word); failed {
		if oldest != nil {
			oldest.Code, oldest.Failed = code, true
		}
		c.calls.Done(last, out)
		return
	}
	switch string(word) {
	case "VALUE":
		c.value(f, 3, oldest)
		return
	case "VA":
		c.value(f, 1, oldest)
		c.calls.Done(last, out)
		return
	}
	if oldest == nil {
		if c.calls.Len() > 0 || !c.watching {
			c.calls.Done(last, out)
		}
		return
	}
	switch shape(oldest.Kind &^ quiet) {
	case values:
		if string(word) != "END" {
			return
		}
		if oldest.Found == 0 && oldest.Items > 0 {
			oldest.Code = "MISS"
		}
	case list:
		switch string(word) {
		case "END", "RESET", "OK":
		default:
			return
		}
	case watch:
		c.watching = true
	default:
		oldest.Code, _ = outcome(word)
		if oldest.Method == "MG" && string(word) == "HD" {
			oldest.Found = 1
		}
	}
	c.calls.Done(last, out)
}

// value passes over a value, whose length is field i.
func (c *conn) value(f *fields, i int, of *feed.Call) {
	n, ok := f.number(i)
	if !ok {
		return
	}
	c.calls.Server.Skip(n + 2)
	if of != nil {
		of.Answered += n + 2
		of.Found++
	}
}

// unquiet gives the request that a line answers. Quiet ones before it had
// nothing to say; they are told, and what was counted for them is moved on.
func (c *conn) unquiet(word []byte, size, at, last int64, out *wire.Out) *feed.Call {
	oldest := c.calls.Oldest()
	for oldest != nil && oldest.Kind&quiet != 0 && c.calls.Len() > 1 && !speaks(oldest.Method, word) {
		oldest.First, oldest.Answered = 0, 0
		if oldest.Method == "MG" {
			oldest.Code = "MISS"
		}
		c.calls.Done(last, out)
		if oldest = c.calls.Oldest(); oldest != nil {
			oldest.First, oldest.Answered = at, size
		}
	}
	return oldest
}

// speaks reports whether a quiet command may be answered with that word.
func speaks(method string, word []byte) bool {
	switch string(word) {
	case "VA", "HD":
		return method == "MG"
	case "NS", "EX":
		return method != "MG"
	case "NF":
		return method != "MG"
	case "EN", "MN", "ME":
		return false
	}
	_, failed := outcome(word)
	return failed
}

// outcome gives the code that a first word stands for, and whether it is a failure.
func outcome(word []byte) (code string, failed bool) {
	switch string(word) {
	case "ERROR":
		return "ERROR", true
	case "CLIENT_ERROR":
		return "CLIENT_ERROR", true
	case "SERVER_ERROR":
		return "SERVER_ERROR", true
	case "NOT_STORED", "NS":
		return "NOT_STORED", false
	case "EXISTS", "EX":
		return "EXISTS", false
	case "NOT_FOUND", "NF":
		return "NOT_FOUND", false
	case "EN":
		return "MISS", false
	}
	return "", false
}

// answerCut ends the work on a span that has no more bytes, for now or for good.
func (c *conn) answerCut(s *wire.Span, out *wire.Out) bool {
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
	c.tail = false
	in.Lose()
	return false
}
