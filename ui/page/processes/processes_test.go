package processes

import (
	"testing"

	"vitals/core"
	"vitals/ui/page"
)

// A shell loop of short clients must not push the idle servers of the machine
// off the list: what has ended comes last, and is counted.
func TestEndedProcessesComeAfterAllThatLive(t *testing.T) {
	up := func(pid int32, rate float64, alive bool) *core.ProcessRow {
		r := &core.ProcessRow{Process: &core.Process{ProcKey: core.ProcKey{PID: pid, Birth: 1}, Comm: "x"}, Alive: alive}
		r.Client = core.RED{Count: 9, Rate: rate}
		return r
	}
	p := New()
	c := &page.Context{Snap: &core.Snapshot{Processes: []*core.ProcessRow{up(1, 40, false), up(2, 0, true), up(3, 7, true), up(4, 900, false)}}}
	p.Update(c)
	var got []int32
	for i := range p.rows {
		got = append(got, p.rows[i].PID)
	}
	if want := [...]int32{3, 2, 1, 4}; len(got) != len(want) || [4]int32(got) != want {
		t.Errorf("order is %v, want %v", got, want)
	}
	if p.ended != 2 || p.total != 4 {
		t.Errorf("%d ended of %d, want 2 of 4", p.ended, p.total)
	}
}

// A proxy answers and makes the same request: the preview tells which is which.
func TestTopRoutesTellCallsApart(t *testing.T) {
	k := core.ProcKey{PID: 1, Birth: 1}
	s := &core.Snapshot{Requests: []*core.RequestRow{
		{Proc: k, Role: core.RoleServer, Method: "GET", Route: "/a", Rate: 5}, {Proc: k, Role: core.RoleClient, Method: "GET", Route: "/a", Rate: 4},
	}}
	if got, want := topRoutes(s, k), "GET /a 5/s   GET → /a 4/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
