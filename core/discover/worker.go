package discover

import (
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
)

// jobKind says what a worker shall read.
type jobKind uint8

const (
	jobIdentity jobKind = iota + 1 // stat, status, arguments, executable
	jobProfile                     // cgroup, environment, runtime, namespaces
	jobTables                      // the sockets that listen in a network namespace
	jobSockets                     // which of those a process holds
)

// job is one read of one process by a worker.
type job struct {
	kind  jobKind
	key   core.ProcKey
	gen   uint32
	light bool         // jobProfile of a fork that did not exec: the parent's program is known
	netns uint64       // jobTables
	table *socketTable // jobSockets
}

// result is what came of a job. gone: the process ended before or meanwhile, or
// its pid belongs to another one now.
type result struct {
	job
	gone    bool
	stat    stat
	comm    string
	id      *identity
	nspid   int32
	profile *profile
	found   *socketTable // jobTables
	sockets []uint64
}

// Workers that read processes may be held up for ever: a hostile process can
// back its arguments by a file system that never answers. Those that are held
// up are replaced, up to maxWorkers.
const (
	jobDeadline = 2 * time.Second
	watchEvery  = jobDeadline / 4
	maxWorkers  = 8
)

// pool runs jobs in a few goroutines. Only Run's goroutine calls its methods.
type pool struct {
	jobs    chan job
	results chan<- result
	do      func(*reader, job) result
	make    func() *reader
	workers []*worker
	want    int // workers that are not held up
	wg      *sync.WaitGroup
	stuck   *atomic.Uint64
}

type worker struct {
	since   atomic.Int64 // unix nanoseconds of the job it is at, 0 when idle
	retired atomic.Bool  // held up and replaced: ends after its job
	ended   atomic.Bool
	quit    chan struct{}
}

func (p *pool) start(n int) {
	p.want = n
	for range n {
		p.add()
	}
}

func (p *pool) add() {
	w := &worker{quit: make(chan struct{})}
	p.workers = append(p.workers, w)
	p.wg.Go(func() { p.work(w) })
}

func (p *pool) work(w *worker) {
	r := p.make()
	defer r.close()
	for {
		select {
		case <-w.quit:
			return
		case j := <-p.jobs:
			w.since.Store(time.Now().UnixNano())
			res := p.do(r, j)
			w.since.Store(0)
			// Also of one that was held up: it may have been the machine that stood
			// still, and nobody reads this process again soon.
			select {
			case p.results <- res:
			case <-w.quit:
				return
			}
			if w.retired.Load() {
				w.ended.Store(true)
				return
			}
		}
	}
}

// replace retires workers that are held up and starts others in their place. It
// reports whether any worker is at a job, so whether to look again.
func (p *pool) replace(now time.Time) (busy bool) {
	kept := p.workers[:0]
	retired := 0
	for _, w := range p.workers {
		since := w.since.Load()
		switch {
		case w.ended.Load(): // came back
			continue
		case w.retired.Load():
			retired++
		case since != 0 && now.UnixNano()-since > int64(jobDeadline):
			w.retired.Store(true)
			p.stuck.Add(1)
			retired++
		case since != 0:
			busy = true
		}
		kept = append(kept, w)
	}
	p.workers = kept
	for len(p.workers)-retired < p.want && len(p.workers) < maxWorkers {
		p.add()
	}
	return busy || retired > 0
}

func (p *pool) stop() {
	for _, w := range p.workers {
		close(w.quit)
	}
}

// stack holds jobs that wait, newest first. When it is full the oldest quarter
// is given up: whoever waited longest matters least, and the next reconcile
// finds it again.
type stack struct {
	jobs []job
}

const maxStack = 16384

func (s *stack) push(j job) (dropped int) {
	if len(s.jobs) >= maxStack {
		dropped = maxStack / 4
		s.jobs = s.jobs[:copy(s.jobs, s.jobs[dropped:])]
	}
	s.jobs = append(s.jobs, j)
	return dropped
}

// top is the newest job for which valid holds; those above it are dropped.
func (s *stack) top(valid func(*job) bool) *job {
	for n := len(s.jobs); n > 0; n-- {
		if j := &s.jobs[n-1]; valid(j) {
			return j
		}
		s.jobs = s.jobs[:n-1]
	}
	if cap(s.jobs) > 1024 {
		s.jobs = nil
	}
	return nil
}

func (s *stack) pop() { s.jobs = s.jobs[:len(s.jobs)-1] }

// bucket limits how often something costly is done: rate a second, and burst at once.
type bucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, tokens: burst} }

// fill adds what has come due and returns what there is.
func (b *bucket) fill(now time.Time) float64 {
	if !b.at.IsZero() {
		b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	return b.tokens
}

// wait is how long until there are tokens for n, or for as many as come in a
// tenth of a second: waking for each of them costs more than the work.
func (b *bucket) wait(n int) time.Duration {
	need := min(float64(n), max(1, b.rate/10)) - b.tokens
	return max(0, time.Duration(need/b.rate*float64(time.Second)))
}
