package discover

import (
	"time"

	"vitals/core"
)

// look compares the table with /proc. Only pids that are new, or whose directory
// has another inode (so the pid was reused), are read; all of them when the next
// look is to be deep, which it is after losses: a lost exit may leave a zombie.
func (w *watcher) look(first bool) {
	deep := w.deep
	w.deep = false
	defer w.stats.looks.Add(1)
	every := pollEvery
	if w.kernel {
		every = reconcileEvery
	}
	w.lookAt = w.now.Add(every)
	var unknown []seen
	w.round++
	err := w.proc.pids(w.dirents, func(pid int32, ino uint64) {
		t := w.table[pid]
		if t != nil {
			t.seen = w.round
		}
		if t == nil || t.ino != ino || deep {
			unknown = append(unknown, seen{pid: pid, ino: ino})
		}
	})
	if err != nil {
		w.cfg.Log.Warn("read /proc", "error", err)
		return
	}
	for _, t := range w.table {
		if t.seen != w.round {
			w.notFound(t)
		}
	}
	w.readSeen(unknown, first)
	if !first && !w.now.Before(w.careAt) {
		w.careAt = w.now.Add(reconcileEvery)
		w.askAgain()
		w.rescanHolders()
	}
}

// seen is a pid that a look must read.
type seen struct {
	pid  int32
	ino  uint64
	stat stat
	comm string
	raw  string // comm as the kernel has it
}

// readSeen reads the stat lines and then takes them parents first, since who is
// ours or of interest follows from the parent.
func (w *watcher) readSeen(list []seen, first bool) {
	n := 0
	for _, s := range list {
		line, err := w.proc.read(s.pid, "stat", w.line)
		if err != nil {
			continue // ended meanwhile
		}
		st, ok := parseStat(line, w.pageSize)
		if !ok || st.pid != s.pid {
			continue
		}
		s.stat, s.raw = st, string(st.comm)
		s.comm = core.Clean(s.raw, core.MaxName)
		s.stat.comm = nil // points into the buffer
		list[n] = s
		n++
	}
	list = list[:n]
	waits := make(map[int32]int, n)
	for i := range list {
		waits[list[i].pid] = i
	}
	var visit func(i, depth int)
	visit = func(i, depth int) {
		s := &list[i]
		if _, open := waits[s.pid]; !open {
			return
		}
		delete(waits, s.pid)
		if parent, open := waits[s.stat.ppid]; open && depth < 256 {
			visit(parent, depth+1)
		}
		w.compare(s, first)
	}
	for i := range list {
		visit(i, 0)
	}
}

// compare takes one stat line that a look read.
func (w *watcher) compare(s *seen, first bool) {
	t := w.table[s.pid]
	switch {
	case t != nil && t.key.Birth == s.stat.birth:
		t.ino = s.ino
		t.ppid = s.stat.ppid
		if s.stat.zombie() && !t.zombie {
			w.notFound(t)
		}
		return
	case t != nil:
		w.synthetic(t)
	}
	if s.stat.zombie() && !first {
		return // ended before we saw it: the kernel told, or nobody will
	}
	if !first {
		w.stats.synthetic.Add(1)
	}
	if t := w.found(&s.stat, s.comm, s.ino); t != nil {
		t.rawComm = s.raw
	}
}

// found begins a process that a look at /proc found. It returns nil when that
// process was told as ended already.
func (w *watcher) found(st *stat, comm string, ino uint64) *tracked {
	key := core.ProcKey{PID: st.pid, Birth: st.birth}
	if w.ended.has(key) {
		return nil
	}
	t := w.add(key, st.ppid, comm)
	t.ino = ino
	t.kernel = st.flags&flagKernelThread != 0
	t.zombie = st.zombie()
	t.held = !w.starting && w.age(t) < w.cfg.MinAge
	if t.kernel || t.zombie {
		t.nspid = t.key.PID
		t.profiled = true
		w.tell(t)
		return t
	}
	if t.hidden {
		return t
	}
	// Told with its arguments in a moment, or without them when reading takes long.
	w.askIdentity(t)
	if w.starting {
		t.waiting = true
		w.missedStart(t)
		return t
	}
	w.fresh.push(t, w.now.Add(w.freshDelay()))
	if !w.kernel {
		w.young.push(t, w.now.Add(pollEvery))
	}
	return t
}

// missedStart plans to tell t of the first look without identity if reading it
// takes longer than a screen should wait.
func (w *watcher) missedStart(t *tracked) { w.starters.push(t, w.now.Add(startDelay)) }

const startDelay = 100 * time.Millisecond

// notFound ends a process that a look did not find. The kernel's own word, with
// the exit code, may still be on its way.
func (w *watcher) notFound(t *tracked) {
	if t.zombie || !w.kernel {
		w.synthetic(t)
		return
	}
	w.missing.push(t, w.now.Add(graceOfExit))
}

// askAgain plans to read what was given up under load.
func (w *watcher) askAgain() {
	for _, t := range w.table {
		if !t.profiled && !t.hidden && !t.kernel && !t.ours && w.now.Sub(t.born) > time.Second {
			t.waiting = true
			w.askIdentity(t)
		}
	}
}

// reread looks again at a process that polling found: it may have been caught
// between fork and exec.
func (w *watcher) reread(t *tracked) {
	line, err := w.proc.read(t.key.PID, "stat", w.line)
	if err != nil {
		return
	}
	st, ok := parseStat(line, w.pageSize)
	if !ok || st.birth != t.key.Birth || st.zombie() {
		return
	}
	w.again(t, &st)
}

// again reads t once more after its name changed, as exec does, or to make sure.
func (w *watcher) again(t *tracked, st *stat) {
	if t.hidden || t.kernel {
		return
	}
	t.rawComm = string(st.comm)
	t.gen++
	t.light, t.waiting = false, true
	t.born = w.now
	w.askIdentity(t)
}
