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
