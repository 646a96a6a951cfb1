package engine

import (
	"cmp"
	"math"
	"slices"

	"vitals/core"
	"vitals/core/metric"
)

// outside is where requests come from that no watched client made.
const outside = "outside"

// maxEdges is how many edges are kept, those that nobody uses any more included.
const maxEdges = 4096

type edgeKey struct {
	from         *service
	to, protocol string
}

// edge counts what one service asks of another one, or of an outside peer.
type edge struct {
	edgeKey
	count, errors uint64
	rate          metric.Rates
	window        *metric.Window // nil while nothing was asked lately
	last          int64
}

// link is how a series counts in an edge, and how much of the edge is its own.
type link struct {
	edge          *edge
	far           core.ProcKey // the process at the other end, zero unknown
	count, errors uint64
}

func (e *edge) observe(at int64, pt metric.Point, n uint32, failed, timed bool) {
	e.count += uint64(n)
	if failed {
		e.errors += uint64(n)
	}
	e.rate.Observe(at, n)
	if timed {
		if e.window == nil {
			e.window = &metric.Window{}
		}
		e.window.Observe(at, pt, uint64(n))
	}
	e.last = max(e.last, at)
}

// observeEdge counts a request in the edge of its series. A client's first
// process that is known at the other end tells who it was all along; another one
// changes where the series leads from here on. A server knows only of clients
// that are known.
func (s *state) observeEdge(se *series, r *core.Request, at int64, pt metric.Point, n uint32, timed bool) {
	unknown := r.PeerProc == (core.ProcKey{})
	if unknown && se.role != core.RoleClient {
		return
	}
	if !unknown && r.PeerProc != se.far {
		if se.role == core.RoleClient && se.far == (core.ProcKey{}) {
			s.disconnect(se)
		}
		se.far = r.PeerProc
		s.connect(se)
	} else if se.edge == nil {
		s.connect(se)
	}
	se.link.count += uint64(n)
	if r.Failed {
		se.link.errors += uint64(n)
	}
	if se.edge != nil {
		se.edge.observe(at, pt, n, r.Failed, timed)
	}
}

// connect finds the edge of a series and gives it what the series has counted.
func (s *state) connect(se *series) {
	edges, key := s.edges, edgeKey{from: se.svc, protocol: se.protocol}
	if se.role == core.RoleServer {
		edges, key.from, key.to = s.heard, s.farService(se.far), se.svc.name
		if key.from == nil { // not told of yet: what it asks is counted when it is
			if se.edge != nil {
				se.edge, se.link.count, se.link.errors = nil, 0, 0
			}
			return
		}
	} else {
		key.to = s.peerName(se)
	}
	e := edges[key]
	if e == nil {
		s.makeRoom(edges)
		e = &edge{edgeKey: key}
		edges[key] = e
	}
	if se.edge == nil {
		e.count += se.link.count
		e.errors += se.link.errors
	} else if se.edge != e {
		se.link.count, se.link.errors = 0, 0
	}
	e.last = max(e.last, se.last)
	se.edge = e
}

// disconnect takes back what a series has counted in its edge.
func (s *state) disconnect(se *series) {
	e := se.edge
	if e == nil {
		return
	}
	e.count -= min(e.count, se.link.count)
	e.errors -= min(e.errors, se.link.errors)
	se.edge = nil
	if e.count > 0 {
		return
	}
	for _, edges := range []map[edgeKey]*edge{s.edges, s.heard} {
		if edges[e.edgeKey] == e { // the other side may know it, too, and be right
			delete(edges, e.edgeKey)
		}
	}
}

// makeRoom forgets the edge that was used longest ago when there are too many.
func (s *state) makeRoom(edges map[edgeKey]*edge) {
	if len(edges) < maxEdges {
		return
	}
	var oldest *edge
	for _, e := range edges {
		if oldest == nil || e.last < oldest.last {
			oldest = e
		}
	}
	delete(edges, oldest.edgeKey)
}

