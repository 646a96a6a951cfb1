package http2

import (
	"sort"
	"strings"

	"vitals/core/wire"
	"vitals/core/wire/sse"
)

// maxStreams is how many open streams of a connection are remembered.
const maxStreams = 256

// stream is a request with its answer.
type stream struct {
	id                   uint32
	known                bool // the request was seen
	got, done            bool // its answer has begun, has ended
	partial, grpc        bool
	doubted              bool // its answer may have ended in bytes that could not be read
	hidden               bool // nobody knows what kind of request it is
	event                bool // its answer is server-sent events
	method, target, peer string
	start, first, last   int64
	asked, answered      int64
	status               int
	code                 int32 // grpc-status, -1 without
	sent                 [2]messages
	counter              sse.Counter
	events               int64
}

// flows reports whether it is a stream without a latency.
func (x *stream) flows() bool {
	return x.event || x.method == "CONNECT" && x.status/100 == 2 ||
		x.grpc && (x.sent[wire.Client].n > 1 || x.sent[wire.Server].n > 1)
}

func (x *stream) skip(from wire.Side, n int64) {
	if x.grpc || x.hidden {
		x.sent[from].skip(n)
	}
	if from == wire.Server {
		x.counter.Skip()
	}
}

// streams are the open ones, by number.
type streams struct {
	list []stream
	// asked is the highest number that a client has opened. Nothing is to be said
	// any more of those up to told.
	asked, told uint32
}

func (l *streams) place(id uint32) int {
	if n := len(l.list); n == 0 || l.list[n-1].id < id {
		return n
	}
	return sort.Search(len(l.list), func(i int) bool { return l.list[i].id >= id })
}

// find gives the stream with that number, nil when it is not open.
func (l *streams) find(id uint32) *stream {
	if i := l.place(id); i < len(l.list) && l.list[i].id == id {
		return &l.list[i]
	}
	return nil
}

// open adds a stream. There is room.
func (l *streams) open(x stream) *stream {
	i := l.place(x.id)
	l.list = append(l.list, x)
	copy(l.list[i+1:], l.list[i:])
	l.list[i] = x
	if x.known {
		l.asked = max(l.asked, x.id)
	}
	return &l.list[i]
}

func (l *streams) drop(x *stream) {
	i := l.place(x.id)
	l.list = append(l.list[:i], l.list[i+1:]...)
}

// count adds bytes of a data frame.
func (l *streams) count(d *side, n int64, s *wire.Span) {
	x := l.find(d.frame.stream)
	if x == nil {
		return
	}
	if d.from == wire.Client {
		x.asked += n
		return
	}
	x.answered += n
	x.last = s.Last
	x.doubted = false
}

// doubt notes that bytes of the server went by unread.
func (l *streams) doubt() {
	for i := range l.list {
		l.list[i].doubted = true
	}
}

// data looks into bytes of a data frame.
func (c *conn) data(d *side, b []byte, out *wire.Out) {
	x := c.streams.find(d.frame.stream)
	switch {
	case x == nil:
	case x.hidden && !x.grpc && !x.event:
		x.sent[d.from].feed(b)
	case x.grpc:
		m := &x.sent[d.from]
		before := m.n
		m.feed(b)
		if m.n > 1 {
			out.Messages += int(m.n - max(before, 1))
		}
	case x.event && d.from == wire.Server:
		n := x.counter.Feed(b)
		x.events += int64(n)
		out.Messages += n
	}
}

// block takes a whole block of headers, as far as it was captured.
func (c *conn) block(d *side, s *wire.Span, out *wire.Out) {
	var f fields
	whole := d.decode(d.gathered, &f) && !d.missing
	if !whole {
		f.hidden = true
	}
	switch {
	case d.pushed:
	case d.from == wire.Client:
		c.request(d, &f, s, out)
	default:
		c.response(d, &f, s, out)
	}
	if !whole {
		d.forget()
	}
	if d.gathered = d.gathered[:0]; cap(d.gathered) > maxBlock/4 {
		d.gathered = nil
	}
	if d.ends && !d.pushed {
		c.ended(d, d.frame.stream, out)
	}
}

