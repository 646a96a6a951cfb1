package kern

import (
	"sync"

	"vitals/core"
)

// maxNewcomers is how many processes wait for one listener at most.
const maxNewcomers = 4096

// Newcomers tells units of processes that discovery found, or that became
// another program. Its methods may be called from any goroutine; the nil
// Newcomers tells nobody.
type Newcomers struct {
	mu        sync.Mutex
	listeners map[*Listener]struct{}
}

// Listener is what one unit has not taken yet.
type Listener struct {
	from *Newcomers
	mu   sync.Mutex
	came []*core.Process
	went []core.ProcKey
	all  bool
	wake chan struct{}
}

// Came tells of a process. p must not change.
func (n *Newcomers) Came(p *core.Process) {
	n.each(func(l *Listener) {
		if len(l.came) >= maxNewcomers {
			l.all, l.came = true, nil
		}
		if !l.all {
			l.came = append(l.came, p)
		}
	})
}

// Went tells that a process ended.
func (n *Newcomers) Went(k core.ProcKey) {
	n.each(func(l *Listener) {
		if len(l.went) < maxNewcomers {
			l.went = append(l.went, k)
		} else {
			l.all = true
		}
	})
}

func (n *Newcomers) each(f func(*Listener)) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.listeners {
		l.mu.Lock()
		f(l)
		l.mu.Unlock()
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Listen begins to listen; Close ends it.
func (n *Newcomers) Listen() *Listener {
	l := &Listener{from: n, wake: make(chan struct{}, 1)}
	if n == nil {
		return l
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = make(map[*Listener]struct{})
	}
	n.listeners[l] = struct{}{}
	return l
}

// Wake gives a value when there is something to take.
func (l *Listener) Wake() <-chan struct{} { return l.wake }

// Take gives who came and who went since the last Take. all says that there were
// too many to list: look at every process.
func (l *Listener) Take() (came []*core.Process, went []core.ProcKey, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	came, went, all = l.came, l.went, l.all
	l.came, l.went, l.all = nil, nil, false
	return came, went, all
}

// Close ends listening.
func (l *Listener) Close() {
	if l.from == nil {
		return
	}
	l.from.mu.Lock()
	defer l.from.mu.Unlock()
	delete(l.from.listeners, l)
}
