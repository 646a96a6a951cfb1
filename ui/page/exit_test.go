package page

import (
	"testing"

	"vitals/core"
)

func TestExitText(t *testing.T) {
	for want, e := range map[string]core.Exit{
		"ended":      {},
		"exit 3":     {Known: true, Code: 3},
		"SIGKILL":    {Known: true, Signal: 9},
		"signal 120": {Known: true, Signal: 120},
	} {
		if got := ExitText(e); got != want {
			t.Errorf("%+v is %q, want %q", e, got, want)
		}
	}
}
