package kern

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"vitals/core"
)

// How the meter looks: statistics double the price of a hook while they are on.
const (
	meterPeriod = 15 * time.Second
	meterWindow = time.Second
	// meterSoon is when a program that has just come is looked at.
	meterSoon = 2 * time.Second
)

// Meter knows what our programs cost. The kernel measures the run time of
// programs while its statistics are on; Run switches them on for one second in
// fifteen and counts only what was measured then, even when somebody else leaves
// them on. Misses are counted always.
//
// All methods are safe for concurrent use.
type Meter struct {
	mu      sync.Mutex
	tracked []*tracked
	soon    chan struct{}
}

type tracked struct {
	core.Program
	prog   *ebpf.Program
	id     ebpf.ProgramID
	before ebpf.ProgramStats
	in     bool // was there when the window began
}

// NewMeter makes a meter without programs.
func NewMeter() *Meter { return &Meter{soon: make(chan struct{}, 1)} }

// Track adds a program until the returned function is called, which must happen
// before the program is closed. attached says where it hangs: "tp_btf/sched_process_exec".
func (m *Meter) Track(unit, attached string, prog *ebpf.Program) (untrack func()) {
	t := &tracked{prog: prog, Program: core.Program{Unit: unit, Name: unit, Attached: attached}}
	m.mu.Lock()
	defer m.mu.Unlock()
	if info, err := prog.Info(); err == nil {
		t.Name = cmp.Or(info.Name, unit)
		t.id, _ = info.ID()
		t.MapBytes = m.mapBytes(info)
	}
	m.tracked = append(m.tracked, t)
	select {
	case m.soon <- struct{}{}:
	default:
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tracked = slices.DeleteFunc(m.tracked, func(x *tracked) bool { return x == t })
	}
}

// mapBytes adds up the memory of a program's maps, those left out that an
// earlier program is charged for, so that the sum over programs is true.
func (m *Meter) mapBytes(info *ebpf.ProgramInfo) uint64 {
	ids, _ := info.MapIDs()
	var sum uint64
	for _, id := range ids {
		if m.charged(id) {
			continue
		}
		mp, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue
		}
		if mi, err := mp.Info(); err == nil {
			bytes, _ := mi.Memlock()
			sum += bytes
		}
		mp.Close()
	}
	return sum
}

func (m *Meter) charged(id ebpf.MapID) bool {
	for _, t := range m.tracked {
		info, err := t.prog.Info()
		if err != nil {
			continue
		}
		if ids, _ := info.MapIDs(); slices.Contains(ids, id) {
			return true
		}
	}
	return false
}

// Programs lists all programs by unit and name. It asks the kernel nothing.
func (m *Meter) Programs() []core.Program { return m.list("") }

// Of lists the programs of one unit.
func (m *Meter) Of(unit string) []core.Program { return m.list(unit) }

func (m *Meter) list(unit string) []core.Program {
	m.mu.Lock()
	list := make([]core.Program, 0, len(m.tracked))
	for _, t := range m.tracked {
		if unit == "" || t.Unit == unit {
			list = append(list, t.Program)
		}
	}
	m.mu.Unlock()
	slices.SortStableFunc(list, func(a, b core.Program) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Run measures until ctx ends, then returns nil. Where statistics cannot be
// switched on (they need CAP_SYS_ADMIN) it returns why, and costs stay unknown.
func (m *Meter) Run(ctx context.Context) error {
	next := time.NewTimer(meterSoon)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.soon:
			next.Reset(meterSoon)
			continue
		case <-next.C:
		}
		if err := m.measure(ctx, meterWindow); err != nil {
			return err
		}
		next.Reset(meterPeriod - meterWindow)
	}
}

// measure switches statistics on for a window and adds up what ran in it. With
// nothing to measure it leaves the kernel alone.
func (m *Meter) measure(ctx context.Context, window time.Duration) error {
	m.mu.Lock()
	idle := len(m.tracked) == 0
	m.mu.Unlock()
	if idle {
		return nil
	}
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		if errors.Is(err, unix.EPERM) { // the one thing that CAP_BPF and CAP_PERFMON do not allow
			return unsupported(fmt.Errorf("switch on run-time statistics: %w", err), "give it CAP_SYS_ADMIN; all else works without")
		}
		return Explain("switch on run-time statistics", err)
	}
	defer stats.Close()
	begun := time.Now()
	m.each(func(t *tracked, now ebpf.ProgramStats) { t.before, t.in = now, true })
	select {
	case <-ctx.Done():
	case <-time.After(window):
	}
	measured := time.Since(begun)
	m.each(func(t *tracked, now ebpf.ProgramStats) {
		t.Misses = now.RecursionMisses
		if !t.in {
			return
		}
		t.in = false
		t.RunTime += now.Runtime - t.before.Runtime
		t.Runs += now.RunCount - t.before.RunCount
		t.Measured += measured
	})
	return nil
}

func (m *Meter) each(f func(*tracked, ebpf.ProgramStats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tracked {
		if now, err := t.prog.Stats(); err == nil {
			f(t, *now)
		}
	}
}