// request takes the headers that a client sent.
func (c *conn) request(d *side, f *fields, s *wire.Span, out *wire.Out) {
	id := d.frame.stream
	x := c.streams.find(id)
	switch {
	case x != nil && x.known: // trailers
		x.asked += d.size
		return
	case x == nil && id <= max(c.streams.asked, c.streams.told), id&1 == 0:
		return // of a request that was told
	case f.method == "" && f.path == "" && !f.hidden:
		return // trailers of one that nobody saw
	}
	c.skipped(id, out)
	c.orphans(id, out)
	if x = c.streams.find(id); x == nil {
		c.room(out)
		x = c.streams.open(stream{id: id, start: d.opened, code: -1})
	} else { // its answer was reported before
		x.start, x.partial = min(d.opened, x.first), true
	}
	x.known = true
	c.streams.asked = max(c.streams.asked, id)
	x.asked += d.size
	x.method, x.target, x.peer = f.method, f.path, f.authority
	x.grpc = x.grpc || f.content == isGRPC
	x.hidden = f.hidden && f.content == 0 && (f.method == "" || f.method == "POST")
	if x.method == "" {
		x.method = wire.Unknown
	}
	switch {
	case x.target != "":
	case x.method == "CONNECT":
		x.target = "{authority}"
	default:
		x.target = d.unknown
		if x.target == "" {
			x.target = wire.UnknownLost
		}
	}
	if x.done {
		c.tell(x, "", "", out)
	}
}

// orphans lets go of answers whose requests never came: an older one cannot
// come any more.
func (c *conn) orphans(before uint32, out *wire.Out) {
	for len(c.streams.list) > 0 {
		x := &c.streams.list[0]
		if x.id >= before || x.known || !x.done {
			return
		}
		c.orphan(x, out)
	}
}

// room makes room for one more stream.
func (c *conn) room(out *wire.Out) {
	if len(c.streams.list) < maxStreams {
		return
	}
	x := &c.streams.list[0]
	c.streams.told = max(c.streams.told, x.id)
	c.part(x, out)
}

// part tells a stream of which no more can be known.
func (c *conn) part(x *stream, out *wire.Out) {
	if !x.known {
		c.orphan(x, out)
		return
	}
	x.partial = true
	c.tell(x, "", "", out)
}

// response takes the headers that a server sent.
func (c *conn) response(d *side, f *fields, s *wire.Span, out *wire.Out) {
	id := d.frame.stream
	x := c.streams.find(id)
	if x == nil {
		if id <= max(c.streams.asked, c.streams.told) || id&1 == 0 {
			return
		}
		c.room(out)
		x = c.streams.open(stream{id: id, start: d.opened, code: -1})
	}
	x.answered += d.size
	x.last = s.Last
	x.doubted = false
	if f.grpc >= 0 {
		x.grpc, x.code = true, f.grpc
	}
	if f.status/100 == 1 || x.got && f.status == 0 {
		return
	}
	if !x.got {
		x.got, x.first = true, max(d.opened, x.start)
		if d.opened < x.start {
			x.partial = true
		}
	}
	x.status = max(f.status, 0)
	x.grpc = x.grpc || f.content == isGRPC
	x.event = f.content == isEvents
}

// ended takes the end of one direction of a stream.
func (c *conn) ended(d *side, id uint32, out *wire.Out) {
	x := c.streams.find(id)
	if x == nil || d.from == wire.Client {
		return
	}
	if x.done = true; x.known {
		c.tell(x, "", "", out)
		c.overtaken(id, out)
	}
}

// overtaken tells the doubted ones that were asked before a request that has its
// answer: theirs have probably gone by.
func (c *conn) overtaken(id uint32, out *wire.Out) {
	for i := 0; i < len(c.streams.list) && c.streams.list[i].id < id; {
		if x := &c.streams.list[i]; x.known && x.doubted {
			c.part(x, out)
			continue
		}
		i++
	}
}

// tell tells a stream and forgets it.
func (c *conn) tell(x *stream, reason, code string, out *wire.Out) {
	x.grpc = x.grpc || x.looksLikeCall()
	e := wire.Exchange{
		Protocol: httpName, Method: x.method, Target: x.target, Peer: x.peer, Status: x.status, Code: code, Error: reason,
		FailedServer: x.status >= 500 || reason != "", FailedClient: x.status >= 400 || reason != "",
		Start: x.start, First: x.first, End: max(x.last, x.start, x.first),
		Asked: x.asked, Answered: x.answered, Stream: x.flows(), Partial: x.partial,
		MessagesAnswered: x.events,
	}
	if x.grpc {
		call(x, &e, reason)
	}
	out.Add(&e)
	c.streams.drop(x)
}

// call makes an exchange that of a gRPC call.
func call(x *stream, e *wire.Exchange, reason string) {
	e.Protocol = grpcName
	e.Method = wire.Unknown
	if i := strings.LastIndexByte(x.target, '/'); i >= 0 && i+1 < len(x.target) {
		e.Method = x.target[i+1:]
	}
	e.MessagesAsked, e.MessagesAnswered = int64(x.sent[wire.Client].n), int64(x.sent[wire.Server].n)
	if reason == "" {
		e.Code, e.FailedServer, e.FailedClient = code(x.code, x.status)
	}
}
