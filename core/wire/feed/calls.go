package feed

import "vitals/core/wire"

// MaxCalls is how many unanswered requests of a connection are remembered. Those
// beyond it are counted, without an answer.
const MaxCalls = 128

// Call is a request that waits for its answer.
type Call struct {
	Method, Target string
	Code           string // of the error that the answer has told
	Status         int
	Start, First   int64
	Asked          int64
	Answered       int64
	Items, Found   int64 // how many were asked for, and given, where requests have many
	Left           int64 // how many parts of the answer are still to come, for the parser
	Kind           uint8 // for the parser
	Failed         bool
	Stream         bool
	Partial        bool
	Hidden         bool // keeps a place in the order and is never told
}

// Calls pairs requests with answers that come in the same order.
type Calls struct {
	Client, Server Input // what the two said

	queue Queue[Call]
	// closing says that the answer to the oldest is known to its end, of which
	// bytes are still to come.
	closing bool
	// late counts the answers that may still come of what Flush has told.
	late int
}

// Ask takes a request. The result belongs to Calls, and is nil when too many wait.
func (c *Calls) Ask(call *Call, out *wire.Out) *Call {
	if c.queue.Push(*call, MaxCalls) {
		return c.queue.Newest()
	}
	late := *call
	late.Partial = true
	c.Tell(&late, call.Start, out)
	return nil
}

// Oldest is the request whose answer comes next, nil when it is not known.
func (c *Calls) Oldest() *Call { return c.queue.Oldest() }

// Newest is the last request, nil when it is not known.
func (c *Calls) Newest() *Call { return c.queue.Newest() }

// Len is how many requests wait.
func (c *Calls) Len() int { return c.queue.Len() }

// Done tells the oldest request, whose answer ended: at once, or with Settle
// when bytes of it are still to be skipped. Without one, the answer is counted
// as unpaired.
func (c *Calls) Done(end int64, out *wire.Out) {
	if c.Server.Pending() > 0 && c.queue.Oldest() != nil {
		c.closing = true
		return
	}
	c.closing = false
	call, held, ok := c.pop()
	switch {
	case held:
		c.Tell(&call, end, out)
	case ok:
	case c.late > 0:
		c.late--
	default:
		out.Unpaired++
	}
}

// Settle tells the request whose answer ends with the bytes that Server skipped
// when it took this span.
func (c *Calls) Settle(s *wire.Span, out *wire.Out) {
	if c.closing && c.Server.Pending() == 0 {
		c.Done(s.Last, out)
	}
}

// Full reports that Ask has no room.
func (c *Calls) Full() bool { return c.queue.over > 0 || c.queue.n >= MaxCalls }

// Refused is how many wait that Ask had no room for.
func (c *Calls) Refused() int { return c.queue.over }

// Clear forgets everything that waits.
func (c *Calls) Clear() {
	c.queue.Clear()
	c.closing = false
}

// pop takes the oldest away. Its size is what went by, which is less than was
// announced when the rest of it never came.
func (c *Calls) pop() (call Call, held, ok bool) {
	call, held, ok = c.queue.Pop()
	if held && c.queue.Len() == 0 {
		call.Asked = max(call.Asked-c.Client.Pending(), 0)
	}
	return call, held, ok
}

// broken takes what never came from the answer that was announced.
func (c *Calls) broken() {
	c.closing = false
	if oldest := c.queue.Oldest(); oldest != nil {
		oldest.Answered = max(oldest.Answered-c.Server.Pending(), 0)
	}
}

// Drop forgets the newest request, which gets no answer after all, and gives it.
func (c *Calls) Drop() (Call, bool) {
	if c.queue.Newest() == nil {
		return Call{}, false
	}
	c.queue.n--
	call := *c.queue.At(c.queue.n)
	*c.queue.At(c.queue.n) = Call{}
	return call, true
}

// Flush tells everything that waits, because the answers from here on were not
// captured: they went by until end. What waits alone and has begun is whole when
// its outcome is known.
func (c *Calls) Flush(end int64, known bool, out *wire.Out) {
	alone := c.queue.Len() == 1 && known
	c.closing = false
	for c.queue.Len() > 0 {
		call, held, _ := c.pop()
		if !held {
			continue
		}
		if !alone {
			call.Partial = true
			c.late++
		}
		c.Tell(&call, end, out)
	}
}

// Asking says that the client speaks again: what was flushed is over.
func (c *Calls) Asking() { c.late = 0 }

// End tells everything that waits, as ended by reason.
func (c *Calls) End(at int64, reason string, out *wire.Out) {
	c.broken()
	for c.queue.Len() > 0 {
		call, held, _ := c.pop()
		if !held {
			continue
		}
		if call.Hidden {
			continue
		}
		x := exchange(&call, at)
		if !call.Stream {
			x.Error = reason
			x.FailedServer = reason != "cancelled"
			x.FailedClient = true
		}
		out.Add(&x)
	}
}

// Gap tells everything that waits, because what came next is missing.
func (c *Calls) Gap(out *wire.Out) {
	c.broken()
	for c.queue.Len() > 0 {
		call, held, _ := c.pop()
		if !held {
			continue
		}
		call.Partial = true
		c.Tell(&call, 0, out)
	}
	c.late = 0
}

// Waiting is as in wire.Conn. Streams that have begun do not wait.
func (c *Calls) Waiting() (n int, oldest int64) {
	if c.queue.Len() == 0 {
		return 0, 0
	}
	if first := c.queue.Oldest(); first != nil {
		if first.Stream && first.First != 0 && c.queue.Len() == 1 {
			return 0, 0
		}
		oldest = first.Start
	}
	return c.queue.Len(), oldest
}

// exchange makes what is told of a call. An answer that seems to have begun
// before it, because the capture was late or incomplete, makes it Partial.
func exchange(c *Call, end int64) wire.Exchange {
	if c.First != 0 && c.First < c.Start {
		c.First, c.Partial = c.Start, true
	}
	end = max(end, c.Start, c.First)
	return wire.Exchange{
		Method: c.Method, Target: c.Target, Code: c.Code, Status: c.Status,
		FailedServer: c.Failed, FailedClient: c.Failed,
		Start: c.Start, First: c.First, End: end,
		Asked: c.Asked, Answered: c.Answered, MessagesAsked: c.Items, MessagesAnswered: c.Found,
		Stream: c.Stream, Partial: c.Partial,
	}
}

// Tell tells a request, or a message that nobody asked for, out of order.
func (c *Calls) Tell(call *Call, end int64, out *wire.Out) {
	if call.Hidden {
		return
	}
	x := exchange(call, end)
	out.Add(&x)
}
