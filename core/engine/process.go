package engine

import (
	"math"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// process is one life of one process with all its counts.
type process struct {
	core.ProcKey
	info  *core.Process
	known bool // discovery has told of it
	alive bool
	ended time.Time
	exit  core.Exit
	svc   *service // nil while it has neither a name nor counts

	server, client side
	series         map[seriesKey]*series
	routes, peers  map[string]struct{}

	usage     core.Usage
	usageAt   int64 // 0 while unknown
	cpu       float64
	cpuStep   int64 // the step that stepCPU began
	stepCPU   int64
	stepAt    int64
	cpuLine   *metric.Line
	trendStep int64 // the step of the published trend
	values    []value
	sampledAt int64 // when a counter grew last
	coverage  core.Coverage

	instr        []core.InstrState
	instrVersion uint64
	instrState   instrSummary

	structural bool     // what it is changed: worth a snapshot of its own
	touched    bool     // figures changed
	warm       bool     // the recent figures of the row were not empty
	stepped    bool     // a step of its history ended
	forkOf     *process // a fork that is not told yet
	lastSeen   int64
	row        *core.ProcessRow
}

// touch says that figures of the row changed, of its service too.
func (p *process) touch() {
	p.touched = true
	if p.svc != nil {
		p.svc.touched = true
	}
}

func (p *process) hasCounts() bool { return len(p.series) > 0 }

func (p *process) closeSteps(s *state) {
	a, b := p.server.close(s), p.client.close(s)
	if a || b {
		p.stepped = true
	}
}

// processUp joins a process with what is already known of its key.
func (s *state) processUp(info *core.Process) {
	p := s.procs[info.ProcKey]
	if p == nil {
		p = s.newProcess(info.ProcKey)
	}
	again := p.known
	s.join(p, info)
	if p.ended.IsZero() {
		p.alive = true
		s.live[p.PID] = p
	}
	if !again && info.Started.After(s.started) {
		s.processBegan(p)
	}
}

func (s *state) processChanged(info *core.Process) {
	p := s.procs[info.ProcKey]
	if p == nil || !p.known {
		s.processUp(info)
		return
	}
	old := p.info
	s.join(p, info)
	if old.Exe != info.Exe || old.Cmdline != info.Cmdline {
		s.processExeced(p)
	}
}

// newProcess makes an entry of which only the key is known.
func (s *state) newProcess(k core.ProcKey) *process {
	p := &process{
		ProcKey: k, cpu: math.NaN(), structural: true, lastSeen: s.mono,
		info: &core.Process{ProcKey: k, Comm: "?", Service: unknownService},
	}
	p.usage = unknownUsage(k)
	p.instrVersion = s.instrVersion - 1
	s.procs[k] = p
	s.out.freshProcs = append(s.out.freshProcs, p)
	return p
}

// join gives a process its description and its service.
func (s *state) join(p *process, info *core.Process) {
	s.dropListeners(p)
	p.info, p.known = info, true
	p.structural, p.touched = true, true
	p.instrVersion = s.instrVersion - 1
	s.addListeners(p)
	s.urgent = true
	if info.Service == "" {
		return
	}
	to := s.service(info.Service)
	if p.svc == to {
		to.structural = true
		return
	}
	from := p.svc
	p.svc = to
	to.add(p)
	s.arrived(p)
	if from == nil {
		return
	}
	from.remove(p)
	if from.name == unknownService {
		s.moveCounts(p, from, to)
	}
}

// belong makes sure that what p does is counted for some service.
func (s *state) belong(p *process) *service {
	if p.svc == nil {
		p.svc = s.service(unknownService)
		p.svc.add(p)
	}
	return p.svc
}

// moveCounts gives a service what a process did while its service was unknown.
func (s *state) moveCounts(p *process, from, to *service) {
	for _, d := range []struct{ own, old, new *side }{
		{&p.server, &from.server, &to.server}, {&p.client, &from.client, &to.client},
	} {
		if d.own.recent == nil {
			continue
		}
		if d.new.recent == nil {
			d.new.recent = &metric.Recent{}
		}
		d.new.recent.Absorb(d.own.recent)
		d.new.count += d.own.count
		d.new.errors += d.own.errors
		d.old.count -= min(d.old.count, d.own.count)
		d.old.errors -= min(d.old.errors, d.own.errors)
	}
	for i := range p.values {
		if v := &p.values[i]; v.desc.Kind == core.Counter {
			to.value(v.desc, v.label).add(v.v, s.mono)
			old := from.value(v.desc, v.label)
			old.v = max(0, old.v-v.v)
		}
	}
	moved := p.series
	p.series = make(map[seriesKey]*series, len(moved))
	for _, se := range moved {
		if se.svc == from {
			s.disconnect(se)
			se.svc, se.touched = to, true
			from.live--
			to.live++
			if se.role == core.RoleServer {
				moveSpoken(se, from, to)
			}
		}
		p.series[se.seriesKey] = se
	}
	s.rename(p, from, to)
	from.coverage.Subtract(&p.coverage)
	to.coverage.Add(&p.coverage)
	s.out.resort = true
	s.portsAt = true
	from.touched = true
}

// find returns the process of a key that traffic names: a live one, one that
// ended a moment ago, or a new placeholder.
func (s *state) find(k core.ProcKey) *process {
	if s.last != nil && s.last.ProcKey == k {
		return s.last
	}
	p := s.procs[k]
	if p == nil {
		if p = s.gone.take(k); p != nil {
			s.revive(p)
		} else {
			p = s.newProcess(k)
		}
	}
	s.last = p
	return p
}

// revive lists a process again that ended before its last requests were told.
func (s *state) revive(p *process) {
	s.procs[p.ProcKey] = p
	s.out.freshProcs = append(s.out.freshProcs, p)
	s.ended = append(s.ended, p)
	p.structural = true
	p.instrVersion = s.instrVersion - 1
	if p.svc != nil {
		p.svc = s.service(p.svc.name)
		p.svc.add(p)
	}
}

func (s *state) processDown(k core.ProcKey, exit core.Exit, at time.Time) {
	p := s.procs[k]
	if p == nil || !p.ended.IsZero() {
		return
	}
	p.alive, p.ended, p.exit = false, at, exit
	if s.live[k.PID] == p {
		delete(s.live, k.PID)
	}
	p.cpu = math.NaN()
	p.server.inFlight, p.client.inFlight = 0, 0
	p.structural, p.touched = true, true
	p.instrVersion = s.instrVersion - 1
	s.dropListeners(p)
	if p.svc != nil {
		p.svc.structural = true
	}
	if p.known {
		s.processEnded(p)
	}
	s.urgent = true
	if !p.hasCounts() {
		s.bury(p)
		return
	}
	s.ended = append(s.ended, p)
	if len(s.ended) > s.cfg.Limits.Ended {
		s.retire(s.ended[0])
		s.ended = s.ended[1:]
		s.faded = max(s.faded-1, 0)
	}
}

// fadeAfter is how long an ended process keeps its recent figures and histories:
// until the windows are empty. They are most of its memory.
const fadeAfter = 15 * time.Second

// fade leaves ended processes their counts only.
func (s *state) fade() {
	for ; s.faded < len(s.ended) && s.now.Sub(s.ended[s.faded].ended) >= fadeAfter; s.faded++ {
		p := s.ended[s.faded]
		p.server.forget()
		p.client.forget()
		p.cpuLine = nil
		p.touch()
	}
}

// expire forgets processes that ended long enough ago, and placeholders that
// nobody explained.
func (s *state) expire() {
	n := 0
	for n < len(s.ended) && s.now.Sub(s.ended[n].ended) >= s.cfg.Grace {
		s.retire(s.ended[n])
		n++
	}
	if n > 0 {
		s.ended = append(s.ended[:0], s.ended[n:]...)
		s.faded = max(s.faded-n, 0)
	}
	s.fade()
	for _, p := range s.procs {
		if !p.known && s.mono-p.lastSeen > int64(s.cfg.Grace) || !p.known && !p.hasCounts() && s.mono-p.lastSeen > graveFor {
			s.retire(p)
		}
	}
	s.gone.expire(s.mono)
	s.expireServices()
}

// retire forgets a process; its counts stay with its services.
func (s *state) retire(p *process) {
	for _, se := range p.series {
		s.retireSeries(se)
	}
	p.series = nil
	s.remove(p)
}

// bury forgets a process without counts, but keeps who it was for a while:
// what it said may still be under way.
func (s *state) bury(p *process) {
	s.remove(p)
	p.row, p.instr, p.cpuLine = nil, nil, nil
	s.gone.put(p, s.mono)
}

func (s *state) remove(p *process) {
	delete(s.procs, p.ProcKey)
	if s.live[p.PID] == p {
		delete(s.live, p.PID)
	}
	if s.last == p {
		s.last = nil
	}
	if p.svc != nil {
		p.svc.remove(p)
	}
	s.out.lostProcs = true
}
