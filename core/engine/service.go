package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// service is a group of processes. Its counts are its own, not sums over living
// processes, so they never fall.
type service struct {
	name           string
	members        map[*process]struct{}
	server, client side
	spoken         []spoken // what its server side speaks
	usage          core.Usage
	values         []value // counters; gauges are taken from the members
	retired        map[seriesKey]*series
	live           int // series of processes
	notable        notable
	coverage       core.Coverage

	structural, touched, warm bool
	emptyAt                   int64 // since when it has no members
	row                       *core.ServiceRow
}

// spoken counts the requests that a service answered in one protocol.
type spoken struct {
	protocol      string
	count, errors uint64
	rate          metric.Rates
	last          int64
}

// Limits of services without processes, which are kept for their counts.
const (
	serviceGrace  = int64(time.Hour)
	emptyServices = 1000
)

func (s *state) service(name string) *service {
	svc := s.services[name]
	if svc == nil {
		svc = &service{name: name, members: map[*process]struct{}{}, structural: true, emptyAt: s.mono, usage: unknownUsage(core.ProcKey{})}
		s.services[name] = svc
		s.out.services = nil
	}
	return svc
}

func (svc *service) add(p *process) {
	svc.members[p] = struct{}{}
	svc.structural = true
}

func (svc *service) remove(p *process) {
	delete(svc.members, p)
	svc.structural = true
}

func (svc *service) value(d *core.Desc, label string) *value {
	if len(svc.values) >= maxValues {
		label = other
	}
	return valueIn(&svc.values, d, label)
}

// speaks finds what the service answered in one protocol.
func (svc *service) speaks(protocol string) *spoken {
	for i := range svc.spoken {
		if sp := &svc.spoken[i]; sp.protocol == protocol {
			return sp
		}
	}
	svc.spoken = append(svc.spoken, spoken{protocol: protocol})
	return &svc.spoken[len(svc.spoken)-1]
}

func (svc *service) speak(protocol string, at int64, n uint32, failed bool) {
	sp := svc.speaks(protocol)
	sp.count += uint64(n)
	if failed {
		sp.errors += uint64(n)
	}
	sp.rate.Observe(at, n)
	sp.last = max(sp.last, at)
}

// moveSpoken gives to what a series was counted for in from.
func moveSpoken(se *series, from, to *service) {
	for i := range from.spoken {
		if sp := &from.spoken[i]; sp.protocol == se.protocol {
			sp.count -= min(sp.count, se.count)
			if se.failed {
				sp.errors -= min(sp.errors, se.count)
			}
		}
	}
	sp := to.speaks(se.protocol)
	sp.count += se.count
	if se.failed {
		sp.errors += se.count
	}
	sp.last = max(sp.last, se.last)
}

func (svc *service) hasCounts() bool {
	return svc.live > 0 || len(svc.retired) > 0 || svc.server.count+svc.client.count > 0
}

// expireServices forgets services without processes: at once when they have no
// counts, after a while otherwise.
func (s *state) expireServices() {
	var empty []*service
	for _, svc := range s.services {
		switch {
		case len(svc.members) > 0 || svc.live > 0:
			svc.emptyAt = s.mono
		case !svc.hasCounts() || s.mono-svc.emptyAt > serviceGrace:
			s.forget(svc)
		default:
			empty = append(empty, svc)
		}
	}
	if len(empty) <= emptyServices {
		return
	}
	slices.SortFunc(empty, func(a, b *service) int { return int(min(max(a.emptyAt-b.emptyAt, -1), 1)) })
	for _, svc := range empty[:len(empty)-emptyServices] {
		s.forget(svc)
	}
}

func (s *state) forget(svc *service) {
	s.series -= len(svc.retired)
	s.out.retired = s.out.retired || len(svc.retired) > 0
	delete(s.services, svc.name)
	s.forgetEdges(svc)
	s.out.services = nil
}

