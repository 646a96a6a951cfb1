package discover

import (
	"time"

	"vitals/core"
)

// event takes one fact from the kernel.
func (w *watcher) event(e *core.ProcessEvent, c clock) {
	if e.Kind == core.ProcessLost {
		w.stats.kernelLost.Add(e.N)
		w.askLook()
		return
	}
	if e.PID <= 0 || w.ended.has(e.ProcKey) {
		return
	}
	t := w.table[e.PID]
	if t != nil && t.key.Birth > e.Birth {
		return // late word of an earlier life
	}
	if t != nil && t.key.Birth < e.Birth { // its end was lost
		w.synthetic(t)
		t = nil
	}
	switch e.Kind {
	case core.ProcessFork:
		if t == nil {
			w.fork(e)
		}
	case core.ProcessExec:
		w.exec(t, e)
	case core.ProcessExit:
		if t == nil { // its beginning was lost, or lies before us
			t = w.add(e.ProcKey, e.PPID, core.Clean(e.Comm, core.MaxName))
			t.held = w.age(t) < w.cfg.MinAge
		}
		w.remove(t, e.Exit, c.at(e.At))
	}
}

// fork begins a process as a copy of its parent.
func (w *watcher) fork(e *core.ProcessEvent) {
	t := w.add(e.ProcKey, e.PPID, core.Clean(e.Comm, core.MaxName))
	if parent := w.table[e.PPID]; parent != nil && parent != t {
		t.light = true
		t.id, t.profile = parent.id, parent.profile
		t.sockets, t.listens = parent.sockets, parent.listens
		t.kernel = parent.kernel
		if t.comm == "" {
			t.comm = parent.comm
		}
		if parent.nspid == parent.key.PID {
			t.nspid = t.key.PID
		}
	}
	w.hold(t)
	w.tell(t)
	w.fresh.push(t, w.now.Add(w.freshDelay()))
}

// hold keeps a process that just began, or that nobody was told of yet, from
// being told before it has lived for MinAge.
func (w *watcher) hold(t *tracked) { t.held = t.told == nil && w.cfg.MinAge > 0 }

func (w *watcher) freshDelay() time.Duration { return max(freshDelay, w.cfg.MinAge) }

// exec makes another program of a process: what its program said is forgotten,
// where it belongs stays.
func (w *watcher) exec(t *tracked, e *core.ProcessEvent) {
	comm := core.Clean(e.Comm, core.MaxName)
	if t == nil {
		t = w.add(e.ProcKey, e.PPID, comm)
		w.hold(t)
		w.tell(t)
	}
	t.gen++
	t.comm, t.light, t.kernel, t.profiled, t.waiting = comm, false, false, false, false
	t.born = w.now
	t.id, t.sockets, t.listens = nil, nil, nil
	if f := t.profile; f != nil {
		t.profile = &profile{place: f.place, containerName: f.containerName, netns: f.netns}
	}
	t.dirty = true
	if t.hidden {
		return
	}
	if w.identities.fill(w.now) > w.identities.burst/2 {
		w.askIdentity(t)
	}
	w.fresh.push(t, w.now.Add(w.freshDelay()))
}

// due is called for a process that has lived long enough to be worth reading.
func (w *watcher) due(t *tracked) {
	t.held = false
	if t.dirty {
		w.tell(t)
	}
	if t.hidden {
		return
	}
	if t.id != nil && !t.light {
		w.askProfile(t)
		return
	}
	t.waiting = true // the profile follows the identity
	w.askIdentity(t)
}

// age is how long ago t began, to the clock tick.
func (w *watcher) age(t *tracked) time.Duration {
	return w.now.Sub(w.boot.Add(time.Duration(t.key.Birth) * tickNanos))
}

// synthetic ends a process whose end was noticed by looking.
func (w *watcher) synthetic(t *tracked) {
	w.stats.synthetic.Add(1)
	w.ended.add(t.key)
	w.remove(t, core.Exit{}, w.now)
}

// reused replaces t by the process that has its pid now.
func (w *watcher) reused(t *tracked, st *stat, comm string) {
	w.synthetic(t)
	if w.found(st, comm, 0) != nil {
		w.stats.synthetic.Add(1)
	}
}

// fifo holds processes that are due at a time, all after the same delay.
type fifo struct {
	items []dueItem
	head  int
}

type dueItem struct {
	key core.ProcKey
	gen uint32
	at  time.Time
}

func (f *fifo) push(t *tracked, at time.Time) {
	f.items = append(f.items, dueItem{key: t.key, gen: t.gen, at: at})
}

// next is when the first item is due, zero when there is none.
func (f *fifo) next() time.Time {
	if f.head == len(f.items) {
		return time.Time{}
	}
	return f.items[f.head].at
}

// pop takes the first item if it is due.
func (f *fifo) pop(now time.Time) (item dueItem, ok bool) {
	if f.head == len(f.items) || f.items[f.head].at.After(now) {
		return item, false
	}
	item = f.items[f.head]
	f.head++
	switch {
	case f.head == len(f.items):
		f.items, f.head = f.items[:0], 0
		if cap(f.items) > 4096 {
			f.items = nil
		}
	case f.head > 1024 && f.head > len(f.items)/2:
		f.items = f.items[:copy(f.items, f.items[f.head:])]
		f.head = 0
	}
	return item, true
}

// ended remembers the processes whose end was told without the kernel's word,
// so that a late word does not bring them back.
type ended struct {
	set  map[core.ProcKey]struct{}
	ring [1024]core.ProcKey
	at   int
}

func (e *ended) add(key core.ProcKey) {
	delete(e.set, e.ring[e.at])
	e.ring[e.at] = key
	e.set[key] = struct{}{}
	e.at = (e.at + 1) % len(e.ring)
}

func (e *ended) has(key core.ProcKey) bool {
	_, ok := e.set[key]
	return ok
}
