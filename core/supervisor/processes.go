package supervisor

import (
	"fmt"
	"math/bits"
	"time"

	"vitals/core"
)

// table knows every process and for which kinds it is on: one bit for each
// (process, kind). The loop owns it.
type table struct {
	members   map[int32]*member
	kinds     []*kind // a kind's bit is its index
	toggles   *core.Toggles
	now       time.Time // of the batch of facts, or of the choice, in hand
	seen      bool      // a process has ever been told of
	only      bool      // see Config.Only
	countsDue bool
	settings  map[place]core.Settings
	tunings   map[string]*tuning // by unit id
}

// maxKinds is how many kinds fit the bit sets; there are about twenty.
const maxKinds = 64

type member struct {
	proc *core.Process
	on   uint64 // kinds that are on for it
	exc  uint64 // kinds for which it is an exception
	// copied are kinds for which the kernel may hold an exception that is none:
	// inherited from the parent at fork, or being removed. Units are told to
	// clear it; children born before that is done, at most until fresh, may
	// have got a copy.
	copied uint64
	fresh  time.Time
	// settings hold for it; tuned when they are not those of all processes.
	settings core.Settings
	tuned    bool
}

// copyTime is how long a unit has to clear an exception before children are
// taken to be born without it.
const copyTime = 10 * time.Second

// stale returns the kinds for which the kernel may hold an exception.
func (m *member) stale(now time.Time) uint64 {
	if now.After(m.fresh) {
		return m.exc
	}
	return m.exc | m.copied
}

type kind struct {
	name    string
	bit     uint64
	machine bool // what holds for a process of no service and no group, and for those not told of
	users   int  // processes for which it is on
	sels    map[string]*selection
}

func newTable() *table {
	return &table{members: make(map[int32]*member), settings: make(map[place]core.Settings), tunings: make(map[string]*tuning)}
}

// users returns how many processes a kind is on for.
func (t *table) users(name string) int {
	if k := t.kind(name); k != nil {
		return k.users
	}
	return 0
}

