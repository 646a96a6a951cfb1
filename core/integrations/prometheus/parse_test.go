package prometheus

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
)

const textSample = `# HELP http_requests_total Requests, with "quotes" and a \\ and a line\nend.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200",job="theirs"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000
# TYPE odd gauge
odd{path="C:\\DIR\\FILE.TXT",error="Cannot find:\n\"FILE.TXT\"",} 1.458255915e9
odd NaN
# no type
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE seconds histogram
seconds_bucket{le="0.05"} 24054
seconds_bucket{le="+Inf"} 144320
seconds_bucket{le="0.1"} 33444
seconds_sum 53423
seconds_count 144320
# TYPE rpc summary
rpc{quantile="0.01"} 3102
rpc{quantile="0.5"} 4773
rpc_sum 1.7560473e+07
rpc_count 2693
`

const openSample = `# HELP foo Things.
# TYPE foo counter
foo_total{a="b"} 17.0 1520879607.789 # {trace_id="x"} 0.5
foo_created{a="b"} 1520872607.123
# TYPE bar histogram
# UNIT bar seconds
bar_bucket{le="1"} 4 # {trace_id="y"} 0.7 1520879607.8
bar_bucket{le="+Inf"} 6
bar_count 6
bar_sum 9
bar_created 1520872607
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
# EOF
`

