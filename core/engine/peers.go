package engine

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vitals/core"
)

// farService is the service of a process at the other end, nil unknown. Without
// a birth it is the one that has the pid now.
func (s *state) farService(far core.ProcKey) *service {
	if far == (core.ProcKey{}) {
		return nil
	}
	p := s.procs[far]
	if far.Birth == 0 {
		p = s.live[far.PID]
	}
	if p == nil || !p.known || p.svc == nil {
		if len(s.awaited) < maxAwaited {
			s.awaited[far] = struct{}{}
		}
		return nil
	}
	return p.svc
}

// maxAwaited is how many processes are waited for that traffic leads to and that
// nobody has told of yet.
const maxAwaited = 1024

// arrived looks at the edges again that waited for p.
func (s *state) arrived(p *process) {
	for _, k := range [2]core.ProcKey{p.ProcKey, {PID: p.PID}} {
		if _, ok := s.awaited[k]; ok {
			delete(s.awaited, k)
			s.portsAt = true
		}
	}
}

// peerName names the peer of a series: the service of the process at the other
// end, else the local one that listens there, else the peer as the client called it.
func (s *state) peerName(se *series) string {
	if far := s.farService(se.far); far != nil {
		return far.name
	}
	if se.peer == "" || se.peer == other {
		return outside
	}
	host, port := splitPeer(se.peer, se.tls)
	listening := s.ports[port]
	if len(listening) == 0 {
		return se.peer
	}
	addr, err := netip.ParseAddr(host)
	local := err != nil && (host == "localhost" || host == s.cfg.Host.Name) || addr.IsLoopback()
	for _, p := range listening {
		if p.info.Service == "" {
			continue
		}
		if addr.IsLoopback() && differ(se.proc, p) {
			continue
		}
		for _, l := range p.info.Listeners {
			bound, err := netip.ParseAddrPort(l.Address)
			if err != nil || bound.Port() != port || l.Network != "tcp" {
				continue
			}
			if bound.Addr().Unmap() == addr.Unmap() || local && (bound.Addr().IsUnspecified() || bound.Addr().IsLoopback()) {
				return p.info.Service
			}
		}
	}
	return se.peer
}

// differ reports whether two processes are known to be in different network namespaces.
func differ(a, b *process) bool {
	return a != nil && a.info.NetNS != 0 && b.info.NetNS != 0 && a.info.NetNS != b.info.NetNS
}

// splitPeer parses "host", "host:port" or "[v6]:port".
func splitPeer(peer string, tls bool) (host string, port uint16) {
	port = 80
	if tls {
		port = 443
	}
	host = peer
	if i := strings.LastIndexByte(peer, ':'); i >= 0 && (peer[0] == '[' || strings.IndexByte(peer, ':') == i) {
		if n, err := strconv.ParseUint(peer[i+1:], 10, 16); err == nil {
			host, port = peer[:i], uint16(n)
		}
	}
	return strings.Trim(host, "[]"), port
}

func (s *state) addListeners(p *process) {
	for _, l := range p.info.Listeners {
		if a, err := netip.ParseAddrPort(l.Address); err == nil && l.Network == "tcp" && !slices.Contains(s.ports[a.Port()], p) {
			s.ports[a.Port()] = append(s.ports[a.Port()], p)
			s.portsAt = true
		}
	}
}

func (s *state) dropListeners(p *process) {
	for _, l := range p.info.Listeners {
		a, err := netip.ParseAddrPort(l.Address)
		if err != nil || l.Network != "tcp" {
			continue
		}
		left := slices.DeleteFunc(s.ports[a.Port()], func(q *process) bool { return q == p })
		if s.ports[a.Port()] = left; len(left) == 0 {
			delete(s.ports, a.Port())
		}
		s.portsAt = true
	}
}
