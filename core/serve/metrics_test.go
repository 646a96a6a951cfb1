package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
	"vitals/core/calls"
)

// parsed reads the text format and gives the families by name.
func parsed(t *testing.T, text io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(text)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestD11_MetricsParseAndHaveTheRuntime(t *testing.T) {
	l := newLab()
	l.set(nil)
	w := get(t, l.server(t), "/metrics")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	families := parsed(t, w.Body)
	for _, name := range []string{"go_goroutines", "go_gc_duration_seconds", "vitals_build_info"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestMetricsComeInTheFormThatTheClientPrefers(t *testing.T) {
	l := newLab()
	l.set(nil)
	s := l.server(t)
	for accept, want := range map[string]string{
		"":    "text/plain; version=0.0.4",
		"*/*": "text/plain; version=0.0.4",
		"text/html,application/xhtml+xml,*/*;q=0.8":                                                                                       "text/plain",
		"application/openmetrics-text; version=1.0.0; charset=utf-8,text/plain;version=0.0.4;q=0.5":                                       "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3": "application/vnd.google.protobuf",
		"text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1":                                                 "text/plain",
	} {
		w := get(t, s, "/metrics", "Accept", accept)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("Accept %q gives %q", accept, got)
		}
		if strings.Contains(want, "openmetrics") != strings.HasSuffix(w.Body.String(), "# EOF\n") {
			t.Errorf("Accept %q: # EOF", accept)
		}
	}
}

func TestMetricsOfNativeHistogramsGoOverProtobuf(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{collect: func(context.Context, core.CheckRequest) ([]core.Family, error) {
		return []core.Family{{Name: "x_seconds", Kind: core.Histogram, Series: []core.Series{{Buckets: &core.Buckets{Count: 3, Sum: 1,
			Native: &core.NativeBuckets{Schema: 3, Positive: []core.BucketSpan{{Length: 1}}, PositiveCounts: []float64{3}}}}}}}, nil
	}})
	w := get(t, l.server(t), "/metrics/"+id, "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	dec := expfmt.NewDecoder(w.Body, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var f dto.MetricFamily
		if err := dec.Decode(&f); err != nil {
			t.Fatal("no histogram: ", err)
		}
		if f.GetName() == "x_seconds" {
			if h := f.Metric[0].Histogram; h.GetSchema() != 3 || h.PositiveDelta[0] != 3 {
				t.Errorf("%v", h)
			}
			return
		}
	}
}

func TestAnswersAreCompressedForWhoTakesIt(t *testing.T) {
	l := newLab()
	l.set(nil)
	s := l.server(t)
	for accept, want := range map[string]bool{"gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "": false, "br": false, "GZIP": true, "gzip;q=x": false} {
		w := get(t, s, "/metrics", "Accept-Encoding", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: %v", accept, got)
		}
		body := io.Reader(w.Body)
		if want {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		parsed(t, body)
	}
}

func TestD27_MetricsOfEverySingleUnit(t *testing.T) {
	l := newLab()
	one := l.add("test", "a/b", &unit{collect: func(context.Context, core.CheckRequest) ([]core.Family, error) {
		return []core.Family{gauge("test_level", 7)}, nil
	}})
	known := l.add("redis", "r", &unit{})
	l.set(func(s *core.Snapshot) {
		s.Units = append(s.Units, &core.UnitRow{ID: "instrumentation/network", Class: core.ClassInstrumentation, Kind: "network", Phase: core.PhaseRunning},
			&core.UnitRow{ID: "destination/d", Class: core.ClassDestination, Kind: "pushgateway", Phase: core.PhaseRunning})
		s.Programs = []core.Program{{Unit: "instrumentation/network", Name: "p"}, {Unit: "instrumentation/requests", Name: "q"}}
		s.Push = []*core.PushRow{{Destination: "http://gw", Unit: "destination/d", Pushes: 3}, {Destination: "other", Unit: "destination/o"}}
		s.Machine = []core.Value{{Desc: &core.Desc{Name: "net_things", Kind: core.Gauge}, V: 4}}
		s.Integrations = []*core.IntegrationRow{{ID: known, Families: []core.Family{gauge("redis_up", 1)}}}
	})
	s := l.server(t, func(c *Config) {
		c.OfKind = func(kind, family string) bool { return kind == "network" && family == "net_things" }
	})
	for path, want := range map[string]struct {
		has, lacks []string
	}{
		"/metrics/" + one:                  {[]string{"test_level 7", `vitals_unit_health{`}, []string{"go_goroutines", "net_things", "redis_up"}},
		"/metrics/integration/test/a%2Fb":  {[]string{"test_level 7"}, nil},
		"/metrics/" + known:                {[]string{"redis_up 1"}, []string{"test_level"}},
		"/metrics/instrumentation/network": {[]string{"net_things 4", `prog="p"`}, []string{`prog="q"`, "test_level"}},
		"/metrics/destination/d":           {[]string{`vitals_push_attempts_total{destination="http://gw",outcome="success"} 3`}, []string{`"other"`}},
	} {
		w := get(t, s, path)
		body := w.Body.String()
		if w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
		for _, x := range want.has {
			if !strings.Contains(body, x) {
				t.Errorf("%s lacks %s:\n%s", path, x, body)
			}
		}
		for _, x := range want.lacks {
			if strings.Contains(body, x) {
				t.Errorf("%s has %s", path, x)
			}
		}
	}
	if w := get(t, s, "/metrics/instrumentation/none"); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
}

func TestD12_NothingToReportIsLegalAndEmpty(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{})
	s := l.server(t)
	if w := get(t, s, Prefix("test", "one")+"/metrics"); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := get(t, s, "/metrics/"+id); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestD13_CollectionFailureIsNotUnhealthy(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{collect: func(context.Context, core.CheckRequest) ([]core.Family, error) {
		return nil, errors.New("query: password=hunter2 refused")
	}})
	s := l.server(t)
	w := get(t, s, "/metrics/"+id)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "collect: query: password=*** refused") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(t, s, "/health/"+id); w.Code != 200 {
		t.Errorf("health %d %s", w.Code, w.Body)
	}
}

