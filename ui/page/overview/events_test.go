package overview

import (
	"testing"
	"time"

	"vitals/core"
)

// What comes and goes within a second does not push the server that was killed
// off the screen; what ends badly is told however short it lived.
func TestShortLivedProcessesAreLeftOut(t *testing.T) {
	at := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	ev := func(ms int, kind core.EventKind, pid int32, bad string) core.Event {
		return core.Event{Seq: uint64(ms), At: at.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Proc: core.ProcKey{PID: pid, Birth: 1}, Error: bad}
	}
	all := []core.Event{
		ev(0, core.EventFork, 1, ""), ev(1, core.EventExec, 1, ""), // a server
		ev(10, core.EventExec, 2, ""), ev(30, core.EventExit, 2, ""), // curl
		ev(40, core.EventExec, 3, ""), ev(60, core.EventExit, 3, "killed by SIGSEGV"), // curl that crashed
		ev(100, core.EventExit, 4, ""), // began before the log does
		ev(200, core.EventUnit, 0, ""),
		ev(5000, core.EventExit, 1, "killed by SIGKILL"),
		ev(5900, core.EventExec, 5, ""), // who knows yet
	}
	var got []uint64
	for _, e := range recent(nil, all, at.Add(6*time.Second)) {
		got = append(got, e.Seq)
	}
	want := []uint64{5000, 200, 100, 60, 1, 0}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	if last := recent(nil, all, at.Add(8*time.Second)); last[0].Proc.PID != 5 {
		t.Errorf("the process that stayed is not told: %+v", last[0])
	}
}
