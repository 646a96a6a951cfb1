package engine

import (
	"cmp"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// selfMeter knows what vitals itself costs and has lost.
type selfMeter struct {
	facts       uint64
	coverage    core.Coverage
	lost        map[string]uint64
	lostChanged bool
	shown       map[string]uint64 // published, never written
	notice      string
	others      []int32

	own      OwnUsage
	readCPU  time.Duration
	readAt   time.Time
	cpuRatio float64

	queue    int // facts that wait
	calls    []core.CallRow
	programs []core.Program
	seen     map[programKey]core.Program
	bpf      map[programKey]float64
	bpfRatio float64
}

type programKey struct{ unit, name string }

func (m *selfMeter) init(cfg Config) {
	m.lost = map[string]uint64{}
	m.seen = map[programKey]core.Program{}
	m.bpf = map[programKey]float64{}
	m.notice, m.others = cfg.Notice, cfg.Others
	m.cpuRatio, m.bpfRatio = math.NaN(), math.NaN()
	m.own = cfg.Own()
	m.readCPU, m.readAt = m.own.CPU, cfg.Now()
}

func (m *selfMeter) tick(s *state) {
	m.own = s.cfg.Own()
	if d := s.now.Sub(m.readAt); d >= time.Second/2 {
		m.cpuRatio = float64(m.own.CPU-m.readCPU) / float64(d)
		m.readCPU, m.readAt = m.own.CPU, s.now
	}
	m.readPrograms(s)
	m.calls = s.cfg.Calls()
}

// readPrograms turns run times into a share of one core: what a program ran per
// second in which the kernel measured it.
func (m *selfMeter) readPrograms(s *state) {
	list := slices.Clone(s.cfg.Programs())
	slices.SortFunc(list, func(a, b core.Program) int {
		return cmp.Or(strings.Compare(a.Unit, b.Unit), strings.Compare(a.Name, b.Name))
	})
	m.programs = list
	m.bpfRatio = math.NaN()
	current := make(map[programKey]bool, len(list))
	for i := range list {
		p := &list[i]
		key := programKey{p.Unit, p.Name}
		current[key] = true
		old := m.seen[key]
		if p.Measured < old.Measured || p.Misses < old.Misses { // attached anew
			old = core.Program{}
		}
		if measured := p.Measured - old.Measured; measured > 0 {
			m.bpf[key] = float64(p.RunTime-old.RunTime) / float64(measured)
		}
		if missed := p.Misses - old.Misses; missed > 0 {
			s.addLost("hook", "recursion", missed)
		}
		m.seen[key] = *p
		p.Ratio = math.NaN()
		if r, ok := m.bpf[key]; ok {
			p.Ratio = r
			m.bpfRatio = orZero(m.bpfRatio) + r
		}
	}
	for key := range m.seen {
		if !current[key] {
			delete(m.seen, key)
			delete(m.bpf, key)
		}
	}
}

func (m *selfMeter) totalLost() (n uint64) {
	for _, v := range m.lost {
		n += v
	}
	return n
}

func (m *selfMeter) whereLost() string {
	return strings.Join(slices.Sorted(maps.Keys(m.lost)), ", ")
}

func (m *selfMeter) build(s *state) core.Self {
	if m.lostChanged {
		m.shown, m.lostChanged = maps.Clone(m.lost), false
	}
	self := core.Self{
		PID: int32(os.Getpid()), Version: s.cfg.Version, Privileged: s.cfg.Privileged,
		CPURatio: m.cpuRatio, BPFRatio: m.bpfRatio, RSSBytes: m.own.RSSBytes, Goroutines: m.own.Goroutines, Queue: m.queue,
		Events: m.facts, Lost: m.shown, LostTotal: m.totalLost(), Folded: s.folded,
		Completeness: math.NaN(), Coverage: m.coverage, Notice: m.notice, Others: m.others,
	}
	// Exchanges may or may not include what was lost on the way.
	if all := max(m.coverage.Exchanges, m.coverage.Parsed+m.coverage.Lost); all > 0 {
		self.Completeness = float64(m.coverage.Parsed) / float64(all)
	}
	return self
}

// totals is the machine in a few numbers.
type totals struct {
	server, client      side
	second              int64
	rate, err, p99, cpu *metric.Line
	shown               core.Totals
}

// totalPoints is five minutes by the second.
const totalPoints = 300

func (t *totals) init() {
	line := func() *metric.Line { return metric.NewLine(totalPoints, time.Second) }
	t.rate, t.err, t.p99, t.cpu = line(), line(), line(), line()
}

// main is the side that the machine's trends show: the server's when anything serves.
func (t *totals) main() *side {
	if t.server.count > 0 || t.client.count == 0 {
		return &t.server
	}
	return &t.client
}

func (t *totals) tick(s *state) {
	t.server.close(s)
	t.client.close(s)
	sec := s.mono / int64(time.Second)
	if sec == t.second {
		return
	}
	for missed := min(sec-t.second, totalPoints); t.second != 0 && missed > 1; missed-- {
		t.add(math.NaN(), math.NaN(), math.NaN(), math.NaN()) // nobody looked
	}
	t.second = sec
	rate, errs, p99 := float32(0), float32(math.NaN()), float32(math.NaN())
	if d := t.main(); d.recent != nil {
		rate, errs, p99 = d.recent.LastSecond(s.mono, &s.scratch)
	}
	t.add(float64(rate), float64(errs), float64(p99), s.machineCPU())
}

func (t *totals) add(rate, err, p99, cpu float64) {
	t.rate.Add(float32(rate))
	t.err.Add(float32(err))
	t.p99.Add(float32(p99))
	t.cpu.Add(float32(cpu))
}

// machineCPU is the share of the machine that its processes use.
func (s *state) machineCPU() float64 {
	sum := math.NaN()
	for _, p := range s.procs {
		if !math.IsNaN(p.cpu) {
			sum = orZero(sum) + p.cpu
		}
	}
	return math.Min(1, sum/float64(max(1, s.cfg.Host.CPUs)))
}

// build renders the totals; the recent figures only when full.
func (t *totals) build(s *state, full bool) core.Totals {
	out := &t.shown
	out.Processes, out.Instrumented, out.Attaching, out.Failed = 0, 0, 0, 0
	for _, p := range s.out.procs {
		if !p.alive {
			continue
		}
		out.Processes++
		switch {
		case p.instrState.on:
			out.Instrumented++
		case p.instrState.attaching:
			out.Attaching++
		case p.instrState.failed:
			out.Failed++
		}
	}
	if !full {
		return *out
	}
	out.CPURatio = s.machineCPU()
	out.RateTrend, out.ErrTrend, out.P99Trend, out.CPUTrend = t.rate.Trend(), t.err.Trend(), t.p99.Trend(), t.cpu.Trend()
	out.Client = t.client.red(s)
	latency := s.scratch.Snapshot()
	out.Server = t.server.red(s)
	if t.main() == &t.server {
		latency = s.scratch.Snapshot()
	}
	out.Latency = latency
	if d := t.main(); d.recent != nil {
		out.Heat = d.recent.Heat()
	}
	for _, p := range s.out.procs {
		if p.server.inFlight+p.client.inFlight == 0 {
			continue
		}
		for _, f := range []struct {
			own *side
			red *core.RED
		}{{&p.server, &out.Server}, {&p.client, &out.Client}} {
			f.red.InFlight += f.own.inFlight
			if f.own.inFlight > 0 {
				f.red.Oldest = max(f.red.Oldest, time.Duration(max(0, s.mono-f.own.oldest)))
			}
		}
	}
	return *out
}
