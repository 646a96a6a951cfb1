package integrations

import (
	"os"
	"sync"
	"time"

	"vitals/core"
)

// maxNews bounds what waits besides processes.
const maxNews = 256

// news is something that the manager has to take in, with its lock held.
type news func(m *Manager, now time.Time)

// inbox takes what the manager is told without blocking whoever tells. Of several
// facts about a process the newest waits, so that it holds at most one for each.
type inbox struct {
	wake chan struct{}

	mu     sync.Mutex
	procs  map[core.ProcKey]*core.Process // nil: it ended, or does not listen any more
	spoken map[spoken]struct{}
	news   []news
	known  map[core.ProcKey]bool // processes that were told of
}

type spoken struct {
	key      core.ProcKey
	protocol string
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), procs: map[core.ProcKey]*core.Process{},
		spoken: map[spoken]struct{}{}, known: map[core.ProcKey]bool{}}
}

func (b *inbox) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put adds news; false when too many wait.
func (b *inbox) put(n news) bool {
	b.mu.Lock()
	fits := len(b.news) < maxNews
	if fits {
		b.news = append(b.news, n)
	}
	b.mu.Unlock()
	b.nudge()
	return fits
}

// process takes a process that listens, or nil for one that does not.
func (b *inbox) process(key core.ProcKey, p *core.Process) {
	b.mu.Lock()
	told := p != nil || b.known[key]
	if told {
		b.procs[key] = p
	}
	if p != nil {
		b.known[key] = true
	} else {
		delete(b.known, key)
	}
	b.mu.Unlock()
	if told {
		b.nudge()
	}
}

// take gives everything that waits to m, whose lock the caller holds.
func (b *inbox) take(m *Manager, now time.Time) {
	b.mu.Lock()
	procs, protocols, rest := b.procs, b.spoken, b.news
	b.procs, b.spoken, b.news = map[core.ProcKey]*core.Process{}, map[spoken]struct{}{}, nil
	b.mu.Unlock()
	for key, p := range procs {
		if p == nil {
			m.finder.forget(key)
		} else {
			m.finder.learn(p)
		}
	}
	for s := range protocols {
		m.finder.spoke(s.key, s.protocol)
	}
	for _, n := range rest {
		n(m, now)
	}
}

// ProcessUp tells of a process. It is cheap: only those that listen matter.
func (m *Manager) ProcessUp(p *core.Process) {
	if p.PID == int32(os.Getpid()) {
		return
	}
	if len(p.Listeners) == 0 || p.Skip != "" {
		m.in.process(p.ProcKey, nil)
		return
	}
	m.in.process(p.ProcKey, p)
}

// ProcessChanged tells that p replaces what was known of its process.
func (m *Manager) ProcessChanged(p *core.Process) { m.ProcessUp(p) }

// ProcessDown tells that a process ended.
func (m *Manager) ProcessDown(key core.ProcKey, _ core.Exit, _ time.Time) { m.in.process(key, nil) }

// Serves tells that a process was seen to answer a protocol. It is cheap.
func (m *Manager) Serves(key core.ProcKey, protocol string) {
	b := m.in
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.spoken) < 4*maxNews {
		b.spoken[spoken{key, protocol}] = struct{}{}
		b.nudge()
	}
}
