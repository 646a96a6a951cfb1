package expose

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"vitals/core"
	"vitals/core/calls"
)

func textOf(t *testing.T, s *core.Snapshot) string {
	t.Helper()
	return string(written(t, func(w io.Writer) error { return WriteText(w, Families(s)) }))
}

func find(t *testing.T, list []*dto.MetricFamily, name string) *dto.MetricFamily {
	t.Helper()
	i := slices.IndexFunc(list, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	if i < 0 {
		t.Fatalf("no family %s", name)
	}
	return list[i]
}

// Recording calls publishes nothing by itself: what is not in the snapshot that
// somebody asked for is not rendered.
func TestC02_NothingIsPublishedUnlessAskedFor(t *testing.T) {
	r := calls.New()
	c := core.StartCall(r, "push")
	c.End(nil)
	if text := textOf(t, &core.Snapshot{}); strings.Contains(text, "vitals_call") {
		t.Error(text)
	}
	if text := textOf(t, &core.Snapshot{Calls: r.Rows()}); !strings.Contains(text, `vitals_calls_total{op="push",outcome="ok"} 1`) {
		t.Error(text)
	}
}

// Rendering has no registry: a second time, and a second recorder, give the
// same families and no clash.
func TestC14_RenderingTwiceIsRenderingOnce(t *testing.T) {
	r := calls.New()
	r.Record("push", core.OutcomeOK, time.Second)
	s := &core.Snapshot{Calls: r.Rows()}
	first := textOf(t, s)
	calls.New().Record("push", core.OutcomeError, time.Second)
	if again := textOf(t, s); again != first {
		t.Errorf("first\n%s\nagain\n%s", first, again)
	}
}

func TestC15_NamesOfCallsFollowTheRules(t *testing.T) {
	r := calls.New()
	for i := range 200 {
		r.Record(fmt.Sprint("op", i), core.OutcomeOK, 20*time.Millisecond)
	}
	r.Begin("push")
	s := sample()
	s.Calls = r.Rows()
	families := Families(s)
	duration, ended, flying := find(t, families, "vitals_call_duration_seconds"), find(t, families, "vitals_calls_total"), find(t, families, "vitals_calls_in_flight")
	if len(duration.Metric) > calls.MaxOps || len(ended.Metric) > calls.MaxOps {
		t.Errorf("%d series of operations", len(duration.Metric))
	}
	h := duration.Metric[0].GetHistogram()
	if len(h.Bucket) == 0 || h.Schema == nil || len(h.PositiveSpan) == 0 {
		t.Errorf("not classic and native at once: %v", h)
	}
	other := false
	for _, m := range flying.Metric {
		other = other || m.Label[0].GetValue() == calls.Other
	}
	if !other || flying.GetType() != dto.MetricType_GAUGE || ended.GetType() != dto.MetricType_COUNTER {
		t.Errorf("in flight %v", flying)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "vitals_call") || strings.HasPrefix(p.Metric, "vitals_unit") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
	}
}

// The last duration is for the screen; it is not a series.
func TestC18_LastDurationIsNoSeries(t *testing.T) {
	s := &core.Snapshot{Calls: []core.CallRow{{Op: "push", Last: 1234567 * time.Millisecond}}}
	if text := textOf(t, s); strings.Contains(text, "1234") || strings.Contains(text, "_last") {
		t.Error(text)
	}
}

// Whoever no kind applies to is left out without an error, and counted by why.
func TestI02_SkippedProcessesAreCountedByReason(t *testing.T) {
	s := sample()
	for i, why := range []string{"kernel thread", "kernel thread", "excluded by rule user=backup"} {
		s.Processes = append(s.Processes, &core.ProcessRow{Process: &core.Process{ProcKey: core.ProcKey{PID: int32(100 + i)}, Skip: why}, Alive: true})
	}
	text := textOf(t, s)
	for _, want := range []string{`vitals_processes_skipped{reason="kernel thread"} 2`, `vitals_processes_skipped{reason="excluded by rule user=backup"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestI58_LifeOfUnitsIsPublished(t *testing.T) {
	s := sample()
	s.Units = append(s.Units, &core.UnitRow{ID: "instrumentation/tls", Class: core.ClassInstrumentation, Kind: "tls", Phase: core.PhaseBackoff, Health: core.HealthRecovering, Tries: 7, Failures: 6})
	s.Self.Queue = 3
	s.Calls = []core.CallRow{{Op: "attach", Begun: 7, Ended: map[core.Outcome]uint64{core.OutcomeOK: 1, core.OutcomeError: 6}, Duration: durations(5, 6)}}
	text := textOf(t, s)
	for _, want := range []string{
		`vitals_instrumented_by_language{language="go"} 1`,
		`vitals_instrumented_processes{kind="requests"} 1`,
		`vitals_unit_failures_total{kind="tls",unit="instrumentation/tls"} 6`,
		`vitals_unit_attempts_total{kind="tls",unit="instrumentation/tls"} 7`,
		`vitals_units{class="instrumentation",phase="backoff"} 1`,
		`vitals_units{class="instrumentation",phase="running"} 1`,
		`vitals_call_duration_seconds_count{op="attach"} 2`,
		`vitals_queue_length 3`,
		`vitals_events_lost_total{reason="requests",stage="ring"} 3`,
		`vitals_bpf_map_bytes{prog="on_send",unit="instrumentation/requests"} 4096`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
