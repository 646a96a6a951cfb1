// Package dns reads DNS over UDP and TCP, and its relatives of the local network,
// mDNS and LLMNR. A look-up is counted once, however often it was sent again.
//
// The target is the class of the name: what looks like an id in front of the last
// two labels is {id}, reverse look-ups are {ip}.in-addr.arpa and {ip}.ip6.arpa.
package dns

import (
	"encoding/binary"
	"slices"
	"strings"

	"vitals/core/wire"
	"vitals/core/wire/feed"
)

// UDP is DNS in datagrams: a span is one of them.
var UDP = wire.Protocol{
	Name:     "dns",
	Sniff:    sniff,
	Ports:    []uint16{53, 5353, 5355},
	Programs: []string{"dnsmasq", "named", "unbound", "systemd-resolved", "coredns", "pdns_server", "avahi-daemon"},
	Datagram: true,
	Stream:   true,
	Head:     512,
	New:      func(o wire.Options) wire.Conn { return newConn(o, false) },
}

// TCP is DNS on connections, each message behind its length.
var TCP = wire.Protocol{
	Name:     "dns",
	ID:       "dns-tcp",
	Sniff:    sniffTCP,
	Ports:    []uint16{53},
	Programs: UDP.Programs,
	Stream:   true,
	Head:     1024,
	New:      func(o wire.Options) wire.Conn { return newConn(o, true) },
}

func sniff(from wire.Side, data []byte, size int64) wire.Verdict {
	var m message
	if !m.parse(data, int64(len(data)) == size) || m.reserved || m.answer != (from == wire.Server) || !m.asked {
		return wire.No
	}
	if class := m.class &^ 0x8000; class != 1 && class != 3 && class != 255 || m.opcode != 0 || m.count > 255 {
		return wire.No
	}
	if typeName(m.kind) == wire.Other || m.rcode > 10 || !m.answer && m.rcode != 0 {
		return wire.No
	}
	if m.count == 0 && int64(len(data)) == size && len(m.records) > 0 || m.count > 0 && len(m.records) == 0 && int64(len(data)) == size {
		return wire.No
	}
	return wire.Likely
}

func sniffTCP(from wire.Side, data []byte, size int64) wire.Verdict {
	if len(data) < 2 || int64(binary.BigEndian.Uint16(data))+2 != size {
		return wire.No
	}
	return sniff(from, data[2:], size-2)
}

// Limits of what is remembered.
const (
	maxPending = 256
	maxMessage = 4096 // bytes of a message on a connection that are looked at
	maxWait    = 15e9 // nanoseconds after which nobody waits for an answer
	maxMisses  = 16
)

// Ports of the relatives.
const (
	portMDNS  = 5353
	portLLMNR = 5355
)

// query is a question that waits.
type query struct {
	id, kind uint16
	name     string // "" when it was not captured
	method   string
	start    int64
	asked    int64
	retries  int
}

type conn struct {
	names    *wire.Names
	protocol string // "" is DNS
	tcp      bool
	in       [2]feed.Input
	pending  []query // oldest first
	again    [8]uint16
	agains   int // how many ids of again may be answered once more
	misses   int
	known    bool
	hole     hole
}

// hole is what is remembered of a time in which nothing was seen.
type hole struct {
	fresh bool     // nothing came since
	until int64    // nanoseconds: until then come answers to what was asked in it, or before
	told  []uint16 // ids of questions that were told because of it
}

func newConn(o wire.Options, tcp bool) *conn {
	c := &conn{names: o.Names, tcp: tcp}
	switch o.Port {
	case portMDNS:
		c.protocol = "mdns"
	case portLLMNR:
		c.protocol = "llmnr"
	}
	c.hole.fresh = o.Missed
	if o.Joined && tcp {
		c.in[0].Forget()
		c.in[1].Forget()
	}
	return c
}

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	if !c.tcp {
		if !c.message(s.Data, s.Size, s.First, s, out) {
			out.Skipped += s.Size
			c.miss(out)
			return
		}
		out.Parsed += s.Size
		return
	}
	in := &c.in[s.From]
	in.Begin(s)
	if in.Lost() {
		if sniffTCP(s.From, s.Data, s.Size) == wire.No {
			in.Drop()
			c.miss(out)
		} else {
			in.Found()
		}
	}
	for !in.Lost() && !out.Wrong && c.framed(in, s, out) {
	}
	in.Finish(out)
}

// framed reads a message behind its length, and reports whether there was one.
func (c *conn) framed(in *feed.Input, s *wire.Span, out *wire.Out) bool {
	head := in.Peek(2)
	if len(head) < 2 {
		if in.Cut() {
			in.Lose()
		}
		return false
	}
	size := int(binary.BigEndian.Uint16(head)) + 2
	want := min(size, maxMessage)
	b := in.Peek(want)
	if len(b) < want && !in.Cut() {
		return false
	}
	if !c.message(b[2:], int64(size), in.First(), s, out) {
		in.Drop()
		c.miss(out)
		return false
	}
	in.Skip(int64(size))
	return true
}

func (c *conn) miss(out *wire.Out) {
	if c.misses++; !c.known && !c.tcp || c.misses >= maxMisses {
		out.Wrong = true
	}
}

// message takes a message, of which size bytes went by.
func (c *conn) message(b []byte, size, at int64, s *wire.Span, out *wire.Out) bool {
	var m message
	all := size
	if c.tcp {
		all -= 2
	}
	if !m.parse(b, int64(len(b)) == all) || m.reserved {
		return false
	}
	c.misses, c.known = 0, true
	if c.hole.fresh {
		c.hole.fresh, c.hole.until = false, at+maxWait
	}
	if m.answer {
		c.answer(&m, size, at, s, out)
	} else {
		c.question(&m, size, at, out)
	}
	return true
}