func (t *table) kind(name string) *kind {
	for _, k := range t.kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// enlist lets a unit's selection follow a kind from now on.
func (t *table) enlist(id, name string, sel *selection) error {
	k := t.kind(name)
	if k == nil {
		if len(t.kinds) == maxKinds {
			return fmt.Errorf("kind %s: there are %d kinds already, the limit", name, maxKinds)
		}
		k = &kind{name: name, bit: 1 << len(t.kinds), sels: make(map[string]*selection)}
		t.kinds = append(t.kinds, k)
	}
	k.sels[id] = sel
	t.review(k)
	return nil
}

// discharge ends what enlist began.
func (t *table) discharge(id, name string) {
	if k := t.kind(name); k != nil {
		delete(k.sels, id)
	}
}

// take brings the table up to date with a fact. When a process ended by it,
// which may be an earlier owner of the pid whose end was missed, it is returned.
func (t *table) take(f fact) (ended core.ProcKey, ends bool) {
	m := t.members[f.key.PID]
	switch {
	case m != nil && m.proc.Birth > f.key.Birth: // late news of an earlier owner
		return ended, false
	case m != nil && (f.proc == nil || m.proc.Birth < f.key.Birth):
		ended, ends = m.proc.ProcKey, true
		t.drop(m)
	}
	if f.proc != nil {
		t.put(f.proc)
	}
	return ended, ends
}

// put takes in a new or changed process.
func (t *table) put(p *core.Process) {
	t.seen = true
	m := t.members[p.PID]
	if m == nil {
		m = &member{proc: p}
		t.members[p.PID] = m
		t.inherit(m)
	} else {
		if executed(m.proc, p) {
			t.repeat(m)
		}
		m.proc = p
	}
	for _, k := range t.kinds {
		t.decide(m, k)
	}
	t.tune(m)
}

// inherit accounts for what the kernel copied from the parent at fork: the
// child is decided by itself, so the copy is cleared. A child whose parent is
// gone, or that was given to init, may have a copy of anything.
func (t *table) inherit(m *member) {
	m.copied = ^uint64(0)
	if parent := t.members[m.proc.PPID]; parent != nil && m.proc.PPID > 1 {
		m.copied = parent.stale(t.now)
	}
	if m.copied == 0 {
		return
	}
	m.fresh = t.now.Add(copyTime)
	for _, k := range t.kinds {
		if m.copied&k.bit != 0 {
			k.each(func(s *selection) { s.clear(m.proc.ProcKey) })
		}
	}
}

// executed reports whether b runs another program than a.
func executed(a, b *core.Process) bool { return a.Exe != b.Exe || a.Cmdline != b.Cmdline }

// repeat tells the exceptions of m again: an exec may have dropped them.
func (t *table) repeat(m *member) {
	for _, k := range t.kinds {
		if m.exc&k.bit != 0 {
			k.each(func(s *selection) { s.repeat(m.proc.ProcKey) })
		}
	}
}

// drop forgets a process.
func (t *table) drop(m *member) {
	key := m.proc.ProcKey
	delete(t.members, key.PID)
	for _, k := range t.kinds {
		if m.on&k.bit != 0 {
			k.users--
		}
		if m.stale(t.now)&k.bit != 0 {
			k.each(func(s *selection) { s.clear(key) })
		}
	}
	if m.tuned {
		for _, tn := range t.tunings {
			tn.unset(key)
		}
	}
}

// decide brings a (process, kind) up to date with the toggles.
func (t *table) decide(m *member, k *kind) {
	on := t.toggles.Decide(k.name, m.proc).On
	if on != (m.on&k.bit != 0) {
		m.on ^= k.bit
		if on {
			k.users++
		} else {
			k.users--
		}
	}
	key := m.proc.ProcKey
	switch {
	case on != k.machine:
		m.exc |= k.bit
		k.each(func(s *selection) { s.set(key, on) })
	case m.exc&k.bit != 0:
		m.exc &^= k.bit
		m.copied, m.fresh = m.stale(t.now)|k.bit, t.now.Add(copyTime)
		k.each(func(s *selection) { s.unset(key) })
	}
}

// setToggles reconsiders every process for every kind.
func (t *table) setToggles(to *core.Toggles) {
	t.toggles, t.now = to, time.Now()
	for _, k := range t.kinds {
		t.review(k)
	}
}

// switched reconsiders exactly what a changed choice can reach.
func (t *table) switched(to *core.Toggles, key core.ToggleKey) {
	t.toggles, t.now = to, time.Now()
	k := t.kind(key.Kind)
	if k == nil {
		return
	}
	switch key.Scope {
	case core.ScopeProcess:
		if m := t.members[key.Proc.PID]; m != nil {
			t.decide(m, k)
		}
	case core.ScopeService, core.ScopeGroup:
		for _, m := range t.members {
			if m.proc.Service == key.Target || m.proc.Group == key.Target {
				t.decide(m, k)
			}
		}
	default:
		t.review(k)
	}
}

// review reconsiders every process for one kind.
func (t *table) review(k *kind) {
	k.machine = !t.only && t.toggles.Decide(k.name, &core.Process{}).On
	k.each(func(s *selection) { s.setDefault(k.machine) })
	for _, m := range t.members {
		t.decide(m, k)
	}
}

func (k *kind) each(f func(*selection)) {
	for _, s := range k.sels {
		f(s)
	}
}

// find returns a live process.
func (t *table) find(key core.ProcKey) *core.Process {
	if m := t.members[key.PID]; m != nil && m.proc.ProcKey == key {
		return m.proc
	}
	return nil
}

// recounted counts the users of a kind from scratch; tests hold it against users.
func (t *table) recounted(name string) int {
	k, n := t.kind(name), 0
	for _, m := range t.members {
		if k != nil {
			n += bits.OnesCount64(m.on & k.bit)
		}
	}
	return n
}