func find(t *testing.T, families []core.Family, name string) core.Family {
	t.Helper()
	for _, f := range families {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("%s is not there", name)
	return core.Family{}
}

func TestTextFormat(t *testing.T) {
	families, err := parse("text/plain; version=0.0.4; charset=utf-8", []byte(textSample))
	if err != nil {
		t.Fatal(err)
	}
	requests := find(t, families, "http_requests_total")
	if requests.Kind != core.Counter || len(requests.Series) != 2 || requests.Help != "Requests, with \"quotes\" and a \\ and a line\nend." {
		t.Errorf("%+v", requests)
	}
	if s := requests.Series[0]; s.V != 1027 || !s.At.Equal(time.UnixMilli(1395066363000)) || s.Labels[2] != (core.Label{Name: "exported_job", Value: "theirs"}) {
		t.Errorf("%+v", s)
	}
	odd := find(t, families, "odd")
	if odd.Series[0].Labels[0].Value != `C:\DIR\FILE.TXT` || odd.Series[0].Labels[1].Value != "Cannot find:\n\"FILE.TXT\"" || !math.IsNaN(odd.Series[1].V) {
		t.Errorf("%+v", odd)
	}
	if f := find(t, families, "something_weird"); f.Kind != core.Untyped || !math.IsInf(f.Series[0].V, 1) {
		t.Errorf("%+v", f)
	}
	h := find(t, families, "seconds").Series[0].Buckets
	if h == nil || h.Count != 144320 || h.Sum != 53423 || len(h.Classic) != 3 || h.Classic[1] != (core.Bucket{Upper: .1, Count: 33444}) || !math.IsInf(h.Classic[2].Upper, 1) {
		t.Errorf("%+v", h)
	}
	r := find(t, families, "rpc").Series[0].Ranks
	if r == nil || r.Count != 2693 || len(r.Quantiles) != 2 || r.Quantiles[1] != (core.Rank{Q: .5, V: 4773}) {
		t.Errorf("%+v", r)
	}
}

func TestOpenMetrics(t *testing.T) {
	families, err := parse("application/openmetrics-text; version=1.0.0; charset=utf-8", []byte(openSample))
	if err != nil {
		t.Fatal(err)
	}
	foo := find(t, families, "foo_total")
	if s := foo.Series[0]; foo.Kind != core.Counter || foo.Help != "Things." || s.V != 17 || s.At.UnixMilli() != 1520879607789 || s.Created.UnixMilli() != 1520872607123 {
		t.Errorf("%+v", foo)
	}
	bar := find(t, families, "bar").Series[0]
	if bar.Buckets == nil || bar.Buckets.Count != 6 || bar.Buckets.Sum != 9 || len(bar.Buckets.Classic) != 2 || bar.Created.IsZero() {
		t.Errorf("%+v", bar)
	}
	if find(t, families, "build_info").Series[0].V != 1 || find(t, families, "state").Kind != core.Gauge {
		t.Error("info or stateset")
	}
	if _, err := parse("application/openmetrics-text", []byte(strings.TrimSuffix(openSample, "# EOF\n"))); !errors.Is(err, errPage) {
		t.Errorf("cut: %v", err)
	}
}

func TestQuotedNames(t *testing.T) {
	families, err := parse("text/plain", []byte("{\"http.requests\",\"a.b\"=\"c\"} 5\n"))
	if err != nil || len(families) != 1 || families[0].Name != "http.requests" || families[0].Series[0].Labels[0] != (core.Label{Name: "a.b", Value: "c"}) {
		t.Errorf("%+v, %v", families, err)
	}
}

func TestPagesThatAreNone(t *testing.T) {
	for name, c := range map[string][2]string{
		"HTML": {"text/html; charset=utf-8", "<html>"}, "HTML as text": {"text/plain", "<!DOCTYPE html>\n<html>\n"}, "JSON": {"application/json", "{}"},
		"no value": {"", "metric\n"}, "no number": {"", "metric x\n"}, "Go's numbers": {"", "metric 0x10\n"}, "open braces": {"", "metric{a=\"b\" 1\n"},
		"open quote": {"", "metric{a=\"b} 1\n"}, "three values": {"", "metric 1 2 3\n"}, "many": {"", strings.Repeat("m 1\n", maxSamples+1)},
		"many labels": {"", "m{" + strings.Repeat(`a="b",`, maxLabels+1) + "} 1\n"}, "broken protobuf": {"application/vnd.google.protobuf", "\xff\xff\xff\xff\xff"},
		"protobuf of gigabytes": {"application/vnd.google.protobuf", "\x80\x80\x80\x80\x08"}, "an escape": {"", "\x1b[2J{ 1\n"},
	} {
		families, err := parse(c[0], []byte(c[1]))
		if !errors.Is(err, errPage) || families != nil {
			t.Errorf("%s: %d families, %v", name, len(families), err)
		}
		if err != nil && (strings.ContainsRune(err.Error(), 0x1b) || len(err.Error()) > 250) {
			t.Errorf("%s: the error cannot be shown: %q", name, err)
		}
	}
}

// Whatever the reference takes we take, with the same number of series.
func FuzzText(f *testing.F) {
	f.Add([]byte(textSample))
	f.Add([]byte("a{b=\"c\"} 1\n# TYPE a counter\n"))
	f.Fuzz(func(t *testing.T, page []byte) {
		families, err := parseText(string(page), false)
		for _, f := range families {
			for _, s := range f.Series {
				if len(s.Labels) > maxLabels {
					t.Fatalf("%d labels", len(s.Labels))
				}
			}
		}
		reference := expfmt.NewTextParser(model.LegacyValidation)
		if theirs, refErr := reference.TextToMetricFamilies(bytes.NewReader(page)); refErr == nil && err == nil && len(families) == 0 {
			for name, f := range theirs {
				if len(f.Metric) > 0 {
					t.Fatalf("%s is not seen in %q", name, page)
				}
			}
		}
	})
}

func FuzzOpenMetrics(f *testing.F) {
	f.Add([]byte(openSample))
	f.Fuzz(func(t *testing.T, page []byte) { _, _ = parseText(string(page), true) })
}

func FuzzProtobuf(f *testing.F) {
	f.Add([]byte("\x05\n\x03abc"))
	f.Fuzz(func(t *testing.T, page []byte) { _, _ = parseProtobuf(page) })
}

func BenchmarkText(b *testing.B) {
	page := []byte("# TYPE a gauge\n" + strings.Repeat(`a{method="get",path="/x",code="200"} 12345.5`+"\n", 500))
	b.ReportAllocs()
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if _, err := parse("text/plain", page); err != nil {
			b.Fatal(err)
		}
	}
}
