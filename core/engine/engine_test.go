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

// bench is an engine whose goroutine and clocks are the test's own.
type bench struct {
	*Engine
	t    testing.TB
	mono int64
	own  OwnUsage
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const beginMono = int64(1000 * time.Second)

func newBench(t testing.TB, change ...func(*Config)) *bench {
	b := &bench{t: t, mono: beginMono}
	cfg := Config{
		Host:  core.Host{Name: "box", Instance: "box", CPUs: 2},
		Kinds: []core.KindRow{{Kind: "requests", Title: "Requests", PerProcess: true}, {Kind: "usage", Title: "Usage"}},
		Now:   func() time.Time { return begin.Add(time.Duration(b.mono - beginMono)) },
		Mono:  func() int64 { return b.mono },
		Own:   func() OwnUsage { return b.own },
	}
	for _, c := range change {
		c(&cfg)
	}
	b.Engine = New(cfg)
	return b
}

// look applies what was handed over and ticks.
func (b *bench) look() *core.Snapshot {
	b.t.Helper()
	b.drain()
	b.state.tick()
	b.publish(true)
	return b.Latest()
}

func (b *bench) pass(d time.Duration) { b.mono += int64(d) }

// wait lets time pass as it does: with a tick each second.
func (b *bench) wait(d time.Duration) *core.Snapshot {
	b.t.Helper()
	for ; d >= time.Second; d -= time.Second {
		b.pass(time.Second)
		b.look()
	}
	b.pass(d)
	return b.look()
}

func key(pid int32) core.ProcKey { return core.ProcKey{PID: pid, Birth: uint64(pid) * 10} }

func proc(pid int32, service string) *core.Process {
	return &core.Process{ProcKey: key(pid), PPID: 1, Comm: service, Exe: "/usr/bin/" + service, Cmdline: service + " -d", Service: service, Started: begin.Add(-time.Hour)}
}

func (b *bench) request(pid int32, route string, status int, took time.Duration) core.Request {
	return core.Request{
		Proc: key(pid), Role: core.RoleServer, Protocol: core.ProtoHTTP, Method: "GET", Route: route, Status: status,
		Failed: status >= 500, Start: b.mono - int64(took), FirstByte: took / 2, Duration: took, BytesIn: 100, BytesOut: 1000,
	}
}

func row[T any](t testing.TB, list []T, what string, is func(T) bool) T {
	t.Helper()
	for _, r := range list {
		if is(r) {
			return r
		}
	}
	t.Fatalf("no row %s among %d", what, len(list))
	panic("unreachable")
}

func processOf(t testing.TB, s *core.Snapshot, pid int32) *core.ProcessRow {
	t.Helper()
	return row(t, s.Processes, fmt.Sprint(pid), func(r *core.ProcessRow) bool { return r.PID == pid })
}

func serviceOf(t testing.TB, s *core.Snapshot, name string) *core.ServiceRow {
	t.Helper()
	return row(t, s.Services, name, func(r *core.ServiceRow) bool { return r.Name == name })
}

func near(t testing.TB, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestRequestsBecomeRowsAndRED(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	for range 10 {
		for i := range 100 {
			r := b.request(7, "/a", 200, 10*time.Millisecond)
			if i%10 == 0 {
				r = b.request(7, "/b", 500, 100*time.Millisecond)
			}
			b.Requests([]core.Request{r})
			b.pass(10 * time.Millisecond)
		}
		b.look()
	}
	s := b.look()
	if len(s.Requests) != 2 {
		t.Fatalf("%d rows, want 2", len(s.Requests))
	}
	a := s.Requests[0]
	if a.Route != "/a" || a.Count != 900 || a.BytesIn != 90000 || a.BytesOut != 900000 || a.Service != "web" || a.Proc != key(7) {
		t.Errorf("%+v", a)
	}
	near(t, "p50 of /a", a.Duration.Quantile(.5), .010, .0001)
	near(t, "first byte of /a", a.FirstByte.Quantile(.5), .005, .0001)
	near(t, "rate of /a", a.Rate, 90, .1)
	if s.Requests[1].Count != 100 || !s.Requests[1].Failed {
		t.Errorf("%+v", s.Requests[1])
	}
	for what, red := range map[string]core.RED{"process": processOf(t, s, 7).Server, "service": serviceOf(t, s, "web").Server, "machine": s.Totals.Server} {
		if red.Count != 1000 || red.Errors != 100 {
			t.Errorf("%s counts %d and %d errors", what, red.Count, red.Errors)
		}
		near(t, what+" rate", red.Rate, 100, .1)
		near(t, what+" error ratio", red.ErrRatio, .1, .001)
		near(t, what+" p50", red.P50, .010, .0005)
		near(t, what+" p99", red.P99, .1, .003)
		near(t, what+" max", red.Max, .1, 0)
	}
	s = b.wait(20 * time.Second)
	red := processOf(t, s, 7).Server
	if red.Rate != 0 || !math.IsNaN(red.P99) || red.Count != 1000 || s.Requests[0].Rate != 0 {
		t.Errorf("after a silence: %+v", red)
	}
}

// Rows that did not change are the same pointers, slices too.
func TestUnchangedRowsKeepTheirPointer(t *testing.T) {
	b := newBench(t)
	for pid := int32(1); pid <= 20; pid++ {
		b.ProcessUp(proc(pid, fmt.Sprintf("s%d", pid%5)))
	}
	b.Requests([]core.Request{b.request(3, "/", 200, time.Millisecond)})
	b.wait(20 * time.Second)
	one := b.wait(time.Second)
	two := b.wait(time.Second)
	if &one.Processes[0] != &two.Processes[0] || &one.Requests[0] != &two.Requests[0] || &one.Services[0] != &two.Services[0] {
		t.Error("slices were copied although nothing changed")
	}
	b.Requests([]core.Request{b.request(4, "/", 200, time.Millisecond)})
	three := b.wait(time.Second)
	for i := range two.Processes {
		if same := two.Processes[i] == three.Processes[i]; same == (two.Processes[i].PID == 4) {
			t.Errorf("pid %d: same row is %v", two.Processes[i].PID, same)
		}
	}
	if two.Requests[0].Count != 1 || len(two.Requests) != 1 || len(three.Requests) != 2 {
		t.Error("a published snapshot changed")
	}
}

// Requests may be told before discovery tells of their process.
func TestPlaceholderIsJoined(t *testing.T) {
	b := newBench(t)
	b.Requests([]core.Request{b.request(9, "/early", 200, time.Millisecond), b.request(9, "/early", 503, time.Millisecond)})
	s := b.wait(time.Second)
	if r := s.Requests[0]; r.Service != unknownService || serviceOf(t, s, unknownService).Server.Count != 2 {
		t.Errorf("%+v", r)
	}
	b.ProcessUp(proc(9, "api"))
	b.Requests([]core.Request{b.request(9, "/early", 200, time.Millisecond)})
	s = b.wait(time.Second)
	if len(s.Requests) != 2 || s.Requests[0].Service != "api" || s.Requests[0].Count != 2 {
		t.Errorf("%d rows, %+v", len(s.Requests), s.Requests[0])
	}
	api := serviceOf(t, s, "api")
	if api.Server.Count != 3 || api.Server.Errors != 1 || api.Latency.Count != 3 {
		t.Errorf("%+v", api.Server)
	}
	if len(s.Services) != 1 {
		t.Errorf("%d services: the unknown one should be gone", len(s.Services))
	}
	near(t, "edge", float64(s.Edges[0].Count), 3, 0)
}

// The counts of a service never fall: not when processes end, not when they are
// forgotten, not when one changes its service.
func TestServiceCountsAreMonotonic(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Grace = 10 * time.Second })
	total := func(s *core.Snapshot) (n uint64) {
		for _, list := range [][]*core.RequestRow{s.Requests, s.Retired} {
			for _, r := range list {
				if r.Service == "job" {
					n += r.Count
				}
			}
		}
		return n
	}
	want, last := uint64(0), uint64(0)
	for pid := int32(100); pid < 140; pid++ {
		b.ProcessUp(proc(pid, "job"))
		for range 5 {
			b.Requests([]core.Request{b.request(pid, "/x", 200, time.Millisecond)})
			want++
		}
		b.Usage([]core.Usage{usageOf(pid, 1e9)})
		b.Samples([]core.Sample{{Proc: key(pid), Desc: bytesDesc, Label: "receive", Value: 10}})
		s := b.wait(time.Second)
		if pid%3 == 0 {
			moved := proc(pid, "other-job")
			b.ProcessChanged(moved)
		}
		b.ProcessDown(key(pid), core.Exit{Known: true}, b.state.cfg.Now())
		s = b.wait(time.Second)
		n := total(s)
		if n < last || n != want {
			t.Fatalf("pid %d: service has %d, before %d, want %d", pid, n, last, want)
		}
		last = n
	}
	s := b.wait(30 * time.Second)
	if total(s) != want || len(s.Requests) != 0 || serviceOf(t, s, "job").Server.Count != want {
		t.Errorf("in the end %d of %d, %d live rows", total(s), want, len(s.Requests))
	}
	if got := s.Retired[0].Duration; got.Count != want || got.Classic[1] != want {
		t.Errorf("retired distribution %+v", got)
	}
	job := serviceOf(t, s, "job")
	if job.Usage.CPUUser != 40e9 || job.Values[0].V != 400 || job.Health != core.HealthStopped {
		t.Errorf("usage %+v values %+v health %v", job.Usage, job.Values, job.Health)
	}
	if len(s.Processes) != 0 {
		t.Errorf("%d processes stay", len(s.Processes))
	}
}

