package requests

import (
	"encoding/binary"
	"time"
	"unsafe"

	"vitals/core"
	"vitals/core/wire/http1"
	"vitals/probes/kern"
)

// Limits of what is remembered.
const (
	maxRoutes = 8192
	maxPeers  = 4096
	maxHeld   = 4096
	maxBatch  = 1024
)

// Flags, roles, states and families, as in exchange.h.
const (
	flagEarly   = 1
	flagAmend   = 2
	flagLate    = 4
	flagClosed  = 8
	flagReset   = 16
	flagTimeout = 32
	flagCut     = 64

	flagJoined   = 128
	flagReceived = 256
	flagEnds     = 512
	flagDatagram = 1024
	flagSwitched = 2048

	kindExchange = 0
	kindChunk    = 1
	kindEnd      = 2
	kindStir     = 3

	roleServer = 1
	roleClient = 2

	stateRequest = 1

	familyUnix = 1
	familyInet = 2
)

const headCap = 256 // REQUEST_HEAD

// pairer turns exchanges into requests: it parses, and joins the few that come
// in parts. It belongs to one goroutine and allocates only for what is new.
type pairer struct {
	sink   core.Sink
	batch  []core.Request
	cover  []core.Coverage
	at     map[core.ProcKey]int // index in cover
	last   core.ProcKey         // of the record before: most come in runs
	lastAt int

	routes *interner
	hosts  *interner
	peers  map[peerKey]string

	// What waits, by socket cookie. All are rare and bounded.
	held   map[uint64]held         // shipped early: may be amended
	interm map[uint64]core.Request // was answered 1xx: the answer proper follows
	rest   map[uint64]int          // request bytes still to come after the answer

	req   http1.Request
	resp  http1.Response
	route []byte
	head  [headCap + 1]byte
}

type held struct {
	seq     uint32
	request core.Request
	fresh   bool // came after the last sweep
}

func newPairer(sink core.Sink) *pairer {
	return &pairer{
		sink:   sink,
		batch:  make([]core.Request, 0, maxBatch),
		at:     make(map[core.ProcKey]int),
		lastAt: -1,
		routes: newInterner(maxRoutes, "other", func(s string) string { return core.Clean(s, core.MaxRoute) }),
		hosts:  newInterner(maxPeers, "other", func(s string) string { return core.Clean(s, core.MaxRoute) }),
		peers:  make(map[peerKey]string),
		held:   make(map[uint64]held),
		interm: make(map[uint64]core.Request),
		rest:   make(map[uint64]int),
	}
}

// take handles one record of the ring.
func (p *pairer) take(raw []byte) {
	x, err := kern.View[requestsExchange](raw)
	if err != nil {
		p.sink.Lost("ring", "malformed", 1)
		return
	}
	tail := raw[unsafe.Sizeof(*x):]
	if x.Kind != kindExchange || len(tail) < int(x.Room) {
		return
	}
	resp := tail[:min(x.ResponseLen, x.Room)]
	req := tail[x.Room:]
	p.exchange(x, req[:min(int(x.RequestLen), len(req))], resp)
	if len(p.batch) >= maxBatch-headCap/16 {
		p.flush()
	}
}

