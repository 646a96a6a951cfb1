package expose

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
	"vitals/core/metric"
)

var update = flag.Bool("update", false, "write the golden files and docs/metrics.md")

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	bytesDesc = &core.Desc{Name: "process_network_io_bytes_total", Kind: core.Counter, Unit: "bytes", Label: "network_io_direction", Help: "Bytes sent and received"}
	rttDesc   = &core.Desc{Name: "vitals_tcp_rtt_seconds", Kind: core.Gauge, Unit: "seconds", Help: "Round-trip time"}
)

func durations(ms ...float64) *core.Distribution {
	var d metric.Durations
	for _, v := range ms {
		d.Observe(metric.Seconds(v/1e3), 1)
	}
	return d.Snapshot()
}

// sample is a snapshot with something of everything.
func sample() *core.Snapshot {
	usage := core.Usage{CPUUser: 15e8, CPUSystem: 5e8, RSS: 48 << 20, VSize: 1 << 30, Threads: 5, MinorFaults: 900, MajorFaults: 2, VoluntarySw: 70, InvoluntarySw: 3, ReadBytes: 4096, WriteBytes: -1, FDs: 12}
	web := &core.Process{ProcKey: core.ProcKey{PID: 7, Birth: 70}, PPID: 1, Comm: "web", Exe: "/usr/bin/web", Cmdline: "web <-d>", User: "www", Service: "web", Runtime: core.Runtime{Language: "go", Version: "1.26"}, Started: at.Add(-time.Hour), Listeners: []core.Listener{{Network: "tcp", Address: "127.0.0.1:8080"}}}
	job := &core.Process{ProcKey: core.ProcKey{PID: 9, Birth: 90}, Comm: "job", Service: "job", Started: at.Add(-time.Minute)}
	nan := math.NaN()
	none := core.RED{ErrRatio: nan, P50: nan, P90: nan, P99: nan, Max: nan}
	served := core.RED{Rate: 2, ErrRatio: .25, P50: .01, P90: .2, P99: .2, Max: .2, InFlight: 1, Count: 6, Errors: 1}
	return &core.Snapshot{
		Seq: 42, At: at, Started: at.Add(-10 * time.Second), Window: 10 * time.Second,
		Host: core.Host{Name: "box", Kernel: "6.18.5", CPUs: 2, MemoryBytes: 4 << 30},
		Self: core.Self{Version: "1.0", CPURatio: .01, BPFRatio: nan, RSSBytes: 20 << 20, Events: 77, Lost: map[string]uint64{"ring/requests": 3}, LostTotal: 3, Folded: 2, Completeness: .96, Privileged: true},
		Processes: []*core.ProcessRow{
			{Process: web, Alive: true, CPURatio: .2, Usage: usage, Server: served, Client: none, Values: []core.Value{{Desc: bytesDesc, Label: "receive", V: 100, Rate: 10}},
				Instr: []core.InstrState{{Kind: "requests", On: true, Phase: core.PhaseRunning, Reason: "on by default", Since: at}}},
			{Process: job, Alive: true, CPURatio: nan, Usage: core.Usage{RSS: -1}, Server: none, Client: none,
				Instr: []core.InstrState{{Kind: "requests", Phase: core.PhaseOff, Reason: "off for service job", Since: at}}},
		},
		Services: []*core.ServiceRow{
			{Name: "job", PIDs: []int32{9}, Health: core.HealthOK, CPURatio: nan, RSSBytes: -1, Server: none, Client: none, Usage: core.Usage{CPUUser: 1e9, RSS: -1}},
			{Name: "web", PIDs: []int32{7}, Language: "go", Health: core.HealthDegraded, Message: "p99 200ms, 4.1x its 5-min median", CPURatio: .2, RSSBytes: 48 << 20, Server: served, Client: core.RED{Count: 1, ErrRatio: 0},
				Usage: usage, Started: at.Add(-time.Hour), Values: []core.Value{{Desc: bytesDesc, Label: "receive", V: 100}, {Desc: bytesDesc, Label: "transmit", V: 200}, {Desc: rttDesc, V: .001}}},
		},
		Requests: []*core.RequestRow{
			{Proc: web.ProcKey, Service: "web", Role: core.RoleServer, Protocol: "http", Method: "GET", Route: "/a/{id}", Status: 200, Rate: 2, Count: 3, BytesIn: 10, BytesOut: 20, Duration: durations(5, 5.1, 9), FirstByte: durations(4, 4, 8), InFlight: -1},
			{Proc: web.ProcKey, Service: "web", Role: core.RoleServer, Protocol: "http", Method: "GET", Route: "/a/{id}", Status: 503, Failed: true, Count: 1, Duration: durations(200)},
			{Proc: web.ProcKey, Service: "web", Role: core.RoleServer, Protocol: "http", Method: "POST", Route: "/\"quoted\"\\", Status: 0, Error: "reset", Failed: true, Count: 1, Partial: 1},
			{Proc: web.ProcKey, Service: "web", Role: core.RoleClient, Protocol: "http", Peer: "db.example:8080", Method: "GET", Route: "/", Status: 404, Failed: true, Count: 1, Duration: durations(1)},
			{Proc: web.ProcKey, Service: "web", Role: core.RoleServer, Protocol: "unknown", Count: 4, Duration: durations(1, 2, 3, 4)},
		},
		Retired: []*core.RequestRow{
			{Service: "web", Role: core.RoleServer, Protocol: "http", Method: "GET", Route: "/a/{id}", Status: 200, Count: 2, Duration: durations(1, 3000)},
		},
		Edges:    []*core.EdgeRow{{From: "outside", To: "web", Protocol: "http", Count: 6, Errors: 2, P99: .2}},
		Units:    []*core.UnitRow{{ID: "instrumentation/requests", Class: core.ClassInstrumentation, Kind: "requests", Phase: core.PhaseRunning, Health: core.HealthOK, Since: at}},
		Programs: []core.Program{{Unit: "instrumentation/requests", Name: "on_send", RunTime: 30 * time.Millisecond, Runs: 1000, Measured: 2 * time.Second, MapBytes: 4096, Ratio: .015}},
		Kinds:    []core.KindRow{{Kind: "requests", PerProcess: true}},
		Events:   []core.Event{{Seq: 1, At: at, Kind: core.EventExit, Proc: job.ProcKey, Service: "job", Reason: "exit 137, killed by SIGKILL"}},
		Gateway: &core.GatewayRow{Address: "127.0.0.1:9091", Store: "memory", Groups: 1, Series: 4, Bytes: 500, Pushes: 9, Refused: 1, LastError: "a is a counter", LastFailed: at,
			Listed: []core.GatewayGroup{{ID: "x", Labels: `{job="backup"}`, Pushed: at, Families: 2, Series: 4, Bytes: 500}}},
		Push:   []*core.PushRow{{Destination: "http://gw:9091", Address: "http://gw:9091", Kind: "pushgateway", Unit: "destination/pushgateway", State: "ok", LastSuccess: at, Pushes: 5, Failures: 1, Bytes: 900, Series: 80, Duration: 3 * time.Millisecond}},
		Totals: core.Totals{Processes: 2, Server: served, Client: core.RED{Count: 1}},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

func written(t testing.TB, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	f := Families(sample())
	golden(t, "metrics.txt", written(t, func(w io.Writer) error { return WriteText(w, f) }))
	golden(t, "metrics.openmetrics", written(t, func(w io.Writer) error { return WriteOpenMetrics(w, f) }))
	golden(t, "snapshot.json", written(t, func(w io.Writer) error { return WriteJSON(w, sample()) }))
	golden(t, "snapshot.txt", written(t, func(w io.Writer) error { return WriteTable(w, sample()) }))
}

func TestT26_OpenMetricsEndsInEOF(t *testing.T) {
	for _, s := range []*core.Snapshot{sample(), {}} {
		out := written(t, func(w io.Writer) error { return WriteOpenMetrics(w, Families(s)) })
		if !bytes.HasSuffix(out, []byte("\n# EOF\n")) {
			t.Errorf("ends in %q", out[max(0, len(out)-20):])
		}
	}
}

func TestT27_SameSnapshotSameBytes(t *testing.T) {
	for name, write := range map[string]func(io.Writer, []*dto.MetricFamily) error{"text": WriteText, "openmetrics": WriteOpenMetrics} {
		first := written(t, func(w io.Writer) error { return write(w, Families(sample())) })
		for range 20 {
			if again := written(t, func(w io.Writer) error { return write(w, Families(sample())) }); !bytes.Equal(first, again) {
				t.Fatalf("%s differs from time to time", name)
			}
		}
	}
	first := written(t, func(w io.Writer) error { return WriteDelimited(w, Families(sample())) })
	for range 20 {
		if again := written(t, func(w io.Writer) error { return WriteDelimited(w, Families(sample())) }); !bytes.Equal(first, again) {
			t.Fatal("protobuf differs from time to time")
		}
	}
}

// One family of one name, of one type, no series twice: what a Pushgateway checks.
func TestT16_FamiliesAreConsistent(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Families(sample()) {
		if names[f.GetName()] || f.GetHelp() == "" {
			t.Errorf("%s: twice, or without help", f.GetName())
		}
		names[f.GetName()] = true
		if n := f.GetName(); n == "push_time_seconds" || n == "push_failure_time_seconds" {
			t.Errorf("%s belongs to the gateway", n)
		}
		if !model.LegacyValidation.IsValidMetricName(f.GetName()) {
			t.Errorf("%s is no metric name", f.GetName())
		}
		series := map[string]bool{}
		for _, m := range f.Metric {
			key := fmt.Sprint(m.Label)
			if series[key] {
				t.Errorf("%s: %s twice", f.GetName(), key)
			}
			series[key] = true
			for _, l := range m.Label {
				if l.GetName() == "instance" || l.GetName() == "job" {
					t.Errorf("%s: label %s is for grouping", f.GetName(), l.GetName())
				}
			}
		}
	}
}

// A probe that calls a metric like another one of another type does not break
// the exposition.
func TestT16_OneTypeForOneName(t *testing.T) {
	s := sample()
	s.Machine = []core.Value{{Desc: &core.Desc{Name: "vitals_events_total", Kind: core.Gauge, Help: "x"}, V: 1}, {Desc: &core.Desc{Name: "some_histogram", Kind: core.Histogram, Help: "x"}, V: 1}}
	for _, f := range Families(s) {
		for _, m := range f.Metric {
			if (m.Counter != nil) != (f.GetType() == dto.MetricType_COUNTER) || (m.Gauge != nil) != (f.GetType() == dto.MetricType_GAUGE) {
				t.Errorf("%s mixes types", f.GetName())
			}
		}
		if len(f.Metric) == 0 {
			t.Errorf("%s is empty", f.GetName())
		}
	}
}

// What is written is what a reader of the format understands, and the sums of
// histograms over processes are exact.
func TestTextReadsBack(t *testing.T) {
	out := written(t, func(w io.Writer) error { return WriteText(w, Families(sample())) })
	parser := expfmt.NewTextParser(model.LegacyValidation)
	read, err := parser.TextToMetricFamilies(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range read["http_server_request_duration_seconds"].Metric {
		for _, l := range m.Label {
			if l.GetName() == "http_response_status_code" && l.GetValue() == "200" {
				h := m.Histogram
				if h.GetSampleCount() != 5 || h.Bucket[1].GetCumulativeCount() != 2 || h.Bucket[2].GetCumulativeCount() != 4 {
					t.Errorf("%v", h)
				}
			}
		}
	}
	if read["process_cpu_time_seconds_total"].Metric[0].Counter.GetValue() != .5 {
		t.Errorf("%v", read["process_cpu_time_seconds_total"])
	}
	if strings.Contains(string(out), `service_name="job"`) {
		t.Error("a service that neither serves nor listens is exposed")
	}
	if all := written(t, func(w io.Writer) error { return WriteText(w, Options{AllProcesses: true}.Families(sample())) }); !strings.Contains(string(all), `process_cpu_time_seconds_total{cpu_mode="user",service_name="job"} 1`) {
		t.Error("AllProcesses leaves one out")
	}
}

// Native and classic buckets count the same values.
func TestNativeBucketsHoldEveryValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var d metric.Durations
		var values []float64
		for range 1 + r.IntN(300) {
			v := max(0, math.Exp(r.NormFloat64()*3-5)-.0001)
			values = append(values, v)
			d.Observe(metric.Seconds(v), 1)
		}
		h := newHistograms(1).next(d.Snapshot())
		want := map[int32]int64{}
		base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
		zero := uint64(0)
		for _, v := range values {
			if v == 0 {
				zero++
				continue
			}
			// A native bucket is named by its upper bound: base^(i-1) < v <= base^i.
			want[int32(math.Ceil(math.Log(v)/math.Log(base)-1e-12))]++
		}
		got, at, n, delta := map[int32]int64{}, int32(0), int64(0), h.PositiveDelta
		for _, s := range h.PositiveSpan {
			at += s.GetOffset()
			for range s.GetLength() {
				n += delta[0]
				delta = delta[1:]
				if n != 0 {
					got[at] = n
				}
				at++
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || zero != h.GetZeroCount() || len(delta) != 0 {
			t.Fatalf("schema %d\ngot  %v\nwant %v", h.GetSchema(), got, want)
		}
		for i, b := range h.Bucket {
			n := uint64(0)
			for _, v := range values {
				if v <= core.ClassicBound(i) {
					n++
				}
			}
			if b.GetCumulativeCount() != n {
				t.Fatalf("le %v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), n)
			}
		}
	}
}

func TestJSONUnknownIsNull(t *testing.T) {
	var v struct {
		Version   int
		Processes []struct {
			CPU *float64 `json:"cpu_ratio"`
			RSS *int64   `json:"rss_bytes"`
		}
		Requests []struct {
			PID      int
			Status   int
			P99      *float64 `json:"p99_seconds"`
			InFlight *int     `json:"in_flight"`
		}
		Push []struct {
			LastSuccess time.Time `json:"last_success"`
		}
	}
	if err := json.Unmarshal(written(t, func(w io.Writer) error { return WriteJSON(w, sample()) }), &v); err != nil {
		t.Fatal(err)
	}
	if v.Version != 1 || *v.Processes[0].CPU != .2 || v.Processes[1].CPU != nil || v.Processes[1].RSS != nil {
		t.Errorf("%+v", v.Processes)
	}
	if v.Requests[0].InFlight != nil || *v.Requests[1].InFlight != 0 || v.Requests[2].P99 != nil || v.Requests[5].PID != 0 || !v.Push[0].LastSuccess.Equal(at) {
		t.Errorf("%+v", v.Requests)
	}
	empty := written(t, func(w io.Writer) error { return WriteJSON(w, &core.Snapshot{}) })
	if bytes.Contains(empty, []byte(`s": null`)) {
		t.Errorf("lists are null:\n%s", empty)
	}
}

func TestEveryMetricIsDescribed(t *testing.T) {
	docs := Docs(nil)
	rendered := map[string]bool{bytesDesc.Name: true, rttDesc.Name: true}
	for _, d := range docs {
		if rendered[d.Name] {
			t.Errorf("%s is described twice", d.Name)
		}
		rendered[d.Name] = true
	}
	for _, f := range Families(sample()) {
		if !rendered[f.GetName()] {
			t.Errorf("%s is not described", f.GetName())
		}
	}
	for _, d := range docs {
		if strings.HasSuffix(d.Name, "_total") != (d.Kind == core.Counter) || strings.HasSuffix(d.Help, ".") || d.Help == "" {
			t.Errorf("%s: name or help", d.Name)
		}
	}
}

// big has about 10,000 exposed series: 16 classic buckets, count and sum each.
func big() *core.Snapshot {
	s := sample()
	s.Requests = nil
	for i := range 560 {
		s.Requests = append(s.Requests, &core.RequestRow{
			Proc: core.ProcKey{PID: int32(i)}, Service: fmt.Sprintf("s%d", i%20), Role: core.RoleServer, Protocol: "http", Method: "GET",
			Route: fmt.Sprintf("/api/v1/part%d", i/2), Status: 200, Count: 3, Duration: durations(1, 3, 5, 7, 40),
		})
	}
	return s
}

func BenchmarkFamilies(b *testing.B) {
	s := big()
	b.ReportAllocs()
	for b.Loop() {
		Families(s)
	}
}

func BenchmarkFamiliesAndProtobuf(b *testing.B) {
	s := big()
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteDelimited(io.Discard, Families(s)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	f := Families(big())
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteText(io.Discard, f); err != nil {
			b.Fatal(err)
		}
	}
}
