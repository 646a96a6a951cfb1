package discover

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vitals/core"
)

type counting struct{ up, changed atomic.Int64 }

func (c *counting) ProcessUp(*core.Process)                        { c.up.Add(1) }
func (c *counting) ProcessChanged(*core.Process)                   { c.changed.Add(1) }
func (c *counting) ProcessDown(core.ProcKey, core.Exit, time.Time) {}

// BenchmarkScan is the first look at this machine with 2,000 processes more,
// until each is told with arguments, executable and user.
func BenchmarkScan(b *testing.B) {
	const n = 2000
	stop := sleepers(b, n)
	defer stop()
	for b.Loop() {
		h := &counting{}
		d, err := New(Config{Handler: h, Kernel: always, Self: nobody})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		began := time.Now()
		go func() { done <- d.Run(ctx) }()
		for h.up.Load() < n {
			time.Sleep(200 * time.Microsecond)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-to-all-up")
		for d.Stats().Profiled < n {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-all-profiled")
		cancel()
		<-done
	}
}

// sleepers starts n processes that do nothing.
func sleepers(b *testing.B, n int) (stop func()) {
	b.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 600 & i=$((i+1)); done; echo ready; wait", n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		b.Fatal(err)
	}
	time.Sleep(2 * time.Second) // until all of them have executed sleep
	return func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
}

// BenchmarkIdle is ten seconds with 2,000 idle processes: CPU time is what counts.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{
		{"kernel", Config{Kernel: always, KernelUsage: always}},
		{"poll", Config{Usage: func([]core.Usage) {}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			stop := sleepers(b, 2000)
			defer stop()
			c.cfg.Handler, c.cfg.Self = &counting{}, nobody
			d, err := New(c.cfg)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- d.Run(ctx) }()
			time.Sleep(6 * time.Second)
			before := cpuTime(b)
			for b.Loop() {
				time.Sleep(10 * time.Second)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N)*6/1000, "cpu-s/min")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapInuse)/(1<<20), "heap-MiB")
			cancel()
			<-done
		})
	}
}

func BenchmarkEvents(b *testing.B) {
	h := &counting{}
	d, err := New(Config{Handler: h, Kernel: always, ProcRoot: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	w := newWatcher(d)
	w.now = time.Now()
	c := newClock(w.now)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		key := core.ProcKey{PID: int32(i%30000 + 1), Birth: uint64(i)}
		for _, e := range [...]core.ProcessEvent{
			event(core.ProcessFork, key, 1, "sh"), event(core.ProcessExec, key, 1, "true"),
			{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Known: true}},
		} {
			w.event(&e, c)
		}
		w.fresh = fifo{}
		w.quickStack = stack{}
	}
}