// method gives what a question asks for.
func (m *message) method() string {
	switch m.opcode {
	case 0:
		if m.asked {
			return typeName(m.kind)
		}
		return wire.Unknown
	case 4:
		return "NOTIFY"
	case 5:
		return "UPDATE"
	}
	return wire.Other
}

func (c *conn) question(m *message, size, at int64, out *wire.Out) {
	for len(c.pending) > 0 && at-c.pending[0].start > maxWait {
		c.tell(0, wire.Exchange{Error: "timeout", End: at, FailedServer: true, FailedClient: true}, out)
	}
	name := wire.Unknown
	if m.asked {
		name = c.names.Get(m.name())
	}
	if i := c.find(m, name); i >= 0 {
		c.pending[i].retries++
		c.pending[i].asked += size
		return
	}
	q := query{id: m.id, kind: m.kind, name: name, method: m.method(), start: at, asked: size}
	if c.protocol == "" && m.id == 0 && strings.HasSuffix(name, ".local") {
		c.protocol = "mdns"
	}
	if c.protocol == "mdns" && m.id == 0 { // whoever knows answers to everybody
		out.Add(&wire.Exchange{Protocol: c.protocol, Method: q.method, Target: q.name, Start: at, End: at, Asked: size, Stream: true})
		return
	}
	if len(c.pending) >= maxPending {
		c.tell(0, wire.Exchange{Partial: true, End: c.pending[0].start}, out)
	}
	c.pending = append(c.pending, q)
}

// find gives the place of the question that m asks again or answers.
func (c *conn) find(m *message, name string) int {
	for i := range c.pending {
		q := &c.pending[i]
		if q.id == m.id && (!m.asked || q.name == wire.Unknown || q.kind == m.kind && q.name == name) {
			return i
		}
	}
	return -1
}

func (c *conn) answer(m *message, size, at int64, s *wire.Span, out *wire.Out) {
	if c.protocol == "mdns" && m.id == 0 {
		out.Messages++
		return
	}
	name := wire.Unknown
	if m.asked {
		name = c.names.Get(m.name())
	}
	i := c.find(m, name)
	if i < 0 {
		c.unasked(m, at, out)
		return
	}
	q := &c.pending[i]
	if q.retries > 0 || q.kind == typeAXFR || q.kind == typeIXFR {
		c.again[c.agains%len(c.again)] = m.id
		c.agains++
	}
	code := m.rcode
	found := 0
	m.eachRecord(func(kind uint16, ttl uint32, data []byte) {
		if kind == typeOPT {
			code |= uint16(ttl>>24) << 4
		}
		if a, ok := address(kind, data); ok && found < 16 && (q.kind == typeA || q.kind == typeAAAA) && q.name != wire.Unknown {
			out.Resolved = append(out.Resolved, wire.Resolved{Name: q.name, Addr: a})
			found++
		}
	})
	x := wire.Exchange{First: max(at, q.start), End: max(s.Last, at, q.start), Answered: size}
	x.Code, x.FailedServer, x.FailedClient = rcode(code)
	c.tell(i, x, out)
}

// unasked takes an answer to nothing that waits.
func (c *conn) unasked(m *message, at int64, out *wire.Out) {
	i := slices.Index(c.hole.told, m.id)
	switch {
	case i >= 0:
		c.hole.told = slices.Delete(c.hole.told, i, i+1)
	case c.answeredAgain(m):
	case at > c.hole.until:
		out.Unpaired++
	case c.tcp:
		out.Missed++
	} // datagrams that ask are counted where they are lost
}

// Rejoin implements wire.Rejoiner.
func (c *conn) Rejoin() { c.hole.fresh = false }

// answeredAgain reports whether m answers something that was answered before: a
// question that was sent twice, or a transfer in many messages.
func (c *conn) answeredAgain(m *message) bool {
	for i := range min(c.agains, len(c.again)) {
		if c.again[i] == m.id {
			return true
		}
	}
	return false
}

// tell tells the i-th question with what x says of its end, and forgets it.
func (c *conn) tell(i int, x wire.Exchange, out *wire.Out) {
	q := &c.pending[i]
	x.Protocol, x.Method, x.Target = c.protocol, q.method, q.name
	x.Start, x.Asked, x.Retries = q.start, q.asked, q.retries
	x.End = max(x.End, x.Start)
	out.Add(&x)
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
}

// Gap implements wire.Conn.
func (c *conn) Gap(out *wire.Out) {
	c.hole.fresh, c.hole.told = true, c.hole.told[:0]
	for len(c.pending) > 0 {
		if c.tcp {
			c.hole.told = append(c.hole.told, c.pending[0].id)
		}
		c.tell(0, wire.Exchange{Partial: true}, out)
	}
	if c.tcp {
		c.in[0].Forget()
		c.in[1].Forget()
	}
}

// End implements wire.Conn.
func (c *conn) End(at int64, reason string, out *wire.Out) {
	for len(c.pending) > 0 {
		c.tell(0, wire.Exchange{Error: reason, End: at, FailedServer: true, FailedClient: true}, out)
	}
}

// Waiting implements wire.Conn.
func (c *conn) Waiting() (n int, oldest int64) {
	if len(c.pending) == 0 {
		return 0, 0
	}
	return len(c.pending), c.pending[0].start
}
