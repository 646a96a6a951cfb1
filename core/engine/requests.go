package engine

import (
	"vitals/core"
	"vitals/core/metric"
)

// other stands for all names past a cap.
const other = "other"

// seriesKey is what makes requests of one process equal.
type seriesKey struct {
	// svc is the service that they are counted for: what a process did before it
	// changed its service stays with the old one.
	svc                                      *service
	method, route, peer, protocol, code, err string

	status              int32
	role                core.Role
	tls, failed, stream bool
}

// series counts equal requests of one process, or of a service's retired ones.
type series struct {
	seriesKey
	proc *process // nil once retired
	link

	count, partial, in, out uint64
	duration                metric.Durations
	first                   metric.Histogram
	rate                    metric.Rates
	last                    int64
	touched, warm           bool
	row                     *core.RequestRow
}

func (s *state) requests(b *batch[core.Request]) {
	for i := range b.items {
		s.request(&b.items[i], b.at)
	}
	s.self.facts += uint64(len(b.items))
}

// request is the hot path: at most some hundred nanoseconds, no allocation
// once the series exists.
func (s *state) request(r *core.Request, now int64) {
	p := s.find(r.Proc)
	svc := p.svc
	if svc == nil {
		svc = s.belong(p)
	}
	key := seriesKey{
		svc: svc, method: r.Method, route: r.Route, peer: r.Peer, protocol: r.Protocol, code: r.Code, err: r.Error,
		status: int32(r.Status), role: r.Role, tls: r.TLS, failed: r.Failed, stream: r.Stream,
	}
	n := max(1, r.Count)
	se := p.series[key]
	if se == nil {
		se = s.newSeries(p, key, n)
	}
	at := r.Start + int64(r.Duration)
	if r.Start <= 0 || at > now {
		at = now
	}
	// Partial figures of which not even the duration is known are counted, but say
	// nothing about latency. Nor do streams.
	timed := !r.Stream && (!r.Partial || r.Duration > 0)
	var pt metric.Point
	if timed {
		pt = metric.Of(r.Duration)
		se.duration.Observe(pt, uint64(n))
	}
	if r.FirstByte > 0 && !r.Stream {
		se.first.Observe(metric.Of(r.FirstByte), uint64(n))
	}
	se.count += uint64(n)
	if r.Partial {
		se.partial += uint64(n)
	}
	se.in += r.BytesIn
	se.out += r.BytesOut
	se.rate.Observe(at, n)
	se.last = max(se.last, at)
	se.touched = true
	p.lastSeen = now
	p.touched = true
	svc.touched = true

	s.observeEdge(se, r, at, pt, n, timed)
	if r.Role == core.RoleServer {
		svc.speak(r.Protocol, at, n, r.Failed)
	}
	if !core.Recognised(r.Protocol) {
		return
	}
	s.notice(se, r, at, timed)
	switch r.Role {
	case core.RoleServer:
		p.server.observe(at, pt, n, r.Failed, timed)
		svc.server.observe(at, pt, n, r.Failed, timed)
		s.totals.server.observe(at, pt, n, r.Failed, timed)
	case core.RoleClient:
		p.client.observe(at, pt, n, r.Failed, timed)
		svc.client.observe(at, pt, n, r.Failed, timed)
		s.totals.client.observe(at, pt, n, r.Failed, timed)
	}
}

// newSeries makes a series, or finds the one that the caps fold it into.
func (s *state) newSeries(p *process, key seriesKey, n uint32) *series {
	folded := s.fold(p, key)
	if folded != key {
		s.folded += uint64(n)
		if se := p.series[folded]; se != nil {
			return se
		}
	}
	se := &series{seriesKey: folded, proc: p}
	if p.series == nil {
		p.series = map[seriesKey]*series{}
	}
	p.series[folded] = se
	se.svc.live++
	s.series++
	s.out.freshSeries = append(s.out.freshSeries, se)
	switch folded.role {
	case core.RoleClient:
		s.connect(se)
	case core.RoleServer:
		s.cfg.Serves(p.ProcKey, folded.protocol)
	}
	return se
}

// fold replaces what is past a cap by "other".
func (s *state) fold(p *process, key seriesKey) seriesKey {
	key.route = within(&p.routes, key.route, s.cfg.Limits.RoutesPerProcess)
	key.peer = within(&p.peers, key.peer, s.cfg.Limits.RoutesPerProcess)
	if len(p.series) >= s.cfg.Limits.SeriesPerProcess || s.series >= s.cfg.Limits.Series {
		key.toOther()
	}
	return key
}

// toOther leaves of a key what has few values whoever talks.
func (k *seriesKey) toOther() {
	k.method, k.route = other, other
	if k.peer != "" {
		k.peer = other
	}
	if k.protocol != core.ProtoHTTP {
		k.status = 0
	}
	if k.code != "" {
		k.code = other
	}
}

// within admits a name to a set while it has room.
func within(set *map[string]struct{}, name string, limit int) string {
	if name == "" || name == other {
		return name
	}
	if _, ok := (*set)[name]; ok {
		return name
	}
	if len(*set) >= limit {
		return other
	}
	if *set == nil {
		*set = map[string]struct{}{}
	}
	(*set)[name] = struct{}{}
	return name
}

// retireSeries adds a series to its service's retired ones and forgets it.
func (s *state) retireSeries(se *series) {
	delete(se.proc.series, se.seriesKey)
	se.svc.live--
	s.out.lostSeries = true
	se.link = link{}
	into := se.svc.retired[se.seriesKey]
	if into == nil && len(se.svc.retired) >= s.cfg.Limits.SeriesPerProcess {
		se.toOther()
		s.folded += se.count
		into = se.svc.retired[se.seriesKey]
	}
	se.proc, se.touched = nil, true
	s.out.retired = true
	if into == nil {
		if se.svc.retired == nil {
			se.svc.retired = map[seriesKey]*series{}
		}
		se.svc.retired[se.seriesKey] = se
		return
	}
	s.series--
	into.count += se.count
	into.partial += se.partial
	into.in += se.in
	into.out += se.out
	into.last = max(into.last, se.last)
	into.duration.Merge(&se.duration)
	into.first.Merge(&se.first)
	into.touched = true
}

func (s *state) coverage(b *batch[core.Coverage]) {
	s.self.facts += uint64(len(b.items))
	for i := range b.items {
		c := &b.items[i]
		s.self.coverage.Add(c)
		if p := s.procs[c.Proc]; p != nil {
			p.coverage.Add(c)
			p.touched = true
			if p.svc != nil {
				p.svc.coverage.Add(c)
			}
		}
	}
}

// inFlight replaces what is open.
func (s *state) inFlight(list []core.InFlight) {
	for _, p := range s.flying {
		p.server.inFlight, p.client.inFlight = 0, 0
		p.touch()
	}
	clear(s.flying)
	s.flying = s.flying[:0]
	for _, f := range list {
		p := s.procs[f.Proc]
		if p == nil || !p.ended.IsZero() {
			continue
		}
		d := &p.server
		if f.Role == core.RoleClient {
			d = &p.client
		} else if f.Role != core.RoleServer {
			continue
		}
		d.inFlight, d.oldest = f.Count, f.Oldest
		s.flying = append(s.flying, p)
		p.touch()
	}
}
