package engine

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"vitals/core"
)

// output is what was published last, so that what did not change is published
// again as it is.
type output struct {
	procs      []*process // by pid
	freshProcs []*process
	lostProcs  bool

	series      []*series // by service, role, protocol, method, route, status
	freshSeries []*series
	lostSeries  bool
	resort      bool
	retired     bool // the retired sums changed

	services []*service // by name; nil when one came or went

	procRows    []*core.ProcessRow
	serviceRows []*core.ServiceRow
	requestRows []*core.RequestRow
	retiredRows []*core.RequestRow
	edgeRows    []*core.EdgeRow
	units       []*core.UnitRow
	push        []*core.PushRow
	servers     []*core.IntegrationRow
	machine     []core.Value
}

// build makes the next snapshot. One that is not full has what changed in the
// life of processes and units, and the figures of the tick before.
func (s *state) build(full bool) *core.Snapshot {
	s.sampleClock()
	s.urgent = false
	s.seq++
	o := &s.out
	o.listProcs()
	if full {
		s.reconnect()
		o.listSeries()
		s.buildRequests()
	}
	s.buildProcesses(full)
	s.buildServices(full)
	if full {
		s.buildRetired()
		o.edgeRows = s.buildEdges()
		o.machine = render(s.machine, s.mono)
	}
	s.buildUnits()
	return &core.Snapshot{
		Seq: s.seq, At: s.now, Started: s.started, Window: s.now.Sub(s.started),
		Host: s.cfg.Host, Self: s.self.build(s), Kinds: s.cfg.Kinds, Toggles: s.toggles,
		Processes: o.procRows, Services: o.serviceRows, Requests: o.requestRows, Retired: o.retiredRows,
		Edges: o.edgeRows, Exemplars: s.exemplars.list(), Units: o.units, Push: o.push, Gateway: s.receive, Machine: o.machine, Integrations: o.servers,
		Calls: s.self.calls, Programs: s.self.programs, Events: s.events.newest(), Totals: s.totals.build(s, full),
	}
}

func comparePIDs(a, b *process) int {
	return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Birth, b.Birth))
}

func compareSeries(a, b *series) int {
	if c := cmp.Or(
		strings.Compare(a.svc.name, b.svc.name), cmp.Compare(a.role, b.role), strings.Compare(a.protocol, b.protocol),
		strings.Compare(a.method, b.method), strings.Compare(a.route, b.route), cmp.Compare(a.status, b.status),
		strings.Compare(a.peer, b.peer), strings.Compare(a.code, b.code), strings.Compare(a.err, b.err)); c != 0 {
		return c
	}
	if a.tls != b.tls {
		return map[bool]int{true: 1, false: -1}[a.tls]
	}
	if a.stream != b.stream {
		return map[bool]int{true: 1, false: -1}[a.stream]
	}
	if a.proc == nil || b.proc == nil {
		return 0
	}
	return comparePIDs(a.proc, b.proc)
}

// listProcs brings the ordered list of processes up to date.
func (o *output) listProcs() {
	if len(o.freshProcs) > 0 {
		// One that was forgotten and came back between two pictures is listed still.
		o.procs = slices.Compact(merge(o.procs, o.freshProcs, comparePIDs))
		clear(o.freshProcs)
		o.freshProcs, o.procRows = o.freshProcs[:0], nil
	}
}

func (o *output) listSeries() {
	if o.lostSeries {
		gone := func(se *series) bool { return se.proc == nil }
		o.series = slices.DeleteFunc(o.series, gone)
		o.freshSeries = slices.DeleteFunc(o.freshSeries, gone)
		o.lostSeries, o.requestRows = false, nil
	}
	if o.resort {
		slices.SortFunc(o.series, compareSeries)
		o.resort, o.requestRows = false, nil
	}
	if len(o.freshSeries) > 0 {
		o.series = merge(o.series, o.freshSeries, compareSeries)
		clear(o.freshSeries)
		o.freshSeries, o.requestRows = o.freshSeries[:0], nil
	}
}

// merge adds unordered fresh items to an ordered list.
func merge[T any](list, fresh []T, compare func(a, b T) int) []T {
	slices.SortFunc(fresh, compare)
	out := make([]T, 0, len(list)+len(fresh)+len(list)/8)
	for len(list) > 0 && len(fresh) > 0 {
		if compare(fresh[0], list[0]) < 0 {
			out, fresh = append(out, fresh[0]), fresh[1:]
		} else {
			out, list = append(out, list[0]), list[1:]
		}
	}
	return append(append(out, list...), fresh...)
}

// buildRequests renews the rows whose figures changed.
func (s *state) buildRequests() {
	o := &s.out
	changed := o.requestRows == nil
	for _, se := range o.series {
		if se.touched || se.warm {
			se.row = se.build(s)
			changed = true
		}
	}
	if !changed {
		return
	}
	rows := make([]*core.RequestRow, len(o.series))
	for i, se := range o.series {
		rows[i] = se.row
	}
	o.requestRows = rows
}