// build renders the row of a service from its own counts and its members' levels.
func (svc *service) build(s *state) *core.ServiceRow {
	row := &core.ServiceRow{Name: svc.name, CPURatio: math.NaN(), Usage: svc.usage, Exemplars: svc.notable.list(), Coverage: svc.coverage}
	languages := map[string]int{}
	gauges := gaugeSums{}
	for _, p := range slices.SortedFunc(maps.Keys(svc.members), comparePIDs) {
		if !p.alive {
			continue
		}
		row.PIDs = append(row.PIDs, p.PID)
		languages[p.info.Runtime.Language]++
		if row.Group == "" {
			row.Group = p.info.Group
		}
		if row.Started.IsZero() || p.info.Started.Before(row.Started) {
			row.Started = p.info.Started
		}
		if !math.IsNaN(p.cpu) {
			row.CPURatio = max(0, orZero(row.CPURatio)) + p.cpu
		}
		row.On = row.On || p.instrState.on
		sum, own := levels(&row.Usage), levels(&p.usage)
		for i := range sum {
			if *own[i] >= 0 {
				*sum[i] = max(0, *sum[i]) + *own[i]
			}
		}
		for i := range p.values {
			gauges.add(&p.values[i])
		}
	}
	row.RSSBytes = row.Usage.RSS
	row.Language = most(languages)
	row.Values = gauges.with(render(svc.values, s.mono))
	row.Client = svc.client.red(s)
	row.RateTrend, row.P99Trend, row.Heat = svc.client.past(s)
	row.Latency = s.scratch.Snapshot()
	server := svc.server.red(s)
	row.Server = server
	if svc.server.count > 0 || svc.client.count == 0 {
		row.RateTrend, row.P99Trend, row.Heat = svc.server.past(s)
		row.Latency = s.scratch.Snapshot()
	}
	for p := range svc.members {
		for _, f := range []struct {
			own *side
			red *core.RED
		}{{&p.server, &row.Server}, {&p.client, &row.Client}} {
			if f.own.inFlight > 0 {
				f.red.InFlight += f.own.inFlight
				f.red.Oldest = max(f.red.Oldest, time.Duration(max(0, s.mono-f.own.oldest)))
			}
		}
	}
	svc.judge(row)
	return row
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// most names the language of more than half of the processes.
func most(count map[string]int) string {
	total := 0
	for _, n := range count {
		total += n
	}
	for name, n := range count {
		if 2*n > total {
			return name
		}
	}
	return ""
}

// gaugeSums adds up levels; those in seconds or ratios are averaged, since
// their sum means nothing, and of shared ones the largest counts.
type gaugeSums struct {
	list []value
	n    []int
}

func (g *gaugeSums) add(v *value) {
	if v.desc.Kind != core.Gauge || math.IsNaN(v.v) {
		return
	}
	i, found := slices.BinarySearchFunc(g.list, *v, compareValues)
	if !found {
		g.list = slices.Insert(g.list, i, value{desc: v.desc, label: v.label})
		g.n = slices.Insert(g.n, i, 0)
	}
	if v.desc.Shared {
		g.list[i].v, g.n[i] = max(g.list[i].v, v.v), 1
		return
	}
	g.list[i].v += v.v
	g.n[i]++
}

func (g *gaugeSums) with(counters []core.Value) []core.Value {
	for i, v := range g.list {
		if v.desc.Unit == "seconds" || v.desc.Unit == "ratio" {
			v.v /= float64(g.n[i])
		}
		counters = append(counters, core.Value{Desc: v.desc, Label: v.label, V: v.v})
	}
	return counters
}

// What "clearly worse" means: enough requests now, enough of a past to compare
// with, and a difference that a person would call one.
const (
	judgeRequests = 20
	judgeSteps    = 4 // 20 seconds with requests
	slowFactor    = 2.5
	slowBy        = 0.005 // seconds
	errorsBy      = 0.05
	errorsAlone   = 0.5
)

// judge derives health from the last seconds against the last minutes.
func (svc *service) judge(row *core.ServiceRow) {
	row.Health = core.HealthOK
	if svc.name == unknownService {
		row.Health, row.Message = core.HealthUnknown, "requests of processes that ended before they could be looked at"
		return
	}
	if len(row.PIDs) == 0 {
		row.Health, row.Message = core.HealthStopped, "no process is left"
		return
	}
	d, red := &svc.server, &row.Server
	if svc.server.count == 0 {
		d, red = &svc.client, &row.Client
	}
	if d.recent == nil || row.Latency == nil || row.Latency.Count < judgeRequests {
		return
	}
	p99, errs, steps := d.recent.Usual()
	switch e := red.ErrRatio; {
	case steps >= judgeSteps && e >= errs+errorsBy && e >= 2*errs:
		row.Health = core.HealthDegraded
		row.Message = fmt.Sprintf("%.0f%% of requests fail, its 5-min median is %.1f%%", e*100, errs*100)
	case steps < judgeSteps && e >= errorsAlone:
		row.Health = core.HealthDegraded
		row.Message = fmt.Sprintf("%.0f%% of requests fail", e*100)
	case steps >= judgeSteps && red.P99 >= p99*slowFactor && red.P99-p99 >= slowBy:
		row.Health = core.HealthDegraded
		row.Message = fmt.Sprintf("p99 %s, %.1fx its 5-min median", brief(red.P99), red.P99/p99)
	}
}

// brief formats seconds for a sentence.
func brief(v float64) string {
	switch {
	case v < 0.01:
		return fmt.Sprintf("%.1fms", v*1e3)
	case v < 1:
		return fmt.Sprintf("%.0fms", v*1e3)
	}
	return fmt.Sprintf("%.1fs", v)
}