func bytesOf(b []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

func (p *pairer) exchange(x *requestsExchange, req, resp []byte) {
	if x.Flags&flagAmend != 0 {
		p.amend(x)
		return
	}
	if len(p.held) > 0 {
		p.displace(x.Cookie)
	}
	c := p.coverage(core.ProcKey{PID: int32(x.Tgid), Birth: x.Birth})
	c.Exchanges++
	c.BytesIn += x.In
	c.BytesOut += x.Out

	asked := p.req.Parse(req)
	answered := p.resp.Parse(resp)
	if !asked {
		req, asked = p.mend(x, req, answered)
	}
	switch {
	case asked:
		c.Parsed++
		p.request(x, req, answered)
	case answered && p.final(x):
		c.Parsed++
	case answered:
		c.Unpaired++
	}
}

// mend finds the request in a head that does not begin with one: behind the
// rest of a body that was answered before it had come, or without its first
// byte, which a server that reads ahead has taken with the request before.
func (p *pairer) mend(x *requestsExchange, req []byte, answered bool) ([]byte, bool) {
	if n, ok := p.rest[x.Cookie]; ok {
		delete(p.rest, x.Cookie)
		if n < len(req) && p.req.Parse(req[n:]) {
			return req[n:], true
		}
	}
	first, ok := http1.Beheaded(req)
	if !ok || !answered {
		return nil, false
	}
	p.head[0] = first
	req = p.head[:1+copy(p.head[1:], req)]
	return req, p.req.Parse(req)
}

// request emits what p.req and p.resp say, and what is pipelined behind it.
func (p *pairer) request(x *requestsExchange, head []byte, answered bool) {
	r := p.describe(x)
	asked := x.In
	if x.Role == roleClient {
		asked = x.Out
	}
	size := p.length()
	if size > int(asked) && len(p.rest) < maxHeld && answered && p.resp.Status >= 200 {
		p.rest[x.Cookie] = size - int(asked)
	}
	if answered && p.resp.Status < 200 && p.resp.Status != 101 && len(p.interm) < maxHeld {
		p.interm[x.Cookie] = r
		return
	}
	if p.req.Head > 0 && size > 0 && size < int(asked) {
		p.pipeline(x, r, head, size, int(asked))
		return
	}
	p.emit(x, r)
}

// length is the size of the request that p.req begins, 0 when it is unknown.
func (p *pairer) length() int {
	switch {
	case p.req.Head == 0 || p.req.Chunked:
		return 0
	case p.req.Length < 0:
		return p.req.Head
	case p.req.Length > 1<<40:
		return 1 << 40
	}
	return p.req.Head + int(p.req.Length)
}

// pipeline emits the first request and those behind it, as far as captured.
// Of their answers only the first is seen.
func (p *pairer) pipeline(x *requestsExchange, r core.Request, head []byte, at, asked int) {
	count := 0
	for ; ; count++ {
		if at >= len(head) || !p.req.Parse(head[at:]) || p.req.Head == 0 && asked <= headCap {
			break
		}
		more := p.describe(x)
		more.Status, more.Failed, more.Partial = 0, false, true
		more.BytesIn, more.BytesOut = 0, 0
		r.Partial = true
		p.add(more)
		size := p.length()
		if size == 0 {
			break
		}
		at += size
	}
	if at >= len(head) && asked > at+1 {
		r.Partial = true // there is more than was captured
	}
	p.emit(x, r)
	if count > 0 {
		c := p.coverage(r.Proc)
		c.Exchanges += uint64(count)
		c.Parsed += uint64(count)
	}
}

// describe makes a request of what p.req, p.resp and the exchange say.
func (p *pairer) describe(x *requestsExchange) core.Request {
	r := core.Request{
		Proc:     core.ProcKey{PID: int32(x.Tgid), Birth: x.Birth},
		Protocol: core.ProtoHTTP,
		Method:   p.req.Method,
		Status:   p.resp.Status,
		Start:    int64(x.Start),
		Partial:  x.Flags&flagLate != 0,
	}
	if p.req.Method == "CONNECT" {
		r.Route = "{authority}"
	} else {
		p.route = http1.AppendRoute(p.route[:0], p.req.Path, p.req.Cut)
		r.Route = p.routes.get(p.route)
	}
	if x.Role == roleServer {
		r.Role = core.RoleServer
	} else {
		r.Role = core.RoleClient
		r.Peer = p.peer(x)
	}
	switch {
	case x.Flags&flagClosed == 0:
	case x.Flags&flagTimeout != 0:
		r.Error = "timeout"
	case x.Flags&flagReset != 0:
		r.Error = "reset"
	default:
		r.Error = "cancelled"
	}
	measure(&r, x)
	return r
}

// emit hands a request on, or holds it while it may still be amended.
func (p *pairer) emit(x *requestsExchange, r core.Request) {
	if x.Flags&flagEarly != 0 && len(p.held) < maxHeld {
		p.held[x.Cookie] = held{seq: x.Seq, request: r, fresh: true}
		return
	}
	p.add(r)
}

func (p *pairer) add(r core.Request) {
	if len(p.batch) == cap(p.batch) {
		p.flush()
	}
	p.batch = append(p.batch, r)
}

// amend takes the final figures of an exchange that came before.
func (p *pairer) amend(x *requestsExchange) {
	h, ok := p.held[x.Cookie]
	if !ok || h.seq != x.Seq {
		return
	}
	delete(p.held, x.Cookie)
	measure(&h.request, x)
	p.add(h.request)
}

// displace lets go of what was held for a socket: a new exchange has begun on it.
func (p *pairer) displace(cookie uint64) {
	if h, ok := p.held[cookie]; ok {
		delete(p.held, cookie)
		p.add(h.request)
	}
}

// release lets go of everything held that was there at the release before and
// is not in open, the sockets that are still answering.
func (p *pairer) release(open map[uint64]bool) {
	for cookie, h := range p.held {
		switch {
		case open[cookie]:
		case open != nil && h.fresh:
			h.fresh = false
			p.held[cookie] = h
		default:
			delete(p.held, cookie)
			p.add(h.request)
		}
	}
}

// final joins the answer proper to a request that was answered 1xx first.
func (p *pairer) final(x *requestsExchange) bool {
	r, ok := p.interm[x.Cookie]
	if !ok {
		return false
	}
	c := p.coverage(r.Proc)
	c.Exchanges-- // one exchange in two parts
	c.Parsed--
	if p.resp.Status < 200 && p.resp.Status != 101 {
		return true
	}
	delete(p.interm, x.Cookie)
	r.Status = p.resp.Status
	r.FirstByte = since(uint64(r.Start), x.First)
	r.Duration = since(uint64(r.Start), x.Last)
	r.BytesIn += x.In
	r.BytesOut += x.Out
	r.Failed = failed(&r)
	p.emit(x, r)
	return true
}

// measure sets what is counted and timed.
func measure(r *core.Request, x *requestsExchange) {
	r.FirstByte = since(x.Start, x.First)
	r.Duration = since(x.Start, x.Last)
	r.BytesIn, r.BytesOut = x.In, x.Out
	r.Failed = failed(r)
}

func failed(r *core.Request) bool {
	return r.Error != "" || r.Status >= 500 || r.Status >= 400 && r.Role == core.RoleClient
}

// since is 0 when there is no later time.
func since(start, t uint64) time.Duration {
	if t <= start {
		return 0
	}
	return time.Duration(t - start)
}

// coverage finds the figures of a process in this batch.
func (p *pairer) coverage(proc core.ProcKey) *core.Coverage {
	if p.lastAt < 0 || p.last != proc {
		i, ok := p.at[proc]
		if !ok {
			i = len(p.cover)
			p.at[proc] = i
			p.cover = append(p.cover, core.Coverage{Proc: proc})
		}
		p.last, p.lastAt = proc, i
	}
	return &p.cover[p.lastAt]
}

// flush hands everything on and starts anew with the same memory.
func (p *pairer) flush() {
	if len(p.batch) > 0 {
		p.sink.Requests(p.batch)
		p.batch = p.batch[:0]
	}
	if len(p.cover) > 0 {
		p.sink.Coverage(p.cover)
		p.cover = p.cover[:0]
		clear(p.at)
		p.lastAt = -1
	}
	if p.routes.folded > 0 {
		p.sink.Samples([]core.Sample{{Desc: &routesFolded, Value: float64(p.routes.folded)}})
		p.routes.folded = 0
	}
}

// method reports whether an unfinished exchange begins as HTTP does.
func method(word [4]int8) bool {
	switch binary.BigEndian.Uint32(bytesOf(word[:])) {
	case 'G'<<24 | 'E'<<16 | 'T'<<8 | ' ', 'P'<<24 | 'O'<<16 | 'S'<<8 | 'T', 'H'<<24 | 'E'<<16 | 'A'<<8 | 'D',
		'P'<<24 | 'U'<<16 | 'T'<<8 | ' ', 'D'<<24 | 'E'<<16 | 'L'<<8 | 'E', 'P'<<24 | 'A'<<16 | 'T'<<8 | 'C',
		'O'<<24 | 'P'<<16 | 'T'<<8 | 'I', 'C'<<24 | 'O'<<16 | 'N'<<8 | 'N':
		return true
	}
	return false
}
