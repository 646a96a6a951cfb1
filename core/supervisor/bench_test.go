package supervisor

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"vitals/core"
)

func BenchmarkToggleOneOf1000Processes(b *testing.B) {
	s := benchmarked(b, 1000)
	for i := 0; b.Loop(); i++ {
		to := core.Off
		if i%2 == 1 {
			to = core.Auto
		}
		s.carryOut(core.Intent{Op: core.IntentToggle, Choice: to,
			Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeProcess, Proc: key(500)}})
	}
}

func BenchmarkToggleGlobally1000Processes(b *testing.B) {
	s := benchmarked(b, 1000)
	for i := 0; b.Loop(); i++ {
		to := core.Off
		if i%2 == 1 {
			to = core.Auto
		}
		s.carryOut(core.Intent{Op: core.IntentToggle, Choice: to,
			Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeGlobal}})
	}
}

func BenchmarkProcessUpAndDown(b *testing.B) {
	s := benchmarked(b, 1000)
	p := proc(5000, "web")
	for b.Loop() {
		s.ProcessUp(p)
		s.lookAtProcesses()
		s.ProcessDown(p.ProcKey, core.Exit{}, time.Time{})
		s.lookAtProcesses()
	}
}

// benchmarked returns a supervisor with n processes and ten kinds whose loop
// the benchmark plays itself.
func benchmarked(b *testing.B, n int32) *Supervisor {
	var specs []core.Spec
	for _, kind := range []string{"requests", "network", "cpu", "offcpu", "disk", "memory", "tls", "files", "locks", "runtime"} {
		specs = append(specs, (&plant{}).spec(kind))
	}
	s := New(Config{Specs: specs})
	s.began.Store(true)
	told := make(chan struct{})
	go s.out.run(told)
	s.begin()
	b.Cleanup(func() { _ = s.shutdown(); close(told) })
	for i := range n {
		s.ProcessUp(proc(i+1, fmt.Sprint("service", i/10)))
	}
	s.lookAtProcesses()
	time.Sleep(50 * time.Millisecond)
	return s
}

// An attach that takes five seconds delays nothing else: what is measured is a
// toggle while it is under way, until the unit has taken it.
func BenchmarkToggleBesideASlowAttach(b *testing.B) {
	slow := &plant{attach: func(ctx context.Context, _ int) (core.Parts, error) { <-ctx.Done(); return nil, ctx.Err() }}
	taken := make(chan struct{}, 1)
	quick := &plant{choose: func(core.Selection) error { nudge(taken); return nil }}
	s := New(Config{Specs: []core.Spec{slow.machineWide("slow"), quick.spec("requests")}, Limits: Limits{Attach: 5 * time.Second}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for i := range int32(1000) {
		s.ProcessUp(proc(i+2, fmt.Sprint("service", i/10)))
	}
	<-taken
	for !s.attachedOnly(1) {
		time.Sleep(time.Millisecond)
	}
	for len(taken) > 0 {
		<-taken
	}
	for i := 0; b.Loop(); i++ {
		to := core.Off
		if i%2 == 1 {
			to = core.Auto
		}
		for !s.Submit(core.Intent{Op: core.IntentToggle, Choice: to, Key: core.ToggleKey{Kind: "requests", Scope: core.ScopeProcess, Proc: key(500)}}) {
			runtime.Gosched()
		}
		<-taken
	}
	cancel()
	<-done
}

func (s *Supervisor) attachedOnly(n uint64) bool {
	return s.Stats().Attached == n && !s.Settled()
}

// The CPU time that a supervisor with 1,000 processes and ten units uses while
// nothing happens, as a share of one core.
func BenchmarkIdle(b *testing.B) {
	var specs []core.Spec
	for i := range 10 {
		specs = append(specs, (&plant{}).spec(fmt.Sprint("k", i)))
	}
	s := New(Config{Specs: specs})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for i := range int32(1000) {
		s.ProcessUp(proc(i+2, "web"))
	}
	for !s.Settled() {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
	before, began := cpuTime(b), time.Now()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(time.Since(began))*100, "%cpu")
	cancel()
	<-done
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
