package supervisor

import (
	"sync"

	"vitals/core"
)

// inbox takes facts about processes without ever blocking the teller. Of
// several facts about one process only the newest waits, so it holds at most
// one entry for each process that the loop has not looked at yet.
type inbox struct {
	mu      sync.Mutex
	pending map[core.ProcKey]*core.Process // nil: the process ended
	spare   map[core.ProcKey]*core.Process
	wake    chan struct{}
}

func newInbox() *inbox {
	return &inbox{
		pending: make(map[core.ProcKey]*core.Process),
		spare:   make(map[core.ProcKey]*core.Process),
		wake:    make(chan struct{}, 1),
	}
}

func (b *inbox) put(key core.ProcKey, p *core.Process) {
	b.mu.Lock()
	b.pending[key] = p
	b.mu.Unlock()
	nudge(b.wake)
}

// take returns all that waits; the map is valid until the next take.
func (b *inbox) take() map[core.ProcKey]*core.Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.pending
	clear(b.spare)
	b.pending, b.spare = b.spare, taken
	return taken
}

// nudge wakes whoever waits on a channel of capacity one.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
