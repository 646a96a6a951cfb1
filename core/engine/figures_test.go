package engine

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"vitals/core"
)

func TestValuesAndServiceSums(t *testing.T) {
	b := newBench(t)
	for pid := int32(1); pid <= 3; pid++ {
		b.ProcessUp(proc(pid, "web"))
	}
	for i := range 10 {
		for pid := int32(1); pid <= 3; pid++ {
			b.Samples([]core.Sample{
				{Proc: key(pid), Desc: bytesDesc, Label: "receive", Value: 100},
				{Proc: key(pid), Desc: bytesDesc, Label: "transmit", Value: float64(pid)},
				{Proc: key(pid), Desc: rttDesc, Value: float64(pid) / 1000},
				{Proc: key(pid), Desc: queueDesc, Value: float64(10 * pid)},
				{Desc: rttDesc, Value: float64(i)},
			})
		}
		b.wait(time.Second)
	}
	s := b.look()
	p := processOf(t, s, 2)
	if len(p.Values) != 4 || p.Values[0].Label != "receive" || p.Values[0].V != 1000 || p.Values[1].V != 20 || p.Values[3].V != .002 {
		t.Errorf("%+v", p.Values)
	}
	near(t, "rate", p.Values[0].Rate, 100, 30)
	w := serviceOf(t, s, "web")
	if w.Values[0].V != 3000 || w.Values[1].V != 60 {
		t.Errorf("%+v", w.Values)
	}
	near(t, "largest of shared levels", w.Values[2].V, 30, 0)
	near(t, "mean of levels in seconds", w.Values[3].V, .002, 1e-9)
	if s.Machine[0].V != 9 {
		t.Errorf("%+v", s.Machine)
	}
	if s = b.wait(20 * time.Second); processOf(t, s, 2).Values[0].Rate != 0 {
		t.Error("a rate without samples")
	}
}

func TestSelfCostLossAndCompleteness(t *testing.T) {
	var programs []core.Program
	b := newBench(t, func(c *Config) { c.Programs = func() []core.Program { return programs } })
	if s := b.look(); !math.IsNaN(s.Self.BPFRatio) || !math.IsNaN(s.Self.Completeness) || s.Self.Lost != nil {
		t.Errorf("%+v", s.Self)
	}
	programs = []core.Program{{Unit: "u", Name: "b", RunTime: 20 * time.Millisecond, Measured: time.Second}, {Unit: "u", Name: "a", RunTime: 10 * time.Millisecond, Measured: time.Second, Misses: 4}}
	b.own.CPU += 50 * time.Millisecond
	b.Lost("ring", "requests", 7)
	b.Coverage([]core.Coverage{{Proc: key(1), Exchanges: 100, Parsed: 93, Lost: 7}})
	s := b.wait(time.Second)
	near(t, "bpf", s.Self.BPFRatio, .03, 1e-9)
	near(t, "cpu", s.Self.CPURatio, .05, 1e-9)
	near(t, "completeness", s.Self.Completeness, .93, 1e-9)
	if s.Self.Lost["ring/requests"] != 7 || s.Self.Lost["hook/recursion"] != 4 || s.Self.LostTotal != 11 || s.Programs[0].Name != "a" || s.Programs[0].Ratio != .01 {
		t.Errorf("%+v", s.Self)
	}
	programs = []core.Program{{Unit: "u", Name: "a", RunTime: 40 * time.Millisecond, Measured: 2 * time.Second, Misses: 4}}
	s = b.wait(time.Second)
	near(t, "bpf later", s.Self.BPFRatio, .03, 1e-9)
	programs[0].Misses = 1 // attached anew
	if s = b.wait(time.Second); s.Self.Lost["hook/recursion"] != 5 {
		t.Errorf("%+v", s.Self.Lost)
	}
	programs = nil
	if s = b.wait(time.Second); !math.IsNaN(s.Self.BPFRatio) {
		t.Error("a cost without programs")
	}
}

func TestInFlight(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	b.Requests([]core.Request{b.request(7, "/", 200, time.Millisecond)})
	b.InFlight([]core.InFlight{{Proc: key(7), Role: core.RoleServer, Count: 3, Oldest: b.mono - int64(2*time.Second)}, {Proc: key(7), Role: core.RoleClient, Count: 1, Oldest: b.mono}})
	s := b.wait(time.Second)
	for what, red := range map[string]core.RED{"process": processOf(t, s, 7).Server, "service": serviceOf(t, s, "web").Server, "machine": s.Totals.Server} {
		if red.InFlight != 3 || red.Oldest != 3*time.Second {
			t.Errorf("%s: %d, oldest %v", what, red.InFlight, red.Oldest)
		}
	}
	if s.Requests[0].InFlight != -1 {
		t.Error("which row is in flight is not known")
	}
	b.InFlight(nil)
	s = b.wait(time.Second)
	if processOf(t, s, 7).Server.InFlight != 0 || serviceOf(t, s, "web").Client.InFlight != 0 || s.Totals.Server.InFlight != 0 {
		t.Error("still in flight")
	}
}

// Partial requests without a duration are counted, and say nothing of latency.
func TestPartialWithoutDuration(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	r := b.request(7, "/", 200, 0)
	r.Partial, r.Count = true, 5
	b.Requests([]core.Request{r, b.request(7, "/", 200, 10*time.Millisecond)})
	s := b.wait(time.Second)
	if q := s.Requests[0]; q.Count != 6 || q.Partial != 5 || q.Duration.Count != 1 {
		t.Errorf("%+v", q)
	}
	near(t, "p50", processOf(t, s, 7).Server.P50, .01, .0001)
}

// Everything at once, for the race detector; the counts are exact in the end.
func TestManyAtOnce(t *testing.T) {
	e := New(Config{Tick: 5 * time.Millisecond, Grace: 50 * time.Millisecond, Limits: Limits{Queue: 4}})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	var wg sync.WaitGroup
	for g := range int32(4) {
		wg.Go(func() {
			for i := range int32(200) {
				pid := g*1000 + i%20 + 1
				k := core.ProcKey{PID: pid, Birth: uint64(i / 20)}
				p := proc(pid, fmt.Sprintf("s%d", g))
				p.ProcKey = k
				e.ProcessUp(p)
				e.Requests([]core.Request{{Proc: k, Role: core.RoleServer, Protocol: "http", Method: "GET", Route: "/", Status: 200, Duration: 1e6}})
				e.Usage([]core.Usage{{ProcKey: k, CPUUser: int64(i)}})
				e.Samples([]core.Sample{{Proc: k, Desc: bytesDesc, Label: "receive", Value: 1}})
				e.ProcessDown(k, core.Exit{Known: true}, time.Now())
				e.Lost("a", "b", 1)
			}
		})
	}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for {
			changed := e.Changed()
			s := e.Latest()
			for _, r := range s.Requests {
				_ = r.Duration.Quantile(.5)
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	wg.Wait()
	s := e.Flush(ctx)
	time.Sleep(60 * time.Millisecond)
	s = e.Flush(ctx)
	stop()
	<-done
	<-reading
	total := uint64(0)
	for _, svc := range s.Services {
		total += svc.Server.Count
	}
	rows := uint64(0)
	for _, list := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range list {
			rows += r.Count
		}
	}
	if total != 800 || rows != 800 || s.Self.LostTotal != 800 || len(s.Processes) != 0 {
		t.Errorf("services %d, rows %d, lost %d, processes %d", total, rows, s.Self.LostTotal, len(s.Processes))
	}
}
