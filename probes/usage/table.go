package usage

import (
	"math/bits"
	"os"

	"vitals/core"
)

// table adds up threads to processes. It lives from look to look, so that
// nothing is allocated for a process that was there before, and so that no
// counter ever falls: the threads of a process are not read at one moment, and
// one that ends meanwhile is missing from the sum until the next look.
type table struct {
	pageSize  int64
	look      uint64
	whole     bool // the look tells of every process, not only of those that ran
	processes map[core.ProcKey]*process
	free      []*process
	out       []core.Usage
}

type process struct {
	look  uint64
	now   spent
	told  core.Usage // of the look before
	rss   int64      // pages, -1 unknown
	size  int64
	fds   int64
	count int64 // threads
}

// spent is what a thread has consumed, as the kernel program writes it.
type spent = struct {
	user, system, runtime  uint64
	minor, major           uint64
	voluntary, involuntary uint64
	readBytes, writeBytes  int64
}

func newTable() *table {
	return &table{pageSize: int64(os.Getpagesize()), processes: map[core.ProcKey]*process{}}
}

// begin starts a look. One that is not whole leaves out processes of which nothing
// changed.
func (t *table) begin(whole bool) { t.look, t.whole = t.look+1, whole }

// add takes one thread.
func (t *table) add(l *usageLook) {
	key := core.ProcKey{PID: int32(l.Pid), Birth: l.Birth}
	p := t.processes[key]
	if p == nil {
		p = t.make(key)
	}
	if p.look != t.look {
		// What ended threads have consumed is taken with the first thread seen: one
		// that ends after that is counted too little for a moment, never twice.
		p.look = t.look
		p.now = spent{
			user: l.Ended.User, system: l.Ended.System, runtime: l.Ended.Runtime,
			minor: l.Ended.MinorFaults, major: l.Ended.MajorFaults,
			voluntary: l.Ended.Voluntary, involuntary: l.Ended.Involuntary,
			readBytes: l.Ended.ReadBytes, writeBytes: l.Ended.WriteBytes,
		}
		p.rss, p.size, p.fds = -1, -1, -1
		p.count = int64(l.Threads)
	}
	n := &p.now
	n.user += l.Thread.User
	n.system += l.Thread.System
	n.runtime += l.Thread.Runtime
	n.minor += l.Thread.MinorFaults
	n.major += l.Thread.MajorFaults
	n.voluntary += l.Thread.Voluntary
	n.involuntary += l.Thread.Involuntary
	if l.Thread.ReadBytes >= 0 && n.readBytes >= 0 {
		n.readBytes += l.Thread.ReadBytes
		n.writeBytes += l.Thread.WriteBytes
	}
	p.rss = max(p.rss, l.RssPages)
	p.size = max(p.size, l.SizePages)
	p.fds = max(p.fds, l.Fds)
}

func (t *table) make(key core.ProcKey) *process {
	var p *process
	if n := len(t.free); n > 0 {
		p, t.free = t.free[n-1], t.free[:n-1]
	} else {
		p = &process{}
	}
	*p = process{told: core.Usage{ProcKey: key}}
	t.processes[key] = p
	return p
}

// end returns all processes; the list is valid until the next end. Who is gone is
// forgotten by a whole look.
func (t *table) end() []core.Usage {
	t.out = t.out[:0]
	for key, p := range t.processes {
		switch {
		case p.look == t.look:
			t.out = append(t.out, p.tell(t.pageSize))
		case t.whole:
			delete(t.processes, key)
			t.free = append(t.free, p)
		default:
			t.out = append(t.out, p.told)
		}
	}
	// A burst of processes must not be remembered for ever.
	if len(t.free) > len(t.processes)+64 {
		clear(t.free[len(t.processes):])
		t.free = t.free[:len(t.processes)]
	}
	return t.out
}

// tell turns sums into a usage in which no counter is lower than before.
func (p *process) tell(pageSize int64) core.Usage {
	u := &p.told
	u.CPUUser, u.CPUSystem = split(p.now.runtime, p.now.user, p.now.system, u.CPUUser, u.CPUSystem)
	u.MinorFaults = max(u.MinorFaults, int64(p.now.minor))
	u.MajorFaults = max(u.MajorFaults, int64(p.now.major))
	u.VoluntarySw = max(u.VoluntarySw, int64(p.now.voluntary))
	u.InvoluntarySw = max(u.InvoluntarySw, int64(p.now.involuntary))
	if p.now.readBytes < 0 {
		u.ReadBytes, u.WriteBytes = -1, -1
	} else {
		u.ReadBytes = max(u.ReadBytes, p.now.readBytes)
		u.WriteBytes = max(u.WriteBytes, p.now.writeBytes)
	}
	u.RSS, u.VSize = pages(p.rss, pageSize), pages(p.size, pageSize)
	u.Threads, u.FDs = p.count, p.fds
	return *u
}

func pages(n, size int64) int64 {
	if n < 0 {
		return -1
	}
	return n * size
}

// split divides the exact time on a processor by what timer ticks have seen of
// user and system, as /proc/PID/stat does. Neither part falls below its last
// value: what the ticks say changes, what was told does not.
func split(runtime, userTicks, systemTicks uint64, lastUser, lastSystem int64) (user, system int64) {
	total := int64(runtime)
	if total <= lastUser+lastSystem {
		return lastUser, lastSystem
	}
	switch {
	case systemTicks == 0:
		system = 0
	case userTicks == 0:
		system = total
	default:
		hi, lo := bits.Mul64(runtime, systemTicks)
		sum := userTicks + systemTicks
		if hi >= sum { // not from a kernel: more ticks than time can hold
			return lastUser, total - lastUser
		}
		q, _ := bits.Div64(hi, lo, sum)
		system = int64(q)
	}
	system = min(max(system, lastSystem), total-lastUser)
	return total - system, system
}
