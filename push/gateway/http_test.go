package gateway

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"vitals/push/codec"
)

func TestExpositionFormats(t *testing.T) {
	s := start(t, Config{})
	var b strings.Builder
	b.WriteString("# HELP wide_total A \\\\ help\n# TYPE wide_total counter\n")
	for i := range 3*chunk + 5 {
		fmt.Fprintf(&b, "wide_total{i=\"%d\"} %d\n", i, i)
	}
	s.want(200, "PUT", "/metrics/job/j", b.String()+"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")
	s.want(200, "PUT", "/metrics/job/k", "# TYPE wide_total counter\nwide_total 7\n# TYPE nan gauge\nnan NaN\n")
	for accept, format := range map[string]codec.Format{
		"": codec.Text, "text/plain": codec.Text, contentProtobuf: codec.Protobuf, "application/json": codec.JSON,
		"application/openmetrics-text; version=1.0.0": codec.OpenMetrics,
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": codec.OpenMetrics,
	} {
		for _, encoding := range []string{"identity", "gzip", "zstd", "gzip;q=0, zstd;q=0"} {
			r := s.want(200, "GET", "/metrics", nil, "Accept", accept, "Accept-Encoding", encoding)
			data := []byte(r.text)
			if z := r.header.Get("Content-Encoding"); z != "" {
				if z != encoding {
					t.Errorf("%s asked for, %s given", encoding, z)
				}
				var err error
				in := intake{limits: (Limits{}).withDefaults()}
				if data, err = in.decompress(z, data, func(int64) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			got, ok := codec.FromContentType(r.header.Get("Content-Type"))
			if !ok || got != format {
				t.Errorf("%q: %s", accept, r.header.Get("Content-Type"))
			}
			families, err := collectFamilies(&body{data: data, format: got}, false, (Limits{}).withDefaults())
			if err != nil {
				t.Fatalf("%q %s: %v", accept, encoding, err)
			}
			n, sum := map[string]int{}, 0.0
			for _, f := range families {
				n[f.GetName()] += len(f.Metric)
				if f.GetName() == "wide_total" {
					if f.GetHelp() != `A \ help` {
						t.Errorf("%q: help %q", accept, f.GetHelp())
					}
					for _, m := range f.Metric {
						sum += m.Counter.GetValue()
					}
				}
			}
			last := float64(3*chunk + 4)
			if n["wide_total"] != 3*chunk+6 || sum != last*(last+1)/2+7 || n["h"] != 1 || n["nan"] != 1 || n[pushTime] != 2 {
				t.Errorf("%q %s: %v, sum %v", accept, encoding, n, sum)
			}
		}
	}
	// A counter that OpenMetrics would rename is told as text instead.
	s.want(200, "PUT", "/metrics/job/l", "# TYPE odd counter\nodd 1\n")
	if r := s.do("GET", "/metrics", nil, "Accept", "application/openmetrics-text"); !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Error(r.header.Get("Content-Type"))
	}
}

func TestBrowsersCannotPushForOtherSites(t *testing.T) {
	s := start(t, Config{Admin: true, Quit: func() { t.Error("quit") }})
	for _, path := range []string{"/metrics/job/j", "/api/v1/admin/wipe", "/-/quit"} {
		s.want(403, "PUT", path, "a 1\n", "Sec-Fetch-Site", "cross-site")
		s.want(403, "PUT", path, "a 1\n", "Origin", "http://evil.example")
	}
	s.want(200, "PUT", "/metrics/job/j", "a 1\n", "Sec-Fetch-Site", "same-origin")
}

func TestProblemJSONOnRequest(t *testing.T) {
	s := start(t, Config{})
	r := s.want(400, "PUT", "/metrics/job/j", "a{\n", "Accept", "application/problem+json")
	v := unmarshal(t, r.text)
	if r.header.Get("Content-Type") != "application/problem+json" || v["status"] != 400.0 || !strings.Contains(fmt.Sprint(v["detail"]), "line 1") {
		t.Errorf("%v", v)
	}
	// What comes from outside cannot write to a terminal.
	if r := s.want(400, "PUT", "/metrics/job/j/%1b[31m/v", "a 1\n"); strings.ContainsAny(r.text, "\x1b") {
		t.Errorf("%q", r.text)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	once := func() {
		s, cut := start(t, Config{Store: disk(t, t.TempDir())}), start(t, Config{Timeout: 50 * time.Millisecond})
		s.want(200, "PUT", "/metrics/job/j", zip(t, "zstd", []byte("a 1\n")), "Content-Encoding", "zstd")
		s.want(200, "GET", "/metrics", nil, "Accept-Encoding", "zstd")
		slow(t, cut, "/metrics/job/j", "a")
		client.CloseIdleConnections()
		s.stop()
		cut.stop()
	}
	once()
	before := runtime.NumGoroutine()
	for range 10 {
		once()
	}
	eventually(t, fmt.Sprintf("no more than %d goroutines", before), func() bool { return runtime.NumGoroutine() <= before })
}
