package expose

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

func TestD25_HealthOfEveryUnitIsAMetric(t *testing.T) {
	now := time.Now()
	unit := func(id string, class core.Class, p core.Phase, h core.Health) *core.UnitRow {
		return &core.UnitRow{ID: id, Class: class, Kind: "k", Phase: p, Health: h}
	}
	s := &core.Snapshot{At: now, Units: []*core.UnitRow{
		unit("ok", core.ClassInstrumentation, core.PhaseRunning, core.HealthOK),
		unit("degraded", core.ClassInstrumentation, core.PhaseRunning, core.HealthDegraded),
		unit("failed", core.ClassInstrumentation, core.PhaseFailed, core.HealthPermanent),
		unit("off", core.ClassInstrumentation, core.PhaseOff, core.HealthStopped),
		unit("pushing", core.ClassDestination, core.PhaseRunning, core.HealthOK),
		unit("stumbling", core.ClassDestination, core.PhaseRunning, core.HealthOK),
		unit("failing", core.ClassDestination, core.PhaseRunning, core.HealthOK),
		unit("never", core.ClassDestination, core.PhaseRunning, core.HealthOK),
		unit("refused", core.ClassDestination, core.PhaseRunning, core.HealthOK),
		unit("asked", core.ClassIntegration, core.PhaseRunning, core.HealthOK),
	}, Push: []*core.PushRow{
		{Unit: "pushing", LastSuccess: now},
		{Unit: "stumbling", LastSuccess: now.Add(-10 * time.Second), Consecutive: 1},
		{Unit: "failing", LastSuccess: now.Add(-10 * time.Minute), Consecutive: 9},
		{Unit: "never", Consecutive: 1},
		{Unit: "refused", LastSuccess: now, State: "failed", Consecutive: 1},
	}, Integrations: []*core.IntegrationRow{{ID: "asked", Health: core.HealthRecovering, State: core.IntegrationFailed}}}
	var b bytes.Buffer
	if err := WriteText(&b, Families(s)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`state="ok",unit="ok"} 1`, `state="degraded",unit="degraded"} 1`, `state="permanent",unit="failed"} 0`,
		`state="ok",unit="pushing"} 1`, `state="recovering",unit="stumbling"} 1`, `state="recovering",unit="failing"} 0`,
		`state="recovering",unit="never"} 0`, `state="permanent",unit="refused"} 0`, `state="recovering",unit="asked"} 0`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(b.String(), `unit="off"} `+"1") || strings.Contains(b.String(), `state="stopped"`) {
		t.Error("a unit that nobody wants has a health")
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

func TestOfKind(t *testing.T) {
	for family, kind := range map[string]string{"http_server_request_duration_seconds": "requests", "process_cpu_time_seconds_total": "usage", "target_info": "lifecycle"} {
		for _, k := range []string{"requests", "usage", "lifecycle", "network", ""} {
			if OfKind(k, family) != (k == kind) {
				t.Errorf("%s %s", k, family)
			}
		}
	}
}
