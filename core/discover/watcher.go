package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Times of the watcher.
const (
	freshDelay     = 20 * time.Millisecond  // who lives shorter than this is not profiled
	pollEvery      = 500 * time.Millisecond // looks at /proc without the kernel's stream
	reconcileEvery = 30 * time.Second       // looks at /proc with it
	checkKernel    = time.Second
	graceOfExit    = 500 * time.Millisecond // how long the kernel's word of an exit may take
	maxStart       = 5 * time.Second        // how long the first reading goes on without limits
	lookPause      = 200 * time.Millisecond // between looks that losses ask for
)

// Limits of reading, in processes a second. The looks at start are free.
const (
	identityRate = 400
	profileRate  = 150
)

// watcher is what Run's goroutine owns.
type watcher struct {
	*Discover
	proc     *proc
	rules    *rules
	users    users
	table    map[int32]*tracked
	now      time.Time // of the current turn of the loop
	boot     time.Time
	kernel   bool // the kernel's stream is on
	dirents  []byte
	line     []byte
	pageSize int64

	results    chan result
	quick      *pool // identities and tables of sockets
	slow       *pool // profiles and descriptors
	quickStack stack
	slowStack  stack
	identities bucket
	profiles   bucket
	starting   bool // the processes found at start are not all read yet: no limits
	startEnds  time.Time
	out        int // jobs that are handed out and not answered

	fresh    fifo // processes that began or executed, due for their profile
	starters fifo // processes of the first look, due to be told in any case
	missing  fifo // processes that a look did not find, due to be told as ended
	young    fifo // processes found by polling, due for a second look
	ended    ended
	nets     nets

	timer       *time.Timer
	lookAt      time.Time
	careAt      time.Time // when a look also takes care of what was put off
	round       uint64    // of looks
	deep        bool      // the next look reads every stat
	kernelAt    time.Time
	usageAt     time.Time
	watchdogAt  time.Time
	usageRound  int
	usages      []core.Usage
	openedUsage int
	spare       []core.ProcessEvent
}

func newWatcher(d *Discover) *watcher {
	w := &watcher{
		Discover:   d,
		rules:      d.rules,
		users:      users{file: passwdFile},
		table:      make(map[int32]*tracked),
		dirents:    make([]byte, 32<<10),
		line:       make([]byte, maxStatRead),
		pageSize:   int64(os.Getpagesize()),
		results:    make(chan result, 64),
		identities: newBucket(identityRate, identityRate/2),
		profiles:   newBucket(profileRate, profileRate/2),
		starting:   true,
		timer:      time.NewTimer(time.Hour),
		ended:      ended{set: make(map[core.ProcKey]struct{})},
	}
	w.nets.by = make(map[uint64]*netns)
	return w
}

func (w *watcher) run(ctx context.Context) error {
	var err error
	if w.proc, err = openProc(w.cfg.ProcRoot); err != nil {
		return &core.Remedied{Err: fmt.Errorf("open %s: %w", w.cfg.ProcRoot, err), Remedy: "mount procfs there", Permanent: true}
	}
	var wg sync.WaitGroup
	defer w.end(&wg)
	w.startWorkers(&wg)
	w.now = time.Now()
	w.boot = bootTime()
	w.kernel = w.cfg.Kernel()
	w.startEnds, w.careAt = w.now.Add(maxStart), w.now.Add(reconcileEvery/2)
	w.look(true)
	w.kernelAt, w.usageAt = w.now.Add(checkKernel), w.now
	for {
		w.arm()
		quick, slow := w.next()
		var quickJobs, slowJobs chan job
		var quickJob, slowJob job
		if quick != nil {
			quickJobs, quickJob = w.quick.jobs, *quick
		}
		if slow != nil {
			slowJobs, slowJob = w.slow.jobs, *slow
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.queue.wake:
			w.now = time.Now()
			w.takeEvents()
		case done := <-w.asked:
			w.now = time.Now()
			w.takeEvents()
			close(done)
		case res := <-w.results:
			w.now = time.Now()
			w.out--
			w.apply(&res)
		case quickJobs <- quickJob:
			w.quickStack.pop()
			w.spend(&w.identities)
		case slowJobs <- slowJob:
			w.slowStack.pop()
			w.spend(&w.profiles)
		case r := <-w.tune:
			w.now = time.Now()
			w.rules = r
			for _, t := range w.table {
				w.tell(t)
			}
		case w.now = <-w.timer.C:
			w.onTime()
		}
	}
}

func (w *watcher) startWorkers(wg *sync.WaitGroup) {
	sh := &shared{programs: newPrograms(&w.stats), containers: newContainers(), stats: &w.stats}
	newPool := func(n int) *pool {
		p := &pool{
			jobs: make(chan job, 16), results: w.results, do: (*reader).do,
			make: func() *reader { return newReader(w.proc, sh) }, wg: wg, stuck: &w.stats.stuck,
		}
		p.start(n)
		return p
	}
	w.quick, w.slow = newPool(2), newPool(1)
}

