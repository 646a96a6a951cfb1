package http1

import (
	"bytes"

	"vitals/core/wire"
)

// Protocol is HTTP/1.0 and HTTP/1.1.
var Protocol = wire.Protocol{
	Name:     "http",
	Sniff:    Sniff,
	Ports:    []uint16{80, 8000, 8080, 8081, 8888, 3000, 5000, 9090},
	Programs: []string{"nginx", "apache2", "httpd", "haproxy", "caddy", "traefik", "envoy", "lighttpd"},
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

// Sniff knows a request line and a status line.
func Sniff(from wire.Side, data []byte, size int64) wire.Verdict {
	if from == wire.Server {
		var r Response
		if r.Parse(data) {
			return wire.Sure
		}
		return wire.No
	}
	var r Request
	switch {
	case !r.Parse(data):
		return wire.No
	case r.Minor >= 0:
		return wire.Sure
	case len(r.Path) > 1:
		return wire.Likely // the line was cut
	}
	return wire.Maybe
}

// Limits of what is remembered of a connection.
const (
	maxLine    = 1024 // bytes of a line that are looked at
	maxPending = 128  // requests that wait for their answers
	maxMisses  = 256  // spans without a message, those of whole turns count 32
)

// conn is one connection. Requests wait in a queue for their answers, which come
// in the same order.
type conn struct {
	names          *wire.Names
	client, server half
	queue          []pending // from head on
	head           int
	popped         uint64 // number of the request at head
	misses         int
	known          bool // a message was seen
	joined         bool
	dropped        int // requests that were told before their answers, which are still to come
	over           bool
}

// pending is a request that was not told yet.
type pending struct {
	method, target, peer string
	start, first, last   int64
	asked, answered      int64
	messages             int64
	status               int
	got, over            bool // its answer has begun, has ended
	partial, stream      bool
	events               bool   // it takes an event stream for an answer, nothing else
	upgrade              string // the protocol that it asks to go on with
}

func newConn(o wire.Options) *conn {
	c := &conn{names: o.Names, joined: o.Joined}
	c.client.Framing.Length, c.server.Framing.Length = -1, -1
	if o.Joined {
		c.client.state, c.server.state = lost, lost
	}
	return c
}

// at gives the request with that number when it was not told yet.
func (c *conn) at(number uint64) *pending {
	if i := number - c.popped; number >= c.popped && i < uint64(len(c.queue)-c.head) {
		return &c.queue[c.head+int(i)]
	}
	return nil
}

// oldest gives the request whose answer comes next.
func (c *conn) oldest() *pending {
	if c.head == len(c.queue) {
		return nil
	}
	return &c.queue[c.head]
}

func (c *conn) push(p pending) (number uint64) {
	if c.head == len(c.queue) {
		c.queue, c.head = c.queue[:0], 0
	} else if c.head > 0 && len(c.queue) == cap(c.queue) {
		c.queue = c.queue[:copy(c.queue, c.queue[c.head:])]
		c.head = 0
	}
	c.queue = append(c.queue, p)
	return c.popped + uint64(len(c.queue)-c.head) - 1
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	if c.over {
		out.Skipped += s.Size
		return
	}
	h := &c.client
	if s.From == wire.Server {
		h = &c.server
	}
	b := s.Data
	c.resync(h, s)
	for len(b) > 0 && !c.over && !out.Wrong {
		n := c.step(h, b, s, out)
		c.count(h, int64(n), s, out)
		if h.ended {
			c.finish(h, out)
		}
		b = b[n:]
	}
	hole := s.Size - int64(len(s.Data))
	if c.over {
		out.Rest = int64(len(b)) + hole
		return
	}
	if hole > 0 && !out.Wrong {
		c.hole(h, hole, s, out)
	}
	if c.over || out.Wrong {
		return
	}
	if s.Turn && s.From == wire.Server && (h.state == lost || h.state == untilClose) {
		h.state = lost
		c.settle(s.Last, out)
	}
}

// count adds n bytes to the message that h reads.
func (c *conn) count(h *half, n int64, s *wire.Span, out *wire.Out) {
	if h == &c.client {
		p := c.at(h.number)
		switch {
		case h.began:
			if p != nil {
				p.asked += n
			}
			out.Parsed += n
		case h.state == lost:
			out.Skipped += n
		default:
			h.before += n
			out.Parsed += n
		}
		return
	}
	p := c.oldest()
	switch {
	case p != nil && p.got:
		p.answered += n
		p.last = s.Last
		out.Parsed += n
	case h.state == lost || h.unpaired:
		out.Skipped += n
	default:
		h.before += n
		out.Parsed += n
	}
}

// finish does what follows when a message has ended, all its bytes counted.
func (c *conn) finish(h *half, out *wire.Out) {
	h.ended = false
	h.began = false
	if h == &c.client {
		return
	}
	p := c.oldest()
	if p == nil || !p.got || h.unpaired {
		h.unpaired, h.before = false, 0
		return
	}
	if h.interim {
		h.interim = false
		p.got, p.status = false, 0
		return
	}
	if next := c.switched(p); next != "" {
		out.Switch = next
		c.over = true
		if next != wire.Unknown {
			x := c.exchange(p)
			out.Begun = &x
		}
		if p.upgrade == h2c {
			c.pop()
			return // the answer proper follows, in the other protocol
		}
	}
	c.tell(out)
}

// switched gives the protocol that an answer changes to, "" when it does not.
func (c *conn) switched(p *pending) string {
	switch {
	case p.status == 101 && p.upgrade == "":
		return wire.Unknown
	case p.status == 101:
		return p.upgrade
	case p.method == "CONNECT" && p.status/100 == 2:
		return wire.Unknown
	}
	return ""
}

// settle tells everything that was asked: the answers ended somewhere in what
// was not captured.
func (c *conn) settle(at int64, out *wire.Out) {
	c.server.unpaired, c.server.before = false, 0
	for p := c.oldest(); p != nil; p = c.oldest() {
		if !p.got {
			p.last, p.partial = at, true
		}
		c.tell(out)
	}
}

// tell takes the oldest request out of the queue and tells it.
func (c *conn) tell(out *wire.Out) {
	out.Exchanges = append(out.Exchanges, c.exchange(&c.queue[c.head]))
	c.pop()
}

func (c *conn) pop() {
	c.head++
	c.popped++
}

func (c *conn) exchange(p *pending) wire.Exchange {
	return wire.Exchange{
		Method: p.method, Target: p.target, Peer: p.peer, Status: p.status,
		FailedServer: p.status >= 500, FailedClient: p.status >= 400,
		Start: p.start, First: p.first, End: max(p.start, p.first, p.last), Asked: p.asked, Answered: p.answered,
		Stream: p.stream, Partial: p.partial, MessagesAnswered: p.messages,
	}
}

// Gap implements wire.Conn.
func (c *conn) Gap(out *wire.Out) {
	for p := c.oldest(); p != nil; p = c.oldest() {
		p.partial = true
		c.tell(out)
	}
	c.dropped = 0
	c.client.lose()
	c.server.lose()
}

// End implements wire.Conn.
func (c *conn) End(at int64, reason string, out *wire.Out) {
	for p := c.oldest(); p != nil; p = c.oldest() {
		c.close(p, reason)
		x := c.exchange(p)
		if !p.over {
			x.Error, x.End = reason, max(at, x.End)
			x.FailedServer, x.FailedClient = true, true
		}
		c.pop()
		out.Add(&x)
		c.server.lose() // the next has no answer
	}
}

// close decides whether an answer that has begun is over when its connection is.
func (c *conn) close(p *pending, reason string) {
	switch {
	case !p.got:
	case c.server.state == untilClose, p.stream:
		p.over = reason != "reset" && reason != "timeout"
	case c.server.state == lost:
		p.over, p.partial = true, true
	}
}

// Waiting implements wire.Conn. Streams wait for nothing.
func (c *conn) Waiting() (n int, oldest int64) {
	for i := c.head; i < len(c.queue); i++ {
		if p := &c.queue[i]; !p.stream {
			if n == 0 {
				oldest = p.start
			}
			n++
		}
	}
	return n, oldest
}

// ask begins a request.
func (c *conn) ask(h *half, r *Request, s *wire.Span, out *wire.Out) {
	if p := c.oldest(); p != nil && p.got && c.server.state == lost {
		c.tell(out) // its answer ended where nothing was captured
	}
	if len(c.queue)-c.head >= maxPending {
		c.queue[c.head].partial = true
		if c.queue[c.head].got {
			c.server.unpaired = true
		} else {
			c.dropped++
		}
		c.tell(out)
	}
	p := pending{method: r.Method, start: h.first, asked: h.before}
	h.before = 0
	if r.Method == "CONNECT" {
		p.target = "{authority}"
	} else {
		var room [256]byte
		p.target = c.names.Get(AppendRoute(room[:0], r.Path, r.Cut))
	}
	if len(r.Host) > 0 {
		p.peer = c.names.Get(r.Host)
	}
	h.number = c.push(p)
	h.began = true
	c.misses, c.known = 0, true
}

// reply begins an answer.
func (c *conn) reply(h *half, status int, s *wire.Span, out *wire.Out) {
	c.misses, c.known = 0, true
	p := c.oldest()
	if p != nil && p.got { // the one before ended where nothing was captured
		c.tell(out)
		p = c.oldest()
	}
	if p == nil || c.dropped > 0 {
		h.unpaired = true
		h.before = 0
		if status >= 200 || status == 101 {
			if c.dropped > 0 {
				c.dropped--
			} else {
				out.Unpaired++
			}
		}
		return
	}
	p.got, p.status = true, status
	p.stream = p.events && status == 200 // until its type is seen
	p.first, p.last = h.first, s.Last
	if p.first < p.start { // the request was reported late
		p.first, p.partial = p.start, true
	}
	p.answered += h.before
	h.before = 0
}

// header reads a header line that matters.
func (c *conn) header(h *half, line []byte) {
	colon := bytes.IndexByte(line, ':')
	switch colon {
	case 4, 6, 7, 12, 14, 17:
	default:
		return
	}
	if colon == 14 || colon == 17 {
		h.Framing.header(line, nil)
		return
	}
	p := c.oldest()
	if h == &c.client {
		p = c.at(h.number)
	}
	if p == nil {
		return
	}
	name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
	switch {
	case colon == 4 && h == &c.client && p.peer == "" && len(value) > 0 && equalFold(name, "host"):
		p.peer = c.names.Get(value)
	case colon == 6 && h == &c.client && equalFold(name, "accept"):
		p.events = isEvents(value)
	case colon == 7 && equalFold(name, "upgrade"):
		p.upgrade = upgrade(value)
	case colon == 12 && h == &c.server && !h.unpaired && equalFold(name, "content-type"):
		p.stream = isEvents(value)
	}
}
