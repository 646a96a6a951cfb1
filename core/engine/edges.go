package engine

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vitals/core"
	"vitals/core/metric"
)

// outside is where requests come from that no watched client made.
const outside = "outside"

type edgeKey struct {
	from         *service
	to, protocol string
}

// edge counts what one service asks of another one, or of an outside peer.
type edge struct {
	edgeKey
	count, errors uint64
	rate          metric.Rates
	window        metric.Window
	users         int // series that count here
}

func (e *edge) observe(at int64, pt metric.Point, n uint32, failed, timed bool) {
	e.count += uint64(n)
	if failed {
		e.errors += uint64(n)
	}
	e.rate.Observe(at, n)
	if timed {
		e.window.Observe(at, pt, uint64(n))
	}
}

// connect finds the edge of a series of client requests.
func (s *state) connect(se *series) {
	key := edgeKey{from: se.svc, to: s.peerName(se), protocol: se.protocol}
	e := s.edges[key]
	if e == nil {
		e = &edge{edgeKey: key}
		s.edges[key] = e
	}
	e.users++
	e.count += se.count
	if se.failed {
		e.errors += se.count
	}
	se.edge = e
}

// disconnect takes back what connect and the requests since counted.
func (s *state) disconnect(se *series) {
	e := se.edge
	if e == nil {
		return
	}
	e.users--
	e.count -= min(e.count, se.count)
	if se.failed {
		e.errors -= min(e.errors, se.count)
	}
	se.edge = nil
}

// reconnect looks again who the peers are, after listeners came or went.
func (s *state) reconnect() {
	if !s.portsAt {
		return
	}
	s.portsAt = false
	for _, p := range s.procs {
		for _, se := range p.series {
			if se.role == core.RoleClient && (se.edge == nil || se.edge.to != s.peerName(se)) {
				s.disconnect(se)
				s.connect(se)
			}
		}
	}
}

// peerName names the peer of a series: the local service that listens there,
// else the peer as the client called it.
func (s *state) peerName(se *series) string {
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

// buildEdges renders who calls whom. What a service answered and no watched
// client asked came from outside.
func (s *state) buildEdges() []*core.EdgeRow {
	var rows []*core.EdgeRow
	inside := map[[2]string]*core.EdgeRow{} // by service and protocol: what local clients asked
	for key, e := range s.edges {
		if e.users == 0 {
			delete(s.edges, key)
			continue
		}
		row := &core.EdgeRow{From: key.from.name, To: key.to, Protocol: key.protocol, Count: e.count, Errors: e.errors}
		row.Rate = e.rate.PerSecond(s.mono, s.startedMono)
		e.window.Recent(s.mono, &s.scratch)
		row.P99 = s.scratch.Quantile(.99)
		rows = append(rows, row)
		in := inside[[2]string{key.to, key.protocol}]
		if in == nil {
			in = &core.EdgeRow{}
			inside[[2]string{key.to, key.protocol}] = in
		}
		in.Count += e.count
		in.Errors += e.errors
		in.Rate += row.Rate
	}
	for name, svc := range s.services {
		if svc.row == nil {
			continue
		}
		for _, sp := range svc.spoken {
			row := &core.EdgeRow{From: outside, To: name, Protocol: sp.protocol, Count: sp.count, Errors: sp.errors, Rate: svc.row.Server.Rate, P99: svc.row.Server.P99}
			if in := inside[[2]string{name, sp.protocol}]; in != nil {
				// Client and server are told at different moments: a few more are
				// not a caller of its own.
				if sp.count <= in.Count+in.Count/20 {
					continue
				}
				row.Count -= in.Count
				row.Errors -= min(row.Errors, in.Errors)
				row.Rate, row.P99 = max(0, row.Rate-in.Rate), math.NaN()
			}
			if row.Count > 0 {
				rows = append(rows, row)
			}
		}
	}
	slices.SortFunc(rows, func(a, b *core.EdgeRow) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Protocol, b.Protocol))
	})
	return rows
}
