package overview

import (
	"slices"
	"testing"
	"time"

	"vitals/core"
)

// What comes and goes within a second does not push the server that was killed
// off the screen; what ends badly is told however short it lived.
func TestShortLivedProcessesAreLeftOut(t *testing.T) {
	at := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	boot := at.Add(-time.Hour)
	ev := func(ms, born int, kind core.EventKind, pid int32, bad string) core.Event {
		return core.Event{Seq: uint64(ms), At: at.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Error: bad,
			Proc: core.ProcKey{PID: pid, Birth: uint64(time.Hour/(10*time.Millisecond)) + uint64(born/10)}}
	}
	all := []core.Event{
		ev(1, 0, core.EventFork, 1, ""), ev(2, 0, core.EventExec, 1, ""), // a server
		ev(10, 10, core.EventExec, 2, ""), ev(30, 10, core.EventExit, 2, ""), // curl
		ev(40, 40, core.EventExec, 3, ""), ev(60, 40, core.EventExit, 3, "killed by SIGSEGV"), // curl that crashed
		ev(100, 90, core.EventExit, 4, ""), // its beginning was lost in a storm
		ev(200, 0, core.EventUnit, 0, ""),
		ev(300, -5000, core.EventExec, 6, ""), // one that runs for long becomes another program
		ev(5000, 0, core.EventExit, 1, "killed by SIGKILL"),
		ev(5900, 5900, core.EventExec, 5, ""), // who knows yet
	}
	numbers := func(after time.Duration) (out []uint64) {
		s := &core.Snapshot{At: at.Add(after), Host: core.Host{BootTime: boot}}
		for _, e := range recent(nil, s, all) {
			out = append(out, e.Seq)
		}
		return out
	}
	if got, want := numbers(6*time.Second), []uint64{5000, 300, 200, 60, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := numbers(8 * time.Second); got[0] != 5900 {
		t.Errorf("the process that stayed is not told: %v", got)
	}
}
