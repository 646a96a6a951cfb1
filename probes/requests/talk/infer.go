package talk

import (
	"cmp"
	"slices"

	"vitals/core"
	"vitals/core/wire"
)

// What makes a protocol believed. A signature that cannot be anything else is
// enough; so are two messages that agree, of which one is a good one; so is any
// that fits together with a reason to expect the protocol there.
const (
	enough    = 3 // wire.Sure alone
	expecting = 2 // what a port, a program or an earlier connection is worth

	maxProtocols = 64
	maxLooks     = 8    // records after which a connection is of no known protocol
	lookAgain    = 64   // and how often it is looked at from then on
	maxWaiting   = 4    // records of an undecided connection that are kept
	maxUndecided = 1024 // connections with such records
	maxLessons   = 4096
)

// guess is what speaks for the protocols of an undecided connection.
type guess struct {
	points  [maxProtocols]uint8
	turned  [maxProtocols]uint8 // the same, were the role the other one
	looked  int
	idle    int // sweeps since the last record
	waiting []*kept
}

// Endpoint is where a server listens: here, or as a client reaches it.
type Endpoint struct {
	NetNS  uint32
	Port   uint16
	Client bool     // Name is the address that clients connect to
	Name   [32]byte // of clients the address; of Unix sockets the path
}

func (r *Record) endpoint() Endpoint {
	e := Endpoint{NetNS: r.NetNS, Port: r.serverPort()}
	switch {
	case r.Family == FamilyUnix:
		copy(e.Name[:16], r.Local[:])
		copy(e.Name[16:], r.Remote[:])
	case r.Role == core.RoleClient:
		e.Client = true
		copy(e.Name[:16], r.Remote[:])
	}
	return e
}

// lesson is what is known of a place: what is spoken there (an index in the
// list), and how the kernel was told to capture it.
type lesson struct {
	proto int
	how   Capture
}

// judge decides what connections speak.
type judge struct {
	list    []*wire.Protocol
	byName  map[string]*wire.Protocol
	lessons map[Endpoint]lesson
}

func newJudge(list []*wire.Protocol) *judge {
	j := &judge{list: list[:min(len(list), maxProtocols)], byName: make(map[string]*wire.Protocol, len(list)), lessons: make(map[Endpoint]lesson)}
	for _, p := range j.list {
		j.byName[cmp.Or(p.ID, p.Name)] = p
	}
	return j
}

// look takes what a record says for each protocol and gives the one that is
// decided, nil for none yet. The role is settled with it when it was unknown.
// program names the program that serves, "" when it is not known.
func (j *judge) look(c *connection, r *Record, program func() string) *wire.Protocol {
	g := c.guess
	g.looked++
	known, learned := j.lessons[r.endpoint()]
	best, points, role := -1, uint8(enough-1), c.role
	for i, p := range j.list {
		if c.not&(1<<i) != 0 || p.Datagram != r.datagram() {
			continue
		}
		server, client := &g.points[i], &g.turned[i]
		if c.role == core.RoleUnknown {
			hear(server, p, sideOf(r.received()), r.Request, r.size())
			hear(client, p, sideOf(!r.received()), r.Request, r.size())
		} else {
			j.listen(server, p, r)
		}
		for turn, n := range [2]uint8{*server, *client} {
			if n > 0 && (learned && known.proto == i || j.expected(p, c, r, turn == 1, program)) {
				n += expecting
			}
			if n > points {
				best, points = i, n
				if c.role == core.RoleUnknown {
					role = []core.Role{core.RoleServer, core.RoleClient}[turn]
				}
			}
		}
	}
	if best < 0 {
		return nil
	}
	c.role, r.Role = role, role
	return j.list[best]
}

// sideOf is whose bytes were received, seen from a server.
func sideOf(received bool) wire.Side {
	if received {
		return wire.Client
	}
	return wire.Server
}

// listen adds what both turns of a record, or its transfer, say.
func (j *judge) listen(points *uint8, p *wire.Protocol, r *Record) {
	if r.Kind == Transfer {
		hear(points, p, r.from(), r.Request, r.size())
		return
	}
	hear(points, p, wire.Client, r.Request, r.asked())
	hear(points, p, wire.Server, r.Response, r.answered())
}

// hear adds a verdict; bytes that cannot be take back what was said before.
func hear(points *uint8, p *wire.Protocol, from wire.Side, data []byte, size int64) {
	if len(data) == 0 {
		return
	}
	v := p.Sniff(from, data, size)
	if v == wire.No {
		*points = 0
		return
	}
	*points = min(*points+uint8(v), 100)
}

// expected tells whether port or program speak for a protocol.
func (j *judge) expected(p *wire.Protocol, c *connection, r *Record, turned bool, program func() string) bool {
	port := r.serverPort()
	if c.role == core.RoleUnknown && turned {
		port = r.RemotePort
	}
	if slices.Contains(p.Ports, port) && port != 0 {
		return true
	}
	if len(p.Programs) == 0 || turned {
		return false
	}
	name := program()
	return name != "" && slices.Contains(p.Programs, name)
}

// learn remembers what an endpoint speaks; fresh reports whether that is news.
func (j *judge) learn(at Endpoint, p *wire.Protocol, how Capture) (fresh bool) {
	i := slices.Index(j.list, p)
	if old, ok := j.lessons[at]; i < 0 || ok && old.proto == i {
		return false
	}
	if len(j.lessons) >= maxLessons {
		for other := range j.lessons {
			delete(j.lessons, other)
			break
		}
	}
	j.lessons[at] = lesson{i, how}
	return true
}

// deeper notes another way of capturing a known place; fresh reports whether it is.
func (j *judge) deeper(at Endpoint, how Capture) (fresh bool) {
	known, ok := j.lessons[at]
	if !ok || known.how == how {
		return false
	}
	known.how = how
	j.lessons[at] = known
	return true
}

// unlearn takes a lesson back, and reports whether there was one.
func (j *judge) unlearn(at Endpoint, p *wire.Protocol) bool {
	known, ok := j.lessons[at]
	if ok = ok && j.list[known.proto] == p; ok {
		delete(j.lessons, at)
	}
	return ok
}

// exclude says that a connection does not speak p.
func (j *judge) exclude(c *connection, p *wire.Protocol) {
	if i := slices.Index(j.list, p); i >= 0 {
		c.not |= 1 << i
	}
}