func TestD14_PartialCollectionKeepsTheGoodFamilies(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{collect: func(context.Context, core.CheckRequest) ([]core.Family, error) {
		return []core.Family{gauge("good", 1), gauge("bad name", 2)}, errors.New("slowlog: no permission")
	}})
	var log bytes.Buffer
	server := l.server(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	get(t, server, "/metrics/"+id)
	w := get(t, server, "/metrics/"+id)
	if n := strings.Count(log.String(), "slowlog"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	said := w.Header().Get("Vitals-Partial")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "good 1") || !strings.Contains(said, "slowlog: no permission") {
		t.Errorf("%d %q %s", w.Code, said, w.Body)
	}
	parsed(t, w.Body)
}

func TestD28_CollectionGetsTheRequest(t *testing.T) {
	var got core.CheckRequest
	l := newLab()
	id := l.add("test", "one", &unit{collect: func(_ context.Context, r core.CheckRequest) ([]core.Family, error) { got = r; return nil, nil }})
	get(t, l.server(t), "/metrics/"+id, "X-Scope-OrgID", "7", "Authorization", "Bearer x", "Cookie", "y")
	if got.Unit != id || got.Kind != "test" || got.Header["X-Scope-Orgid"][0] != "7" || got.Header["Authorization"] != nil || got.Header["Cookie"] != nil {
		t.Errorf("%+v", got)
	}
}

