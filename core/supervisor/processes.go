package supervisor

import (
	"fmt"
	"math/bits"

	"vitals/core"
)

// table knows every process and for which kinds it is on: one bit for each
// (process, kind). The loop owns it.
type table struct {
	members   map[int32]*member
	kinds     []*kind // a kind's bit is its index
	toggles   *core.Toggles
	seen      bool // a process has ever been told of
	countsDue bool
}

// maxKinds is how many kinds fit the bit sets; there are about twenty.
const maxKinds = 64

type member struct {
	proc *core.Process
	on   uint64 // kinds that are on for it
	// marked are kinds for which the kernel may hold an exception for this
	// process: set by us, or inherited from its parent at fork.
	marked uint64
}

type kind struct {
	name    string
	bit     uint64
	machine bool // what holds for a process of no service and no group
	users   int  // processes for which it is on
	sels    map[string]*selection
}

func newTable() *table { return &table{members: make(map[int32]*member)} }

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

// put takes in a new or changed process. When its pid belonged to an earlier
// process whose end was missed, that one is dropped and returned.
func (t *table) put(p *core.Process) (replaced core.ProcKey, reused bool) {
	t.seen = true
	m := t.members[p.PID]
	if m != nil && m.proc.ProcKey != p.ProcKey {
		replaced, reused = m.proc.ProcKey, true
		t.drop(replaced)
		m = nil
	}
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
	return replaced, reused
}

// inherit accounts for what the kernel copied from the parent at fork: the
// child is decided by itself, so the copy is cleared. A child whose parent is
// gone, or that was given to init, may have a copy of anything.
func (t *table) inherit(m *member) {
	copied := ^uint64(0)
	if parent := t.members[m.proc.PPID]; parent != nil && m.proc.PPID > 1 {
		copied = parent.marked
		m.marked = copied
	}
	if copied == 0 {
		return
	}
	for _, k := range t.kinds {
		if copied&k.bit != 0 {
			k.each(func(s *selection) { s.clear(m.proc.ProcKey) })
		}
	}
}

// executed reports whether b runs another program than a.
func executed(a, b *core.Process) bool { return a.Exe != b.Exe || a.Cmdline != b.Cmdline }

// repeat tells the exceptions of m again: an exec may have dropped them.
func (t *table) repeat(m *member) {
	for _, k := range t.kinds {
		if m.marked&k.bit != 0 {
			k.each(func(s *selection) { s.repeat(m.proc.ProcKey) })
		}
	}
}

// drop forgets a process; false when it was not known.
func (t *table) drop(key core.ProcKey) bool {
	m := t.members[key.PID]
	if m == nil || m.proc.ProcKey != key {
		return false
	}
	delete(t.members, key.PID)
	for _, k := range t.kinds {
		if m.on&k.bit != 0 {
			k.users--
		}
		if m.marked&k.bit != 0 {
			k.each(func(s *selection) { s.clear(key) })
		}
	}
	return true
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
		m.marked |= k.bit
		k.each(func(s *selection) { s.set(key, on) })
	case m.marked&k.bit != 0:
		k.each(func(s *selection) { s.unset(key) })
	}
}

// setToggles reconsiders every process for every kind.
func (t *table) setToggles(now *core.Toggles) {
	t.toggles = now
	for _, k := range t.kinds {
		t.review(k)
	}
}

// switched reconsiders exactly what a changed choice can reach.
func (t *table) switched(now *core.Toggles, key core.ToggleKey) {
	t.toggles = now
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
	k.machine = t.toggles.Decide(k.name, &core.Process{}).On
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
