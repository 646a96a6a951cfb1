package supervisor

import (
	"cmp"
	"slices"
	"sync"

	"vitals/core"
)

// inbox takes facts about processes without ever blocking the teller. Of
// several facts about one pid only the newest waits, so it holds at most one
// for each pid, however long the loop is busy.
type inbox struct {
	mu      sync.Mutex
	pending map[int32]fact
	taken   []fact // reused from take to take
	wake    chan struct{}
}

// fact is the newest of a pid.
type fact struct {
	key  core.ProcKey
	proc *core.Process // nil: it ended
}

func newInbox() *inbox {
	return &inbox{pending: make(map[int32]fact), wake: make(chan struct{}, 1)}
}

func (b *inbox) put(f fact) {
	b.mu.Lock()
	if b.pending[f.key.PID].key.Birth <= f.key.Birth { // else late news of an earlier owner of the pid
		b.pending[f.key.PID] = f
	}
	b.mu.Unlock()
	nudge(b.wake)
}

// take returns all that waits, parents before their children. It is valid until
// the next take.
func (b *inbox) take() []fact {
	b.mu.Lock()
	b.taken = b.taken[:0]
	for _, f := range b.pending {
		b.taken = append(b.taken, f)
	}
	clear(b.pending)
	b.mu.Unlock()
	slices.SortFunc(b.taken, func(x, y fact) int {
		return cmp.Or(cmp.Compare(x.key.Birth, y.key.Birth), cmp.Compare(x.key.PID, y.key.PID))
	})
	return b.taken
}

// nudge wakes whoever waits on a channel of capacity one.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
