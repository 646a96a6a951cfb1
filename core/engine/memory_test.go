package engine

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"vitals/core"
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Memory for what is idle, and for what was active, stays small.
func TestMemoryIsBounded(t *testing.T) {
	before := heap()
	b := newBench(t)
	var usage []core.Usage
	for p := range int32(2000) {
		b.ProcessUp(proc(p+1, fmt.Sprintf("s%d", p%300)))
		usage = append(usage, usageOf(p+1, 1e9))
		b.drain()
	}
	b.Usage(usage)
	b.wait(3 * time.Second)
	idle := heap() - before
	t.Logf("2,000 idle processes: %d KiB", idle>>10)
	if idle > 8<<20 {
		t.Errorf("2,000 idle processes take %d KiB", idle>>10)
	}
	list := requestsOf(b, 50, 100)
	for i := range list {
		list[i].Duration = time.Duration(1+i%977) * 300 * time.Microsecond
		list[i].FirstByte = list[i].Duration / 3
	}
	for range 20 {
		for i := range list {
			list[i].Start += 1e9
		}
		b.Requests(list)
		b.wait(time.Second)
	}
	active := heap() - before - idle
	t.Logf("5,000 active series: %d KiB", active>>10)
	if active > 30<<20 {
		t.Errorf("5,000 active series take %d KiB", active>>10)
	}
	runtime.KeepAlive(b)
}

// A script that starts a client for each request leaves thousands of ended
// processes with counts: they keep those and nothing else, and only so many.
func TestEndedClientsKeepTheirCountsOnly(t *testing.T) {
	before := heap()
	b := newBench(t)
	const all = 9000
	for pid := int32(1); pid <= all; pid++ {
		b.ProcessUp(proc(pid, "curl"))
		r := b.request(pid, "/health", 200, time.Millisecond)
		r.Role = core.RoleClient
		b.Requests([]core.Request{r})
		b.pass(5 * time.Millisecond)
		b.ProcessDown(key(pid), core.Exit{Known: true}, begin.Add(time.Duration(b.mono-beginMono)))
		b.drain()
		if pid%200 == 0 {
			b.look()
		}
	}
	s := b.wait(20 * time.Second)
	grown := heap() - before
	t.Logf("%d ended clients: %d KiB, %d rows", all, grown>>10, len(s.Requests))
	if grown > 12<<20 {
		t.Errorf("%d ended clients take %d KiB", all, grown>>10)
	}
	if got := serviceOf(t, s, "curl").Client.Count; got != all {
		t.Errorf("the service counts %d, want %d", got, all)
	}
	var rows uint64
	for _, list := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range list {
			rows += r.Count
		}
	}
	if rows != all {
		t.Errorf("rows add up to %d, want %d", rows, all)
	}
	if last := s.Processes[len(s.Processes)-1]; last.RateTrend != nil || last.Heat != nil || last.Client.Count != 1 {
		t.Errorf("an ended process keeps its past: %+v", last)
	}
	runtime.KeepAlive(b)
}