// end stops the workers. It waits for them, except for those that are held up.
func (w *watcher) end(wg *sync.WaitGroup) {
	w.quick.stop()
	w.slow.stop()
	done := make(chan struct{})
	go func() {
		wg.Wait()
		w.proc.close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
		w.cfg.Log.Warn("a process does not let itself be read; its reader is left behind")
	}
	for _, t := range w.table {
		w.dropUsage(t)
	}
	w.timer.Stop()
}

// next gives the jobs to hand out now, nil when there are none or when the
// limits say to wait.
func (w *watcher) next() (quick, slow *job) {
	valid := func(j *job) bool {
		t := w.find(j.key)
		return t != nil && (t.gen == j.gen || j.kind == jobTables) && (j.kind != jobSockets || w.wantsSockets(j))
	}
	if quick = w.quickStack.top(valid); quick != nil && !w.starting && w.identities.fill(w.now) < 1 {
		quick = nil
	}
	if slow = w.slowStack.top(valid); slow != nil && !w.starting && w.profiles.fill(w.now) < 1 {
		slow = nil
	}
	if w.starting && w.out == 0 && len(w.quickStack.jobs) == 0 && len(w.slowStack.jobs) == 0 || w.now.After(w.startEnds) {
		w.starting = false
		w.ready.Store(true)
	}
	return quick, slow
}

func (w *watcher) spend(b *bucket) {
	w.out++
	if !w.starting {
		b.tokens--
	}
	if w.watchdogAt.IsZero() {
		w.watchdogAt = w.now.Add(watchEvery)
	}
}

func (w *watcher) takeEvents() {
	events, lost := w.queue.take(w.spare)
	w.spare = events
	w.stats.events.Add(uint64(len(events)))
	clock := newClock(w.now)
	for i := range events {
		w.event(&events[i], clock)
	}
	if lost {
		w.askLook()
	}
}

// askLook plans a look at everything, soon but not too often.
func (w *watcher) askLook() {
	w.deep = true
	if at := w.now.Add(lookPause); at.Before(w.lookAt) {
		w.lookAt = at
	}
}

// apply takes what a worker read.
func (w *watcher) apply(res *result) {
	t := w.find(res.key)
	if t == nil {
		return
	}
	if res.kind == jobTables {
		w.applyTable(res)
		return
	}
	if t.gen != res.gen {
		return
	}
	if res.gone {
		if res.stat.pid != 0 && res.stat.birth != t.key.Birth {
			w.reused(t, &res.stat, res.comm)
		}
		return
	}
	t.ppid = res.stat.ppid
	switch res.kind {
	case jobIdentity: // name and arguments change together
		t.id, t.comm = res.id, res.comm
		if res.nspid != 0 {
			t.nspid = res.nspid
		}
		w.tell(t)
		if t.waiting {
			w.askProfile(t)
		}
	case jobProfile:
		w.applyProfile(t, res.profile)
	case jobSockets:
		w.applySockets(t, res)
	}
}

func (w *watcher) applyProfile(t *tracked, p *profile) {
	if !p.complete && t.profile != nil { // the program is the parent's, the place its own
		p.environment, p.runtime, p.complete = t.profile.environment, t.profile.runtime, true
	}
	if !t.profiled {
		t.profiled = true
		w.stats.profiled.Add(1)
	}
	t.profile = p
	w.tell(t)
	w.joinNet(t)
}

// askIdentity plans the reading of t's identity, askProfile of the rest.
func (w *watcher) askIdentity(t *tracked) {
	w.put(&w.quickStack, job{kind: jobIdentity, key: t.key, gen: t.gen})
}

func (w *watcher) askProfile(t *tracked) {
	t.waiting = false
	w.put(&w.slowStack, job{kind: jobProfile, key: t.key, gen: t.gen, light: t.light && t.profile != nil && t.profile.complete})
}

func (w *watcher) put(s *stack, j job) {
	if n := s.push(j); n > 0 {
		w.stats.deferred.Add(uint64(n))
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// bootTime is when the machine began. Of a few readings of two clocks the
// quickest counts: a pause between the two would shift the begin of every process.
func bootTime() (boot time.Time) {
	least := time.Duration(math.MaxInt64)
	for range 3 {
		var ts unix.Timespec
		now := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			return time.Time{}
		}
		if took := time.Since(now); took < least {
			least, boot = took, now.Add(-time.Duration(ts.Nano()))
		}
	}
	return boot
}

// clock turns the kernel's monotonic time into time of day, by one reading of both.
type clock struct {
	now  time.Time
	mono int64
}

func newClock(now time.Time) clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return clock{now: now, mono: ts.Nano()}
}

// at gives the time of day of an event; one without a time happened now.
func (c clock) at(mono int64) time.Time {
	if mono <= 0 || mono > c.mono {
		return c.now
	}
	return c.now.Add(-time.Duration(c.mono - mono))
}
