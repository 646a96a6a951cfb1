package discover

import (
	"golang.org/x/sys/unix"
)

// Polled usage reads /proc/PID/stat through descriptors that stay open: a third
// of the price of opening it each time.

// restAfter is how many reads without any CPU time make a process idle; idle
// ones are read at every idleEvery-th round, in turn.
const (
	restAfter = 3
	idleEvery = 4
)

// keepFDs bounds how many descriptors stay open.
const keepFDs = 8192

type usageState struct {
	fd   int // of /proc/PID/stat, -1 when closed
	cpu  int64
	idle int
}

// readUsage reads what every process consumed and hands it over.
func (w *watcher) readUsage() {
	if w.cfg.KernelUsage() || (w.cfg.Usage == nil && w.kernel) {
		if w.openedUsage > 0 {
			for _, t := range w.table {
				w.dropUsage(t)
			}
		}
		return
	}
	w.usageRound++
	w.usages = w.usages[:0]
	for pid, t := range w.table {
		if t.hidden || t.held || t.zombie {
			continue
		}
		if t.usage.idle >= restAfter && (int(pid)+w.usageRound)%idleEvery != 0 {
			continue
		}
		w.readUsageOf(t)
	}
	if w.cfg.Usage != nil && len(w.usages) > 0 {
		w.cfg.Usage(w.usages)
	}
}

func (w *watcher) readUsageOf(t *tracked) {
	line, ok := w.statLine(t)
	if !ok {
		return // ended: the next look or the kernel tells
	}
	st, ok := parseStat(line, w.pageSize)
	if !ok || st.birth != t.key.Birth {
		return
	}
	if st.zombie() && !w.kernel {
		w.stats.synthetic.Add(1)
		w.ended.add(t.key)
		w.remove(t, st.exit, w.now)
		return
	}
	if !w.kernel && string(st.comm) != t.rawComm {
		w.again(t, &st)
	}
	u := &t.usage
	if cpu := st.usage.CPUUser + st.usage.CPUSystem; cpu == u.cpu {
		u.idle++
	} else {
		u.cpu, u.idle = cpu, 0
	}
	st.usage.ProcKey = t.key
	w.usages = append(w.usages, st.usage)
}

func (w *watcher) statLine(t *tracked) ([]byte, bool) {
	u := &t.usage
	if u.fd < 0 {
		if w.openedUsage >= keepFDs {
			line, err := w.proc.read(t.key.PID, "stat", w.line)
			return line, err == nil
		}
		fd, err := w.proc.open(t.key.PID, "stat", unix.O_RDONLY)
		if err != nil {
			return nil, false
		}
		u.fd = fd
		w.openedUsage++
	}
	n, err := unix.Pread(u.fd, w.line, 0)
	if err != nil || n <= 0 {
		return nil, false
	}
	return w.line[:n], true
}

// dropUsage closes what readUsage keeps open for t.
func (w *watcher) dropUsage(t *tracked) {
	if t.usage.fd >= 0 {
		_ = unix.Close(t.usage.fd)
		t.usage.fd = -1
		w.openedUsage--
	}
}
