package expose

import (
	"io"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

// Nothing counted is told as nothing only where requests could be seen.
func TestTableDoesNotCountWhatItCannotSee(t *testing.T) {
	for phase, want := range map[core.Phase]bool{core.PhaseRunning: true, core.PhaseUnsupp: false, core.PhaseOff: false} {
		s := &core.Snapshot{Window: time.Second, Units: []*core.UnitRow{{Class: core.ClassInstrumentation, Kind: "requests", Phase: phase}},
			Services:  []*core.ServiceRow{{Name: "nginx", PIDs: []int32{7}}},
			Processes: []*core.ProcessRow{{Process: &core.Process{Service: "nginx", Listeners: []core.Listener{{Network: "tcp"}}}, Alive: true}}}
		text := string(written(t, func(w io.Writer) error { return WriteTable(w, s) }))
		if got := strings.Contains(text, "no requests were seen") && strings.Contains(text, "SERVED"); got != want {
			t.Errorf("%s: counts are told: %v, want %v\n%s", phase, got, want, text)
		}
		if blind := strings.Contains(text, "requests were not watched"); blind == want || !strings.Contains(text, "nginx") {
			t.Errorf("%s:\n%s", phase, text)
		}
	}
}
