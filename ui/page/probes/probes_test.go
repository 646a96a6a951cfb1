package probes

import (
	"strings"
	"testing"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/page"
)

// A unit that watches the whole machine is not one that nobody uses.
func TestUsedBy(t *testing.T) {
	c := &page.Context{Snap: &core.Snapshot{Kinds: []core.KindRow{{Kind: "lifecycle"}, {Kind: "requests", PerProcess: true}}}}
	for _, tt := range []struct {
		unit core.UnitRow
		want string
	}{
		{core.UnitRow{Kind: "lifecycle", Phase: core.PhaseRunning}, "all"},
		{core.UnitRow{Kind: "lifecycle", Phase: core.PhaseOff}, ""},
		{core.UnitRow{Kind: "requests", Phase: core.PhaseRunning}, "0"},
		{core.UnitRow{Kind: "requests", Phase: core.PhaseRunning, Processes: 12}, "12"},
	} {
		cv := &canvas.Canvas{}
		cv.Reset(7, 1)
		drawUsers(c, &tt.unit, cv.All())
		if got := strings.TrimSpace(cv.Text()); got != tt.want {
			t.Errorf("%s %s with %d: %q, want %q", tt.unit.Kind, tt.unit.Phase, tt.unit.Processes, got, tt.want)
		}
	}
}
