package talk

import (
	"bytes"
	"net/netip"
	"sync"

	"vitals/core"
	"vitals/core/wire"
)

// toy is a protocol of lines: "name words\n" is answered by "ok ...\n",
// "bad ...\n" or nothing else. A few requests do more.
type toy struct {
	*wire.Protocol
	opts    wire.Options
	waiting []wire.Exchange
}

// toys makes a protocol whose requests and answers have the given marks.
func toys(name string, mark byte, verdict wire.Verdict, ports ...uint16) *wire.Protocol {
	p := &wire.Protocol{Name: name, Ports: ports}
	p.Sniff = func(_ wire.Side, data []byte, _ int64) wire.Verdict {
		if data[0] == mark {
			return verdict
		}
		return wire.No
	}
	p.New = func(o wire.Options) wire.Conn { return &toy{Protocol: p, opts: o} }
	return p
}

func (c *toy) Feed(s *wire.Span, out *wire.Out) {
	words := bytes.Fields(s.Data[min(1, len(s.Data)):])
	if len(words) == 0 {
		out.Skipped += s.Size
		return
	}
	out.Parsed += s.Size
	if s.From == wire.Client {
		x := wire.Exchange{Method: c.opts.Names.Get(words[0]), Start: s.First, Asked: s.Size, Partial: c.opts.Joined}
		c.waiting = append(c.waiting, x)
		switch string(words[0]) {
		case "nonsense":
			out.Wrong = true
		case "after": // a hole, in which there were three others
			out.Missed = 3
		}
		return
	}
	if len(c.waiting) == 0 {
		out.Unpaired++
		return
	}
	x := c.waiting[0]
	c.waiting = c.waiting[1:]
	x.First, x.End, x.Answered = s.First, s.Last, s.Size
	x.FailedClient = string(words[0]) == "bad"
	switch x.Method {
	case "upgrade":
		out.Switch = "other"
	case "encrypt":
		out.Blind, out.Peer = "tls", "secret.example"
	case "lookup":
		out.Resolved = append(out.Resolved, wire.Resolved{Name: "db.example", Addr: netip.MustParseAddr("10.0.0.9")})
	}
	out.Add(&x)
}

func (c *toy) Gap(out *wire.Out) {
	for _, x := range c.waiting {
		x.Partial = true
		out.Add(&x)
	}
	c.waiting = nil
}

func (c *toy) End(at int64, reason string, out *wire.Out) {
	for _, x := range c.waiting {
		x.End, x.Error = at, reason
		out.Add(&x)
	}
	c.waiting = nil
}

func (c *toy) Waiting() (int, int64) {
	if len(c.waiting) == 0 {
		return 0, 0
	}
	return len(c.waiting), c.waiting[0].Start
}

// sink keeps what it is told.
type sink struct {
	mu    sync.Mutex
	seen  []core.Request
	cover map[core.ProcKey]core.Coverage
}

func (s *sink) Requests(r []core.Request)   { s.seen = append(s.seen, r...) }
func (s *sink) Samples([]core.Sample)       {}
func (s *sink) Usage([]core.Usage)          {}
func (s *sink) Lost(string, string, uint64) {}
func (s *sink) InFlight([]core.InFlight)    {}
func (s *sink) Coverage(list []core.Coverage) {
	if s.cover == nil {
		s.cover = map[core.ProcKey]core.Coverage{}
	}
	for i := range list {
		c := s.cover[list[i].Proc]
		c.Proc = list[i].Proc
		c.Add(&list[i])
		s.cover[c.Proc] = c
	}
}

// tuned keeps what the kernel would have been told.
type tuned struct {
	connections map[uint64]Capture
	endpoints   map[Endpoint]Capture
}

func (t *tuned) Connection(cookie uint64, _ core.Role, how Capture) { t.connections[cookie] = how }
func (t *tuned) Endpoint(at Endpoint, how Capture)                  { t.endpoints[at] = how }

var (
	me   = core.ProcKey{PID: 7, Birth: 70}
	them = core.ProcKey{PID: 8, Birth: 80}
)

// said is the record of an exchange of a server at port 1000.
func said(cookie uint64, seq uint32, request, response string) Record {
	return Record{
		Cookie: cookie, Seq: seq, Proc: me, Role: core.RoleServer,
		Address:  Address{Family: FamilyInet, LocalPort: 1000, RemotePort: 5000, NetNS: 1, Local: [16]byte{127, 0, 0, 1}, Remote: [16]byte{127, 0, 0, 1}},
		Times:    Times{Start: 1000, First: 3000, Last: 6000, In: uint64(len(request)), Out: uint64(len(response))},
		Request:  []byte(request),
		Response: []byte(response),
	}
}
