package talk

import (
	"net/netip"

	"vitals/core"
	"vitals/core/wire"
)

// Limits of the names of peers.
const (
	maxPeers    = 4096
	maxResolved = 8192 // in each of two generations
)

// peers names the servers that clients talk to.
type peers struct {
	names *wire.Names
	known map[addrKey]string
	// Names that processes looked up, by what they were told. When fresh is full it
	// becomes stale, and what is still used comes back from there.
	fresh, stale map[lookup]string
}

type addrKey struct {
	name [32]byte
	port uint16
	unix bool
}

// lookup is an answer that one process got.
type lookup struct {
	proc core.ProcKey
	addr netip.Addr
}

func newPeers(names *wire.Names) *peers {
	return &peers{names: names, known: make(map[addrKey]string), fresh: make(map[lookup]string)}
}

// resolved notes what a process was told.
func (p *peers) resolved(proc core.ProcKey, r wire.Resolved) {
	if r.Name == "" || !r.Addr.IsValid() {
		return
	}
	p.note(lookup{proc, r.Addr.Unmap()}, r.Name)
}

func (p *peers) note(key lookup, name string) {
	if len(p.fresh) >= maxResolved {
		p.fresh, p.stale = make(map[lookup]string), p.fresh
	}
	p.fresh[key] = name
}

func (p *peers) lookedUp(key lookup) string {
	if name, ok := p.fresh[key]; ok {
		return name
	}
	name, ok := p.stale[key]
	if ok {
		p.note(key, name)
	}
	return name
}

// peer is what the other end of a client's connection is called: the name by
// which TLS or DNS know it, else its address.
func (p *Reader) peer(c *connection, r *Record) string {
	if c.peer != "" && !c.datagram {
		return c.peer
	}
	if r.Family == 0 {
		return ""
	}
	c.peer = p.peers.name(c, r)
	return c.peer
}

func (p *peers) name(c *connection, r *Record) string {
	if r.Family != FamilyUnix {
		addr := r.remoteAddr()
		host := c.sni
		if host == "" {
			host = p.lookedUp(lookup{c.proc, addr.Addr()})
		}
		if host != "" {
			return p.names.Get([]byte(host + ":" + portOf(addr)))
		}
	}
	key := addrKey{port: r.RemotePort, unix: r.Family == FamilyUnix}
	copy(key.name[:], r.Remote[:])
	if key.unix {
		copy(key.name[:16], r.Local[:])
		copy(key.name[16:], r.Remote[:])
		key.port = 0
	}
	if s, ok := p.known[key]; ok {
		return s
	}
	if len(p.known) >= maxPeers {
		clear(p.known)
	}
	s := key.text(r)
	p.known[key] = s
	return s
}

func portOf(a netip.AddrPort) string {
	s := a.String()
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ':' {
			return s[i+1:]
		}
	}
	return ""
}

func (r *Record) remoteAddr() netip.AddrPort {
	addr := netip.AddrFrom16(r.Remote).Unmap()
	if r.Family == FamilyInet {
		addr = netip.AddrFrom4([4]byte(r.Remote[:4]))
	}
	return netip.AddrPortFrom(addr, r.RemotePort)
}

func (k *addrKey) text(r *Record) string {
	if !k.unix {
		return r.remoteAddr().String()
	}
	name := k.name[:]
	at := ""
	if name[0] == 0 {
		name, at = name[1:], "@" // abstract
	}
	n := 0
	for n < len(name) && name[n] != 0 {
		n++
	}
	cut := ""
	if r.Flags&Cut != 0 {
		cut = "…"
	}
	return core.Clean("unix:"+at+string(name[:n])+cut, core.MaxRoute)
}