func (se *series) build(s *state) *core.RequestRow {
	row := &core.RequestRow{
		Service: se.svc.name, Role: se.role, Protocol: se.protocol, Peer: se.peer, TLS: se.tls,
		Method: se.method, Route: se.route, Status: int(se.status), Code: se.code, Error: se.err, Failed: se.failed, Stream: se.stream,
		Count: se.count, Partial: se.partial, BytesIn: se.in, BytesOut: se.out,
		Rate: se.rate.PerSecond(s.mono, s.startedMono), Last: s.wall(se.last),
	}
	if p := se.proc; p != nil {
		row.Proc = p.ProcKey
		if se.role == core.RoleServer && p.server.inFlight > 0 || se.role == core.RoleClient && p.client.inFlight > 0 {
			row.InFlight = -1
		}
	}
	if se.touched || se.row == nil {
		row.Duration, row.FirstByte = se.duration.Snapshot(), se.first.Snapshot()
	} else {
		row.Duration, row.FirstByte, row.Last = se.row.Duration, se.row.FirstByte, se.row.Last
	}
	se.touched, se.warm = false, !se.rate.Quiet(s.mono)
	return row
}

// buildRetired renews the sums of processes that are no longer listed.
func (s *state) buildRetired() {
	if !s.out.retired {
		return
	}
	s.out.retired = false
	var list []*series
	for _, svc := range s.services {
		for _, se := range svc.retired {
			if se.touched || se.row == nil {
				se.warm, se.touched = false, true
				se.row = se.build(s)
				se.row.Rate = 0
			}
			list = append(list, se)
		}
	}
	slices.SortFunc(list, compareSeries)
	rows := make([]*core.RequestRow, len(list))
	for i, se := range list {
		rows[i] = se.row
	}
	s.out.retiredRows = rows
}

// buildProcesses renews the rows that changed; figures only when full.
func (s *state) buildProcesses(full bool) {
	o := &s.out
	if o.lostProcs {
		o.procs = slices.DeleteFunc(o.procs, func(p *process) bool { return s.procs[p.ProcKey] != p })
		o.lostProcs, o.procRows = false, nil
	}
	changed := o.procRows == nil
	for _, p := range o.procs {
		if p.instrVersion != s.instrVersion && s.instrument(p) {
			p.structural = true
		}
		if p.structural || p.row == nil || full && (p.touched || p.stepped || !p.quiet(s.mono)) {
			p.row = p.build(s)
			changed = true
		}
	}
	if !changed {
		return
	}
	rows := make([]*core.ProcessRow, len(o.procs))
	for i, p := range o.procs {
		rows[i] = p.row
	}
	o.procRows = rows
}

// quiet reports whether time alone does not change the row's figures. It is
// true once more after the last change, so that rates come back to zero.
func (p *process) quiet(now int64) bool {
	quiet := p.server.quiet(now) && p.client.quiet(now) && (p.sampledAt == 0 || now-p.sampledAt > 2*int64(core.RateWindow))
	if quiet && p.warm {
		p.warm = false
		return false
	}
	p.warm = !quiet
	return quiet
}

func (p *process) build(s *state) *core.ProcessRow {
	row := &core.ProcessRow{
		Process: p.info, Alive: p.alive, Ended: p.ended, Exit: p.exit, CPURatio: p.cpu, Usage: p.usage,
		Values: render(p.values, s.mono), Instr: p.instr, Coverage: p.coverage,
	}
	row.Client = p.client.red(s)
	row.RateTrend, row.P99Trend, row.Heat = p.client.past(s)
	if p.server.count > 0 || p.client.count == 0 {
		row.Server = p.server.red(s)
		row.RateTrend, row.P99Trend, row.Heat = p.server.past(s)
		row.Latency = s.scratch.Snapshot()
	} else {
		row.Latency = s.scratch.Snapshot()
		row.Server = p.server.red(s)
	}
	if p.cpuLine != nil {
		if old := p.row; old != nil && old.CPUTrend != nil && p.trendStep == p.cpuStep {
			row.CPUTrend = old.CPUTrend
		} else {
			row.CPUTrend, p.trendStep = p.cpuLine.Trend(), p.cpuStep
		}
	}
	p.structural, p.touched, p.stepped = false, false, false
	return row
}

// buildServices renews the rows of services.
func (s *state) buildServices(full bool) {
	o := &s.out
	changed := o.services == nil
	if changed {
		o.services = slices.SortedFunc(maps.Values(s.services), func(a, b *service) int { return strings.Compare(a.name, b.name) })
	}
	for _, svc := range o.services {
		active := full && (svc.touched || svc.server.stepped || svc.client.stepped || !svc.quiet(s.mono))
		if svc.structural || active || svc.row == nil {
			svc.row = svc.build(s)
			svc.structural = false
			svc.touched = svc.touched && !full
			changed = true
		}
	}
	if !changed {
		return
	}
	rows := make([]*core.ServiceRow, 0, len(o.services))
	for _, svc := range o.services {
		if len(svc.row.PIDs) > 0 || svc.hasCounts() {
			rows = append(rows, svc.row)
		}
	}
	o.serviceRows = rows
}

func (svc *service) quiet(now int64) bool {
	quiet := svc.server.quiet(now) && svc.client.quiet(now)
	if quiet && svc.warm {
		svc.warm = false
		return false
	}
	svc.warm = !quiet
	return quiet
}

func (s *state) buildUnits() {
	o := &s.out
	if o.units == nil {
		o.units = slices.SortedFunc(maps.Values(s.units), func(a, b *core.UnitRow) int { return strings.Compare(a.ID, b.ID) })
	}
	if o.push == nil {
		o.push = slices.SortedFunc(maps.Values(s.pushes), func(a, b *core.PushRow) int {
			return strings.Compare(a.Destination, b.Destination)
		})
	}
	if o.servers == nil {
		o.servers = slices.SortedFunc(maps.Values(s.servers), func(a, b *core.IntegrationRow) int { return strings.Compare(a.ID, b.ID) })
	}
}