var bytesDesc = &core.Desc{Name: "process_network_io_bytes_total", Kind: core.Counter, Unit: "bytes", Label: "network_io_direction", Help: "Bytes"}
var queueDesc = &core.Desc{Name: "vitals_tcp_accept_queue_length", Kind: core.Gauge, Shared: true, Help: "Queue"}
var rttDesc = &core.Desc{Name: "vitals_tcp_rtt_seconds", Kind: core.Gauge, Unit: "seconds", Help: "RTT"}

func usageOf(pid int32, cpu int64) core.Usage {
	u := unknownUsage(key(pid))
	u.CPUUser, u.CPUSystem, u.RSS, u.Threads = cpu, 0, 1<<20, 2
	return u
}

// A request that is told after its short-lived process was buried still counts
// for the process' service.
func TestLateRequestOfAnEndedProcess(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(5, "curl"))
	b.ProcessDown(key(5), core.Exit{Known: true}, begin)
	if s := b.look(); len(s.Processes) != 0 {
		t.Fatal("an ended process without counts stays")
	}
	b.Requests([]core.Request{b.request(5, "/", 200, time.Millisecond)})
	s := b.look()
	if s.Requests[0].Service != "curl" || processOf(t, s, 5).Alive {
		t.Errorf("%+v", s.Requests[0])
	}
}

