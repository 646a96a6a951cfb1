package engine

import (
	"fmt"
	"testing"
	"time"

	"vitals/core"
)

// Metrics of a process that ended leave after the grace; they are not frozen.
func TestI60_MetricsOfEndedProcessesExpire(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Grace = 5 * time.Minute })
	b.ProcessUp(proc(7, "web"))
	b.Requests([]core.Request{b.request(7, "/", 200, time.Millisecond)})
	b.Samples([]core.Sample{{Proc: key(7), Desc: rttDesc, Value: .01}})
	b.wait(time.Second)
	b.ProcessDown(key(7), core.Exit{Known: true}, b.state.cfg.Now())
	if r := processOf(t, b.wait(4*time.Minute), 7); r.Alive || r.Server.Rate != 0 || r.Ended.IsZero() {
		t.Errorf("within the grace: %+v", r)
	}
	s := b.wait(2 * time.Minute)
	if len(s.Processes) != 0 || len(s.Requests) != 0 {
		t.Errorf("%d processes, %d rows of requests after the grace", len(s.Processes), len(s.Requests))
	}
	for _, v := range serviceOf(t, s, "web").Values {
		if v.Desc == rttDesc {
			t.Errorf("a level of nobody: %+v", v)
		}
	}
}

// What a ring could not hold is counted for the unit whose ring it was.
func TestI63_LostRecordsAreCountedPerUnit(t *testing.T) {
	b := newBench(t)
	b.Lost("ring", "lifecycle", 5)
	b.Lost("ring", "requests", 2)
	b.Lost("ring", "lifecycle", 1)
	s := b.wait(11 * time.Second)
	if s.Self.Lost["ring/lifecycle"] != 6 || s.Self.Lost["ring/requests"] != 2 || s.Self.LostTotal != 8 {
		t.Errorf("lost %v", s.Self.Lost)
	}
	row(t, s.Events, "of the loss", func(e core.Event) bool { return e.Kind == core.EventLost })
}

// Whoever comes late gets a snapshot with everything that holds, and from there
// on every event by its number, without a gap.
func TestI64_LateSubscriberGetsASnapshotFirst(t *testing.T) {
	b := newBench(t)
	phases := []core.Phase{core.PhaseAttaching, core.PhaseStarting, core.PhaseRunning}
	change := func(i int, to core.Phase) {
		id := fmt.Sprint("instrumentation/k", i)
		b.Unit(core.UnitRow{ID: id, Class: core.ClassInstrumentation, Kind: fmt.Sprint("k", i), Phase: to})
		b.Event(core.Event{Kind: core.EventUnit, Unit: id, To: string(to)})
	}
	for i := range 5 {
		for _, p := range phases {
			change(i, p)
		}
	}
	b.look()
	late, changed := b.Latest(), b.Changed()
	if len(late.Units) != 5 || late.Units[4].Phase != core.PhaseRunning || len(late.Events) != 15 {
		t.Fatalf("%d units, %d events", len(late.Units), len(late.Events))
	}
	for i, e := range late.Events {
		if e.Seq != uint64(i+1) {
			t.Fatalf("event %d has number %d", i, e.Seq)
		}
	}
	change(0, core.PhaseBackoff)
	b.look()
	select {
	case <-changed:
	default:
		t.Error("the subscriber is not told")
	}
	next := b.Latest()
	if e := next.Events[len(next.Events)-1]; e.Seq != late.Events[14].Seq+1 || e.To != "backoff" || next.Seq <= late.Seq {
		t.Errorf("event %+v, snapshots %d and %d", e, late.Seq, next.Seq)
	}
}
