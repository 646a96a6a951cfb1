package discover

import "time"

// arm sets the timer to whatever is due first.
func (w *watcher) arm() {
	at := w.lookAt
	for _, other := range [...]time.Time{
		w.kernelAt, w.usageAt, w.watchdogAt, w.nets.due,
		w.fresh.next(), w.starters.next(), w.missing.next(), w.young.next(),
	} {
		if !other.IsZero() && other.Before(at) {
			at = other
		}
	}
	wait := time.Until(at)
	if !w.starting { // jobs that the limits hold back
		if n := len(w.quickStack.jobs); n > 0 {
			wait = min(wait, w.identities.wait(n)+time.Millisecond)
		}
		if n := len(w.slowStack.jobs); n > 0 {
			wait = min(wait, w.profiles.wait(n)+time.Millisecond)
		}
	}
	w.timer.Reset(max(wait, 0))
}

// onTime does everything that is due.
func (w *watcher) onTime() {
	each := func(f *fifo, do func(*tracked)) {
		for {
			item, ok := f.pop(w.now)
			if !ok {
				return
			}
			if t := w.find(item.key); t != nil && t.gen == item.gen {
				do(t)
			}
		}
	}
	each(&w.fresh, w.due)
	each(&w.starters, func(t *tracked) {
		if t.told == nil {
			w.tell(t)
		}
	})
	each(&w.young, w.reread)
	each(&w.missing, func(t *tracked) {
		if w.stillMissing(t) {
			w.synthetic(t)
		}
	})
	if !w.now.Before(w.kernelAt) {
		w.kernelAt = w.now.Add(checkKernel)
		if on := w.cfg.Kernel(); on != w.kernel { // between the two, something may have been missed
			w.kernel = on
			w.lookAt = w.now
		}
	}
	if !w.now.Before(w.lookAt) {
		w.look(false)
	}
	if !w.now.Before(w.usageAt) {
		w.usageAt = w.now.Add(w.cfg.UsageEvery)
		w.readUsage()
	}
	if !w.nets.due.IsZero() && !w.now.Before(w.nets.due) {
		w.refreshNets()
	}
	if !w.watchdogAt.IsZero() && !w.now.Before(w.watchdogAt) {
		w.watchdogAt = time.Time{}
		busyQuick, busySlow := w.quick.replace(w.now), w.slow.replace(w.now)
		if busyQuick || busySlow {
			w.watchdogAt = w.now.Add(watchEvery)
		}
	}
}

// stillMissing looks a second time before an end is told that nobody reported.
func (w *watcher) stillMissing(t *tracked) bool {
	line, err := w.proc.read(t.key.PID, "stat", w.line)
	if err != nil {
		return ignoreMissing(err) == nil
	}
	st, ok := parseStat(line, w.pageSize)
	return ok && (st.birth != t.key.Birth || st.zombie())
}
