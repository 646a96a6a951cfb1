package requests

import (
	"net/netip"

	"vitals/core"
)

type peerKey struct {
	addr [32]byte
	port uint16
	unix bool
}

// peer names the server that a client talks to.
func (p *pairer) peer(x *requestsExchange) string {
	if len(p.req.Host) > 0 {
		return p.hosts.get(p.req.Host)
	}
	key := peerKey{port: x.Rport, unix: x.Family == familyUnix}
	copy(key.addr[:], x.Raddr[:])
	if key.unix {
		copy(key.addr[:16], x.Laddr[:])
		copy(key.addr[16:], x.Raddr[:])
		key.port = 0
	}
	if s, ok := p.peers[key]; ok {
		return s
	}
	if len(p.peers) >= maxPeers {
		return "other"
	}
	s := key.name(x)
	p.peers[key] = s
	return s
}

func (k *peerKey) name(x *requestsExchange) string {
	if !k.unix {
		addr := netip.AddrFrom16(x.Raddr).Unmap()
		if x.Family == familyInet {
			addr = netip.AddrFrom4([4]byte(x.Raddr[:4]))
		}
		return netip.AddrPortFrom(addr, x.Rport).String()
	}
	name := k.addr[:]
	at := ""
	if name[0] == 0 {
		name, at = name[1:], "@" // abstract
	}
	n := 0
	for n < len(name) && name[n] != 0 {
		n++
	}
	cut := ""
	if x.Flags&flagCut != 0 {
		cut = "…"
	}
	return core.Clean("unix:"+at+string(name[:n])+cut, core.MaxRoute)
}
