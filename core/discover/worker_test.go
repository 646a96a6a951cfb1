package discover

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitals/core"
)

// What a reader that was held up brings in the end is taken: it may have been the
// machine that stood still, not the process.
func TestLateResultsAreTaken(t *testing.T) {
	release := make(chan struct{})
	results := make(chan result)
	var began, stuck atomic.Uint64
	var wg sync.WaitGroup
	p := &pool{
		jobs: make(chan job), results: results, wg: &wg, stuck: &stuck,
		make: func() *reader { return &reader{} },
		do: func(_ *reader, j job) result {
			if began.Add(1) == 1 {
				<-release
			}
			return result{job: j}
		},
	}
	p.start(1)
	slow, quick := job{key: core.ProcKey{PID: 1}}, job{key: core.ProcKey{PID: 2}}
	p.jobs <- slow
	eventually(t, "the job is begun", func() bool { return began.Load() == 1 })
	if busy := p.replace(time.Now()); !busy || stuck.Load() != 0 {
		t.Fatalf("busy %v, %d stuck", busy, stuck.Load())
	}
	p.replace(time.Now().Add(2 * jobDeadline))
	if stuck.Load() != 1 || len(p.workers) != 2 {
		t.Fatalf("%d stuck, %d workers", stuck.Load(), len(p.workers))
	}
	p.jobs <- quick
	if res := <-results; res.key != quick.key {
		t.Errorf("first came %v", res.key)
	}
	close(release)
	if res := <-results; res.key != slow.key {
		t.Errorf("then came %v", res.key)
	}
	eventually(t, "the late one has ended", func() bool { return !p.replace(time.Now()) && len(p.workers) == 1 })
	p.stop()
	wg.Wait()
}

func TestBootTimeIsTheKernels(t *testing.T) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if seconds, ok := strings.CutPrefix(line, "btime "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
			if off := bootTime().Sub(time.Unix(n, 0)); err != nil || off < -time.Second || off > 2*time.Second {
				t.Errorf("%v after the kernel's word (%v)", off, err)
			}
			return
		}
	}
	t.Error("the kernel says nothing")
}
