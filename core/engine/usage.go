package engine

import (
	"math"
	"slices"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// quietCPU is the share of a core below which a process has no CPU trend.
const quietCPU = 0.001

func unknownUsage(k core.ProcKey) core.Usage {
	return core.Usage{
		ProcKey: k, CPUUser: -1, CPUSystem: -1, RSS: -1, VSize: -1, Threads: -1, MinorFaults: -1, MajorFaults: -1,
		VoluntarySw: -1, InvoluntarySw: -1, ReadBytes: -1, WriteBytes: -1, FDs: -1,
	}
}

func (s *state) usage(b *batch[core.Usage]) {
	s.self.facts += uint64(len(b.items))
	s.usageAt = b.at
	for i := range b.items {
		if p := s.procs[b.items[i].ProcKey]; p != nil && p.ended.IsZero() {
			p.use(&b.items[i], b.at)
		}
	}
}

// use takes a reading. What only grows is added to the service as an increment,
// so that its sums survive the process.
func (p *process) use(u *core.Usage, at int64) {
	old := p.usage
	cpu := p.cpu
	if p.usageAt != 0 && u.CPUUser >= 0 && old.CPUUser >= 0 && at > p.usageAt {
		used := u.CPUUser + u.CPUSystem - old.CPUUser - old.CPUSystem
		cpu = math.Max(0, float64(used)/float64(at-p.usageAt))
	}
	p.usage, p.usageAt = *u, at
	stepped := p.cpuTrend(at)
	if *u == old && (cpu == p.cpu || math.IsNaN(cpu) && math.IsNaN(p.cpu)) && !stepped {
		return
	}
	p.cpu = cpu
	if p.svc != nil {
		addGrowth(&p.svc.usage, &old, u)
	}
	p.touch()
}

// cpuTrend ends a step of the CPU trend; it reports whether the trend changed.
func (p *process) cpuTrend(at int64) bool {
	step := at / int64(metric.Step)
	if step == p.cpuStep || p.usage.CPUUser < 0 {
		return false
	}
	total := p.usage.CPUUser + p.usage.CPUSystem
	ratio := math.NaN()
	if p.stepAt != 0 && at-p.stepAt < 2*int64(metric.Step) {
		ratio = math.Max(0, float64(total-p.stepCPU)/float64(at-p.stepAt))
	}
	p.cpuStep, p.stepCPU, p.stepAt = step, total, at
	if p.cpuLine == nil {
		if !(ratio >= quietCPU) {
			return false
		}
		p.cpuLine = metric.NewLine(metric.Steps, metric.Step)
	}
	p.cpuLine.Add(float32(ratio))
	if p.cpuLine.Below(quietCPU) {
		p.cpuLine = nil
	}
	return true
}

// grown lists the fields of a Usage that only grow.
func grown(u *core.Usage) [8]*int64 {
	return [8]*int64{
		&u.CPUUser, &u.CPUSystem, &u.MinorFaults, &u.MajorFaults,
		&u.VoluntarySw, &u.InvoluntarySw, &u.ReadBytes, &u.WriteBytes,
	}
}

// levels lists the fields of a Usage that are levels.
func levels(u *core.Usage) [4]*int64 { return [4]*int64{&u.RSS, &u.VSize, &u.Threads, &u.FDs} }

func addGrowth(sum, old, now *core.Usage) {
	s, o, n := grown(sum), grown(old), grown(now)
	for i := range s {
		if *n[i] < 0 {
			continue
		}
		*s[i] = max(0, *s[i]) + max(0, *n[i]-max(0, *o[i]))
	}
}

// value is one metric of a process, a service or the machine.
type value struct {
	desc  *core.Desc
	label string
	v     float64
	// before is what the counter was at the begin of the rate's window, next what
	// the next window begins with; gap is the time between the last two increments.
	before, next             float64
	beforeAt, nextAt, lastAt int64
	gap                      int64
}

// set takes a sample.
func (v *value) set(x float64, at int64) {
	if v.desc.Kind == core.Counter {
		v.add(x, at)
		return
	}
	v.v = x
}

// add grows a counter by what came since the increment before it. The rate's
// window begins with an increment that is 2.5 s to 5 s old, or with the one before
// where they are rarer.
func (v *value) add(x float64, at int64) {
	if x < 0 || math.IsNaN(x) {
		return
	}
	const half = int64(core.RateWindow) / 2
	switch gap := at - v.lastAt; {
	case v.lastAt == 0 || gap > silence: // nobody knows since when
		v.before, v.beforeAt, v.gap = v.v, at-half, half
		v.next, v.nextAt = v.v+x, at
	case at-v.nextAt >= half:
		v.before, v.beforeAt, v.gap = v.next, v.nextAt, gap
		v.next, v.nextAt = v.v+x, at
	default:
		v.gap = gap
	}
	v.v += x
	v.lastAt = at
}

// silence is how long nothing grows before an increment begins anew: longer than
// levels are apart without a screen.
const silence = int64(core.RateWindow + core.RateWindow/5)

// render tells the value and its rate, which is that of the time between
// increments until the next one is overdue, and falls from then on.
func (v *value) render(now int64) core.Value {
	out := core.Value{Desc: v.desc, Label: v.label, V: v.v}
	if v.desc.Kind != core.Counter || v.lastAt == 0 || now-v.lastAt >= silence {
		return out
	}
	until := v.lastAt
	if now-v.lastAt > v.gap+v.gap/2 {
		until = now
	}
	if until > v.beforeAt {
		out.Rate = (v.v - v.before) / time.Duration(until-v.beforeAt).Seconds()
	}
	return out
}

// valueIn finds or makes a value; the list is ordered by name and label.
func valueIn(list *[]value, d *core.Desc, label string) *value {
	i, found := slices.BinarySearchFunc(*list, value{desc: d, label: label}, compareValues)
	if !found {
		*list = slices.Insert(*list, i, value{desc: d, label: label})
	}
	return &(*list)[i]
}

func compareValues(a, b value) int {
	if a.desc != b.desc {
		if c := strings.Compare(a.desc.Name, b.desc.Name); c != 0 {
			return c
		}
	}
	return strings.Compare(a.label, b.label)
}

// maxValues bounds the metrics of one process: labels may come from outside.
const maxValues = 256

func (s *state) samples(b *batch[core.Sample]) {
	s.self.facts += uint64(len(b.items))
	for _, x := range b.items {
		if x.Desc == nil {
			continue
		}
		label := core.Clean(x.Label, core.MaxName)
		if x.Proc == (core.ProcKey{}) {
			if len(s.machine) < maxValues {
				valueIn(&s.machine, x.Desc, label).set(x.Value, b.at)
			}
			continue
		}
		p := s.procs[x.Proc]
		if p == nil {
			if p = s.gone.byKey[x.Proc]; p != nil { // its last words: only the service's sum is left
				if p.svc != nil && x.Desc.Kind == core.Counter {
					s.service(p.svc.name).value(x.Desc, label).add(x.Value, b.at)
				}
				continue
			}
			p = s.find(x.Proc)
		}
		p.sample(s.belong(p), x, label, b.at)
	}
}

func (p *process) sample(svc *service, x core.Sample, label string, at int64) {
	if len(p.values) >= maxValues {
		label = other
	}
	v := valueIn(&p.values, x.Desc, label)
	old := v.v
	v.set(x.Value, at)
	p.lastSeen = at
	if x.Desc.Kind == core.Counter && x.Value > 0 {
		svc.value(x.Desc, label).add(x.Value, at)
		p.sampledAt = at
	}
	if v.v != old {
		p.touch()
	}
}

func render(list []value, now int64) []core.Value {
	if len(list) == 0 {
		return nil
	}
	out := make([]core.Value, len(list))
	for i := range list {
		out[i] = list[i].render(now)
	}
	return out
}
