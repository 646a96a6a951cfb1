// Package sse counts the events of a text/event-stream, the body of an HTTP
// answer that goes on for as long as there is news. Such an answer is a stream:
// its duration is no latency.
package sse

import "bytes"

// ContentType is the media type of an event stream.
const ContentType = "text/event-stream"

// Counter counts events. The zero value is at the beginning of a stream. It
// belongs to one goroutine and allocates nothing.
type Counter struct {
	at   uint8 // how much of "data" the line has matched
	bad  bool  // the line is not a data line
	some bool  // the line has a character
	data bool  // the event has data
	cr   bool  // the byte before was a carriage return
}

const field = "data"

// Feed takes the next bytes and gives how many events ended in them: blocks of
// lines with data, ended by an empty one. Comments that keep a connection alive
// are no events.
func (c *Counter) Feed(b []byte) (events int) {
	for len(b) > 0 {
		if c.bad && !c.cr { // nothing matters until the line ends
			i := bytes.IndexAny(b, "\r\n")
			if i < 0 {
				return events
			}
			b = b[i:]
		}
		ch := b[0]
		b = b[1:]
		switch {
		case ch == '\n' && c.cr:
			c.cr = false
		case ch == '\n' || ch == '\r':
			c.cr = ch == '\r'
			events += c.line()
		default:
			c.cr = false
			c.char(ch)
		}
	}
	return events
}

func (c *Counter) char(ch byte) {
	c.some = true
	switch {
	case c.bad || c.at > uint8(len(field)):
	case c.at < uint8(len(field)) && ch == field[c.at]:
		c.at++
	case c.at == uint8(len(field)) && ch == ':':
		c.at++
	default:
		c.bad = true
	}
}

// line ends a line and gives 1 when an event ends with it.
func (c *Counter) line() int {
	if c.some {
		c.data = c.data || !c.bad && c.at >= uint8(len(field))
		c.some, c.bad, c.at = false, false, 0
		return 0
	}
	if !c.data {
		return 0
	}
	c.data = false
	return 1
}

// Skip says that bytes are missing: what is open is no event.
func (c *Counter) Skip() { *c = Counter{bad: true, some: true} }