func TestCollectionThatPanicsIsAnError(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{collect: func(context.Context, core.CheckRequest) ([]core.Family, error) { panic("no") }})
	if w := get(t, l.server(t), "/metrics/"+id); w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSnapshotIsTheStableJSON(t *testing.T) {
	l := newLab()
	l.set(nil)
	s := l.server(t)
	w := get(t, s, "/api/v1/snapshot")
	var out struct {
		Version, Seq int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Version != 1 || out.Seq != 1 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v %+v", err, out)
	}
	tag := w.Header().Get("ETag")
	if w := get(t, s, "/api/v1/snapshot", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("unchanged: %d", w.Code)
	}
	l.set(nil)
	if w := get(t, s, "/api/v1/snapshot", "If-None-Match", tag); w.Code != 200 {
		t.Errorf("changed: %d", w.Code)
	}
}

func TestG46_BeforeTheFirstSnapshotNothingIsAvailableYet(t *testing.T) {
	l := newLab()
	s := l.server(t)
	for _, path := range []string{"/metrics", "/metrics/x", "/integrations/x/y/metrics", "/sd", "/api/v1/snapshot", "/-/ready", "/health"} {
		if w := get(t, s, path); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := get(t, s, "/-/healthy"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestAnswersAreTimed(t *testing.T) {
	l := newLab()
	l.set(nil)
	rec := calls.New()
	s := l.server(t, func(c *Config) { c.Recorder = rec; c.Ready = func() bool { panic("no") } })
	for _, path := range []string{"/metrics", "/health", "/sd", "/api/v1/snapshot", "/integrations", "/nothing"} {
		get(t, s, path)
	}
	if w := get(t, s, "/-/ready"); w.Code != 500 {
		t.Errorf("a panic gives %d", w.Code)
	}
	ops := map[string]core.CallRow{}
	for _, row := range rec.Rows() {
		ops[row.Op] = row
	}
	for _, op := range []string{"serve metrics", "serve health", "serve targets", "serve snapshot", "serve integrations"} {
		if ops[op].Ended[core.OutcomeOK] != 1 {
			t.Errorf("%s: %+v", op, ops[op])
		}
	}
	if ops["serve other"].Ended[core.OutcomePanic] != 1 {
		t.Errorf("%+v", ops["serve other"])
	}
}

func TestScrapeOfAnOldSnapshotMakesAFreshOne(t *testing.T) {
	l := newLab()
	l.set(func(s *core.Snapshot) { s.Seq, s.At = 1, time.Now().Add(-3*time.Second) })
	made := 0
	s := l.server(t, func(c *Config) {
		c.Fresh = func(context.Context) *core.Snapshot {
			made++
			l.set(func(s *core.Snapshot) { s.At = time.Now().Add(time.Hour) }) // new however long this takes
			return l.Latest()
		}
	})
	for range 2 {
		get(t, s, "/metrics")
	}
	if made != 1 {
		t.Errorf("%d snapshots were made", made)
	}
}

func BenchmarkMetrics(b *testing.B) {
	l := newLab()
	var families []core.Family
	for range 20 {
		f := core.Family{Name: "f" + strings.Repeat("x", len(families)), Help: "help", Kind: core.Gauge}
		for i := range 500 {
			f.Series = append(f.Series, core.Series{V: float64(i), Labels: []core.Label{{Name: "a", Value: strings.Repeat("y", i%20)}, {Name: "b", Value: "c"}}})
		}
		families = append(families, f)
	}
	l.set(func(s *core.Snapshot) {
		s.Units = []*core.UnitRow{{ID: "integration/t/t", Class: core.ClassIntegration, Kind: "t", Phase: core.PhaseRunning}}
		s.Integrations = []*core.IntegrationRow{{ID: "integration/t/t", Families: families}}
	})
	s, err := New(Config{Source: l, Directory: l})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	t := &testing.T{}
	for b.Loop() {
		w := get(t, s, "/integrations/t/t/metrics")
		if w.Code != 200 || !bytes.Contains(w.Body.Bytes(), []byte("fx")) {
			b.Fatal(w.Code)
		}
	}
}
