package engine

import (
	"testing"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// A process that was killed is an event with an error; one that was asked to end,
// or that says no with its exit code, is not.
func TestEndsThatAreErrors(t *testing.T) {
	for _, c := range []struct {
		exit core.Exit
		want string
	}{
		{core.Exit{}, ""},
		{core.Exit{Known: true, Code: 1}, ""},
		{core.Exit{Known: true, Signal: int(unix.SIGTERM)}, ""},
		{core.Exit{Known: true, Signal: int(unix.SIGKILL)}, "killed by SIGKILL"},
		{core.Exit{Known: true, Signal: int(unix.SIGSEGV), Core: true}, "killed by SIGSEGV"},
		{core.Exit{Known: true, Signal: 120}, "killed by signal 120"},
	} {
		if got := badEnd(c.exit); got != c.want {
			t.Errorf("%+v is %q, want %q", c.exit, got, c.want)
		}
	}
}