func TestCapsFoldIntoOther(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.RoutesPerProcess = 20 })
	b.ProcessUp(proc(7, "web"))
	for i := range 100 {
		b.Requests([]core.Request{b.request(7, fmt.Sprintf("/r%d", i), 200, time.Millisecond)})
		b.drain()
	}
	s := b.look()
	var sum uint64
	for _, r := range s.Requests {
		sum += r.Count
	}
	o := row(t, s.Requests, "other", func(r *core.RequestRow) bool { return r.Route == other })
	if len(s.Requests) != 21 || sum != 100 || o.Count != 80 || s.Self.Folded != 80 {
		t.Errorf("%d rows, %d requests, other %d, folded %d", len(s.Requests), sum, o.Count, s.Self.Folded)
	}
}

func TestUsageBecomesRatios(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	b.Usage([]core.Usage{usageOf(7, 0)})
	if s := b.look(); !math.IsNaN(processOf(t, s, 7).CPURatio) {
		t.Error("a ratio from one reading")
	}
	for i := range int64(12) {
		b.pass(time.Second)
		b.Usage([]core.Usage{usageOf(7, (i+1)*5e8)})
		b.look()
	}
	s := b.look()
	near(t, "cpu", processOf(t, s, 7).CPURatio, .5, 1e-9)
	near(t, "service cpu", serviceOf(t, s, "web").CPURatio, .5, 1e-9)
	near(t, "machine cpu", s.Totals.CPURatio, .25, 1e-9)
	trend := processOf(t, s, 7).CPUTrend.Points
	near(t, "trend", float64(trend[len(trend)-1]), .5, 1e-6)
	if r := serviceOf(t, s, "web"); r.RSSBytes != 1<<20 || r.Usage.Threads != 2 || r.Usage.FDs != -1 {
		t.Errorf("%+v", r.Usage)
	}
	s = b.wait(10 * time.Second)
	if !math.IsNaN(processOf(t, s, 7).CPURatio) {
		t.Error("the ratio is known although nobody tells usage any more")
	}
}

func TestFlushHasWhatWasHandedOver(t *testing.T) {
	e := New(Config{Tick: time.Hour})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	e.ProcessUp(proc(7, "web"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				e.Requests([]core.Request{{Proc: key(7), Role: core.RoleServer, Protocol: "http", Method: "GET", Route: "/", Status: 200, Duration: 1e6}})
			}
		})
	}
	wg.Wait()
	changed := e.Changed()
	s := e.Flush(ctx)
	if len(s.Requests) != 1 || s.Requests[0].Count != 2000 {
		t.Errorf("%d rows", len(s.Requests))
	}
	select {
	case <-changed:
	default:
		t.Error("Changed was not told")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	e.Requests([]core.Request{{Proc: key(7)}}) // does not block after the end
	if e.Flush(context.Background()) == nil {
		t.Error("no snapshot after the end")
	}
}

// A change in the life of a process is seen long before the tick, and changes
// in quick succession share a snapshot.
func TestLifecycleIsSeenAtOnce(t *testing.T) {
	e := New(Config{Tick: time.Hour})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go e.Run(ctx)
	first, start := e.Latest().Seq, time.Now()
	for pid := int32(1); len(e.Latest().Processes) <= 100; pid++ {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("of %d processes %d are seen", pid, len(e.Latest().Processes))
		}
		e.ProcessUp(proc(pid, "web"))
		time.Sleep(time.Millisecond)
	}
	if n, most := e.Latest().Seq-first, uint64(time.Since(start)/minGap)+2; n > most {
		t.Errorf("%d snapshots, %d are allowed in that time", n, most)
	}
}