// reconnect looks again who the peers are, after listeners came or went.
func (s *state) reconnect() {
	if !s.portsAt {
		return
	}
	s.portsAt = false
	for _, p := range s.procs {
		for _, se := range p.series {
			if s.misled(se) {
				s.disconnect(se)
				s.connect(se)
			}
		}
	}
}

// misled reports whether a series counts in another edge than it should.
func (s *state) misled(se *series) bool {
	if se.role == core.RoleClient {
		return se.edge == nil || se.edge.to != s.peerName(se)
	}
	from := s.farService(se.far)
	return from != nil && (se.edge == nil || se.edge.from != from)
}

// forgetEdges forgets what began at a service, and what servers know of it.
func (s *state) forgetEdges(svc *service) {
	for _, edges := range []map[edgeKey]*edge{s.edges, s.heard} {
		for key := range edges {
			if key.from == svc {
				delete(edges, key)
			}
		}
	}
}

// hop is an edge as it is shown.
type hop struct{ from, to, protocol string }

// buildEdges renders who calls whom: as the clients tell it, and as servers do of
// clients that are not watched. What a service answered beyond that came from
// outside.
func (s *state) buildEdges() []*core.EdgeRow {
	rows := make([]*core.EdgeRow, 0, len(s.edges))
	byHop := make(map[hop]*core.EdgeRow, len(s.edges))
	inside := map[[2]string]*core.EdgeRow{} // by service and protocol: what is known to come from here
	for _, edges := range []map[edgeKey]*edge{s.edges, s.heard} {
		for key, e := range edges {
			at := hop{key.from.name, key.to, key.protocol}
			if e.count == 0 || byHop[at] != nil {
				continue
			}
			row := s.buildEdge(e)
			byHop[at] = row
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
	}
	for _, svc := range s.services {
		if svc.row != nil {
			rows = s.fromOutside(svc, inside, rows)
		}
	}
	slices.SortFunc(rows, func(a, b *core.EdgeRow) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Protocol, b.Protocol))
	})
	return rows
}

func (s *state) buildEdge(e *edge) *core.EdgeRow {
	row := &core.EdgeRow{
		From: e.from.name, To: e.to, Protocol: e.protocol, Count: e.count, Errors: e.errors,
		Rate: e.rate.PerSecond(s.mono, s.startedMono), P50: math.NaN(), P99: math.NaN(),
		Last: s.wall(e.last), Outside: s.services[e.to] == nil,
	}
	if e.window != nil {
		e.window.Recent(s.mono, &s.scratch)
		row.P50, row.P99 = s.scratch.Quantile(.5), s.scratch.Quantile(.99)
		if e.window.Quiet(s.mono) {
			e.window = nil
		}
	}
	return row
}

// fromOutside adds what a service answered and nobody here asked.
func (s *state) fromOutside(svc *service, inside map[[2]string]*core.EdgeRow, rows []*core.EdgeRow) []*core.EdgeRow {
	name := svc.name
	for i := range svc.spoken {
		sp := &svc.spoken[i]
		row := &core.EdgeRow{
			From: outside, To: name, Protocol: sp.protocol, Count: sp.count, Errors: sp.errors, Outside: true,
			Rate: sp.rate.PerSecond(s.mono, s.startedMono), P50: math.NaN(), P99: math.NaN(), Last: s.wall(sp.last),
		}
		if len(svc.spoken) == 1 {
			row.P50, row.P99 = svc.row.Server.P50, svc.row.Server.P99
		}
		if in := inside[[2]string{name, sp.protocol}]; in != nil {
			// Client and server are told at different moments: a few more are
			// not a caller of its own.
			if sp.count <= in.Count+in.Count/20 {
				continue
			}
			row.Count -= in.Count
			row.Errors -= min(row.Errors, in.Errors)
			row.Rate, row.P50, row.P99 = max(0, row.Rate-in.Rate), math.NaN(), math.NaN()
		}
		if row.Count > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}
