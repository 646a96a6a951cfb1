package requests

import (
	"maps"
	"os"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// settle waits until the last exchanges have been swept, where nobody stands still.
func settle() {
	wait := 1100 * time.Millisecond
	if os.Getenv("VITALS_SLOW") != "" {
		wait *= 4
	}
	time.Sleep(wait)
}

// wait gives what is missing time to come, for the machine may stand still for
// seconds.
func wait(ok func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !ok() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// expect waits until what is counted of a process is what it did, and longer than
// anything takes that would be too much.
func (s *sink) expect(t *testing.T, what string, who core.ProcKey, want map[string]uint64) {
	t.Helper()
	settle()
	wait(func() bool { return maps.Equal(s.of(who), want) })
	same(t, what, s.of(who), want)
}

// settled has all told that is known of processes whose calls are over.
func (r *running) settled(who ...*child) {
	r.t.Helper()
	for _, c := range who {
		kerntest.CallsEnded(r.t, c.Process.Pid)
	}
	r.env.Settling.Settle(r.t.Context())
}

func same(t *testing.T, what string, got, want map[string]uint64) {
	t.Helper()
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %s: counted %d, want %d", what, k, got[k], n)
		}
	}
	for k, n := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s: counted %d, want none", what, k, n)
		}
	}
}
