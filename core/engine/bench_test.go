package engine

import (
	"fmt"
	"testing"
	"time"

	"vitals/core"
)

func requestsOf(b *bench, procs, routes int) []core.Request {
	list := make([]core.Request, 0, procs*routes)
	for r := range routes {
		for p := range procs {
			list = append(list, b.request(int32(p+1), fmt.Sprintf("/api/v1/things/{id}/part%d", r), 200, time.Duration(r+1)*time.Millisecond))
		}
	}
	return list
}

// Each request of a process that serves some routes, in batches of 256.
func BenchmarkRecord(b *testing.B) {
	e := newBench(b)
	for p := range 10 {
		e.ProcessUp(proc(int32(p+1), fmt.Sprintf("s%d", p%3)))
	}
	e.look()
	list := requestsOf(e, 10, 20)
	for i := range list {
		list[i].Role = core.RoleServer
	}
	work := &batch[core.Request]{items: list, at: e.mono}
	e.state.requests(work)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e.mono += 1e5
		for i := range list {
			list[i].Start += 1e5
		}
		work.at = e.mono
		e.state.requests(work)
		n += len(list)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
}

func TestRecordAllocatesNothing(t *testing.T) {
	e := newBench(t)
	list := requestsOf(e, 10, 20)
	work := &batch[core.Request]{items: list, at: e.mono}
	for range 30 {
		e.pass(time.Second)
		for i := range list {
			list[i].Start += 1e9
		}
		work.at = e.mono
		e.state.requests(work)
	}
	if n := testing.AllocsPerRun(100, func() { e.state.requests(work) }); n != 0 {
		t.Errorf("%v allocations for %d requests", n, len(list))
	}
}

// A tick with 2,000 idle processes whose usage is told.
func BenchmarkBuildIdle(b *testing.B) {
	e := newBench(b)
	var usage []core.Usage
	for p := range int32(2000) {
		e.ProcessUp(proc(p+1, fmt.Sprintf("s%d", p%300)))
		usage = append(usage, usageOf(p+1, 1e9))
		e.drain()
	}
	e.Usage(usage)
	e.look()
	b.ReportAllocs()
	for b.Loop() {
		e.pass(time.Second)
		e.Usage(usage)
		e.look()
	}
}

// A tick with 10,000 rows of which 500 are active.
func BenchmarkBuildActive(b *testing.B) {
	e := newBench(b)
	for p := range int32(500) {
		e.ProcessUp(proc(p+1, fmt.Sprintf("s%d", p%50)))
		e.drain()
	}
	all := requestsOf(e, 500, 20)
	e.Requests(all)
	e.look()
	e.wait(15 * time.Second)
	active := all[:500]
	b.ReportAllocs()
	for b.Loop() {
		e.pass(time.Second)
		for i := range active {
			active[i].Start = e.mono - 1e6
		}
		e.Requests(active)
		e.look()
	}
}
