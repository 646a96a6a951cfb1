package usage

import (
	"math"
	"testing"

	"vitals/core"
)

func thread(pid uint32, runtime, ended uint64) *usageLook {
	l := &usageLook{Pid: pid, Birth: uint64(pid) * 10, Threads: 2, RssPages: -1, SizePages: -1, Fds: -1}
	l.Thread.Runtime, l.Thread.User = runtime, runtime
	l.Ended.Runtime, l.Ended.User = ended, ended
	return l
}

// A thread that ends between the first and the last look at its process is
// missing for a moment: the sum stands still and does not fall, and is not
// counted twice when the order is the other way round.
func TestThreadEndsWhileWeLook(t *testing.T) {
	table := newTable()
	look := func(threads ...*usageLook) int64 {
		table.begin(true)
		for _, l := range threads {
			table.add(l)
		}
		out := table.end()
		if len(out) != 1 {
			t.Fatalf("%d processes, want 1", len(out))
		}
		return out[0].CPUUser + out[0].CPUSystem
	}
	for i, c := range []struct {
		threads []*usageLook
		want    int64
	}{
		{[]*usageLook{thread(1, 100, 0), thread(1, 500, 0)}, 600},
		{[]*usageLook{thread(1, 110, 0)}, 600},                      // the second ended after the first was read
		{[]*usageLook{thread(1, 120, 510)}, 630},                    // now it is among the ended
		{[]*usageLook{thread(1, 130, 510), thread(1, 7, 517)}, 647}, // a later record's sum of the ended is not added
	} {
		if got := look(c.threads...); got != c.want {
			t.Errorf("look %d: %d, want %d", i, got, c.want)
		}
	}
}

func TestReusedPidIsAnotherProcess(t *testing.T) {
	table := newTable()
	table.begin(true)
	table.add(thread(1, 1000, 0))
	table.end()
	again := thread(1, 3, 0)
	again.Birth++
	table.begin(true)
	table.add(again)
	out := table.end()
	if len(out) != 1 || out[0].CPUUser != 3 || out[0].Birth != again.Birth {
		t.Errorf("got %+v", out)
	}
}

func TestUnknownStaysUnknown(t *testing.T) {
	table := newTable()
	l := thread(1, 5, 0)
	l.Thread.ReadBytes, l.Ended.ReadBytes = -1, -1
	table.begin(true)
	table.add(l)
	if u := table.end()[0]; u.ReadBytes != -1 || u.WriteBytes != -1 || u.RSS != -1 || u.FDs != -1 {
		t.Errorf("got %+v", u)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name                  string
		runtime, user, system uint64
		lastUser, lastSystem  int64
		wantUser, wantSystem  int64
	}{
		{"no ticks yet", 5, 0, 0, 0, 0, 5, 0},
		{"only user", 500, 4, 0, 0, 0, 500, 0},
		{"only system", 500, 0, 4, 0, 0, 0, 500},
		{"both", 1000, 1, 3, 0, 0, 250, 750},
		{"never falls", 1000, 3, 1, 0, 750, 250, 750},
		{"nothing new", 700, 1, 1, 300, 400, 300, 400},
		{"less than told", 600, 1, 1, 300, 400, 300, 400},
		{"years", 1 << 60, 1 << 60, 1 << 60, 0, 0, 1 << 59, 1 << 59},
		{"nonsense", math.MaxInt64, 1, math.MaxUint64, 3, 4, 3, math.MaxInt64 - 3},
	} {
		user, system := split(c.runtime, c.user, c.system, c.lastUser, c.lastSystem)
		if user != c.wantUser || system != c.wantSystem {
			t.Errorf("%s: %d and %d, want %d and %d", c.name, user, system, c.wantUser, c.wantSystem)
		}
	}
}

// After a burst, memory goes back; in the steady state nothing is allocated.
func TestTableIsBoundedAndDoesNotAllocate(t *testing.T) {
	table := newTable()
	look := func(n uint32) []core.Usage {
		table.begin(true)
		for pid := range n {
			table.add(thread(pid+1, 10, 0))
		}
		return table.end()
	}
	look(5000)
	look(10)
	if len(look(10)) != 10 || len(table.processes) != 10 || len(table.free) > 74 {
		t.Errorf("%d processes and %d free after the burst", len(table.processes), len(table.free))
	}
	l := thread(1, 10, 0)
	allocs := testing.AllocsPerRun(100, func() {
		table.begin(true)
		for pid := range uint32(10) {
			l.Pid, l.Birth = pid+1, uint64(pid+1)*10
			table.add(l)
		}
		table.end()
	})
	if allocs != 0 {
		t.Errorf("%v allocations a look", allocs)
	}
}

func BenchmarkTable2000(b *testing.B) {
	table := newTable()
	l := thread(1, 10, 0)
	b.ReportAllocs()
	for b.Loop() {
		table.begin(true)
		for pid := range uint32(2000) {
			l.Pid, l.Birth = pid+1, uint64(pid+1)*10
			table.add(l)
		}
		table.end()
	}
}
