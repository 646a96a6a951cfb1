package cli

import (
	"strings"
	"testing"
)

func TestWhy(t *testing.T) {
	f := newFixture(t)
	if code, _, stderr, got := f.run("why", "nginx", "--dry-run", "-o", "json"); code != ExitOK || got.action != "why nginx" || !got.opts.Rehearse || got.opts.Output != "json" {
		t.Errorf("exit %d, %+v, %q", code, got, stderr)
	}
	if code, _, _, got := f.run("why", "17"); code != ExitOK || got.action != "why 17" || got.opts.Rehearse || got.opts.Output != "text" {
		t.Errorf("exit %d, %+v", code, got)
	}
	for _, bad := range []string{"why", "why a b", "why 1 -o xml", "why 1 --include planet=x"} {
		if code, _, stderr, got := f.run(strings.Fields(bad)...); code != ExitUsage || got.action != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", bad, code, stderr)
		}
	}
}
