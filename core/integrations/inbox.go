package integrations

import (
	"os"
	"sync"
	"time"

	"vitals/core"
)

// news is something that the manager has to take in, with its lock held.
type news func(m *Manager, now time.Time)

// inbox takes news without blocking whoever tells.
type inbox struct {
	mu      *sync.Mutex
	pending *[]news
	wake    chan struct{}
	known   *sync.Map // core.ProcKey of processes that were told of
}

func newInbox() inbox {
	return inbox{mu: new(sync.Mutex), pending: new([]news), wake: make(chan struct{}, 1), known: new(sync.Map)}
}

func (b inbox) put(n news) {
	b.mu.Lock()
	*b.pending = append(*b.pending, n)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b inbox) take() []news {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := *b.pending
	*b.pending = nil
	return all
}

// ProcessUp tells of a process. It is cheap: only those that listen matter.
func (m *Manager) ProcessUp(p *core.Process) { m.process(p) }

// ProcessChanged tells that p replaces what was known of its process.
func (m *Manager) ProcessChanged(p *core.Process) { m.process(p) }

// ProcessDown tells that a process ended.
func (m *Manager) ProcessDown(key core.ProcKey, _ core.Exit, _ time.Time) {
	if _, known := m.in.known.LoadAndDelete(key); known {
		m.in.put(func(m *Manager, now time.Time) { m.finder.forget(key, now) })
	}
}

func (m *Manager) process(p *core.Process) {
	if p.PID == int32(os.Getpid()) {
		return
	}
	if len(p.Listeners) == 0 || p.Skip != "" {
		if _, known := m.in.known.LoadAndDelete(p.ProcKey); known {
			m.in.put(func(m *Manager, now time.Time) { m.finder.forget(p.ProcKey, now) })
		}
		return
	}
	m.in.known.Store(p.ProcKey, true)
	m.in.put(func(m *Manager, now time.Time) { m.finder.learn(p, now) })
}

// Serves tells that a process was seen to answer a protocol. It is cheap.
func (m *Manager) Serves(key core.ProcKey, protocol string) {
	m.in.put(func(m *Manager, now time.Time) { m.finder.spoke(key, protocol, now) })
}
