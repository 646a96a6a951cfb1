package talk

import (
	"bytes"

	"vitals/core"
)

// endsKey is the address pair of a connection, the same seen from both ends.
// Loopback addresses mean something in their network namespace only.
type endsKey struct {
	netns         uint32
	first, second [16]byte
	ports         [2]uint16
}

// both are the sockets that share an address pair.
type both struct {
	client, server *connection
	// Two pairs of sockets in different namespaces can have equal addresses: then
	// nobody knows which belongs to which.
	ambiguous bool
}

// ends gives the key of a TCP connection, false for what has none.
func (r *Record) ends() (k endsKey, ok bool) {
	if r.Family == FamilyUnix || r.LocalPort == 0 || r.RemotePort == 0 || r.datagram() {
		return k, false
	}
	k = endsKey{first: r.Local, second: r.Remote, ports: [2]uint16{r.LocalPort, r.RemotePort}}
	if loopback(r) {
		k.netns = r.NetNS
	}
	if c := bytes.Compare(k.first[:], k.second[:]); c > 0 || c == 0 && k.ports[0] > k.ports[1] {
		k.first, k.second = k.second, k.first
		k.ports[0], k.ports[1] = k.ports[1], k.ports[0]
	}
	return k, true
}

// loopback tells whether the remote address means the own machine.
func loopback(r *Record) bool {
	a := &r.Remote
	if r.Family == FamilyInet {
		return a[0] == 127
	}
	for _, b := range a[:10] {
		if b != 0 {
			return false
		}
	}
	return a[10] == 0 && a[11] == 0 && a[12] == 0 && a[15] == 1 || a[10] == 0xff && a[12] == 127
}

// meet looks for the socket at the other end of a new connection.
func (p *Reader) meet(c *connection, r *Record) {
	if r.FarPID != 0 {
		c.farProc = core.ProcKey{PID: r.FarPID}
	}
	key, ok := r.ends()
	if !ok {
		return
	}
	c.ends, c.paired = key, true
	p.join(c)
}

// join takes one end into its pair once its role is known.
func (p *Reader) join(c *connection) {
	if !c.paired || c.role == core.RoleUnknown {
		return
	}
	b := p.pairs[c.ends]
	if b == nil {
		b = &both{}
		p.pairs[c.ends] = b
	}
	mine, other := &b.client, &b.server
	if c.role == core.RoleServer {
		mine, other = other, mine
	}
	if *mine != nil && *mine != c {
		b.ambiguous = true
	}
	*mine = c
	if *other != nil {
		c.far, (*other).far = *other, c
	}
	if b.ambiguous && c.far != nil {
		c.far.far, c.far.farProc, c.far = nil, core.ProcKey{}, nil
	}
}

// part takes a connection out of its pair. The other end still knows whose it was.
func (p *Reader) part(c *connection) {
	if !c.paired {
		return
	}
	if far := c.far; far != nil {
		far.farProc, far.far = c.proc, nil
		c.far = nil
	}
	b := p.pairs[c.ends]
	if b == nil {
		return
	}
	if b.client == c {
		b.client = nil
	}
	if b.server == c {
		b.server = nil
	}
	if b.client == nil && b.server == nil {
		delete(p.pairs, c.ends)
	}
}

// otherEnd is the process that a connection leads to, zero unknown.
func (c *connection) otherEnd() core.ProcKey {
	if c.far != nil {
		return c.far.proc
	}
	return c.farProc
}
