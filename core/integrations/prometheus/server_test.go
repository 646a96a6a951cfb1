package prometheus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vitals/core"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

func family(r kit.Result, name string) *core.Family {
	for i := range r.Families {
		if r.Families[i].Name == name {
			return &r.Families[i]
		}
	}
	return nil
}

// One page of a real exporter in three formats: the same numbers each time.
func TestFormatsAgreeOnARealPage(t *testing.T) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code"})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "seconds", Help: "Times.", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1})
	sizes := prometheus.NewSummary(prometheus.SummaryOpts{Name: "sizes", Help: "Sizes.", Objectives: map[float64]float64{.5: .05, .9: .01}})
	temperature := prometheus.NewGauge(prometheus.GaugeOpts{Name: "temperature", Help: "With \"quotes\" and a \\."})
	registry.MustRegister(requests, seconds, sizes, temperature)
	requests.WithLabelValues("200").Add(41)
	requests.WithLabelValues("5\"0\n0").Add(2)
	temperature.Set(-math.Pi)
	for i := range 1000 {
		seconds.Observe(float64(i) / 100)
		sizes.Observe(float64(i))
	}
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true})
	pages := map[string]servertest.Page{}
	for _, format := range []string{"text/plain", "application/openmetrics-text;version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Accept", format)
			page.ServeHTTP(w, r)
		}))
		defer s.Close()
		r := kittest.Collect(t, Kind(), Settings{URL: s.URL + "/metrics"})
		pages[format] = servertest.PageOf(r)
		h := family(r, "seconds").Series[0].Buckets
		if len(h.Classic) < len(prometheus.DefBuckets) || h.Classic[4].Count != 11 { // up to 0.1
			t.Errorf("%s: %+v", format, h.Classic)
		}
		if strings.Contains(format, "protobuf") {
			total := h.Native.ZeroCount
			for _, n := range h.Native.PositiveCounts {
				total += n
			}
			if total != 1000 || h.Native.Schema != 3 {
				t.Errorf("the native histogram counts %v with schema %d", total, h.Native.Schema)
			}
		}
		if r.Dropped != 0 {
			t.Errorf("%s: %d dropped", format, r.Dropped)
		}
	}
	text := pages["text/plain"]
	if len(text) < 7 || text[`requests_total{code="200"}`] != 41 || text["seconds_count"] != 1000 || text["temperature"] != -math.Pi {
		t.Fatalf("%v", text)
	}
	for format, p := range pages {
		for k, v := range text {
			if p[k] != v {
				t.Errorf("%s: %s is %v, as text %v", format, k, p[k], v)
			}
		}
	}
}

func TestARealExporterAsPrometheusReadsIt(t *testing.T) {
	port := servertest.Port(t)
	s := servertest.Start(t, "", servertest.Need(t, "prometheus-node-exporter"), "--web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	before := servertest.Scrape(t, url)
	c := kittest.Open(t, Kind(), Settings{URL: url})
	r, err := kittest.Round(t, Kind(), c)
	if err != nil {
		t.Fatal(err)
	}
	ours, after := servertest.PageOf(r), servertest.Scrape(t, url)
	for k := range before {
		_, still := after[k] // a socket's state may come and go
		if _, ok := ours[k]; !ok && still && !math.IsNaN(before[k]) {
			t.Errorf("%s is not there", k)
		}
	}
	if r.Series < 300 || r.Dropped != 0 {
		t.Errorf("%d series of %d, %d dropped", r.Series, len(before), r.Dropped)
	}
	for _, k := range []string{"node_memory_MemTotal_bytes", "node_boot_time_seconds"} {
		if ours[k] != before[k] || ours[k] == 0 {
			t.Errorf("%s is %v, the page says %v", k, ours[k], before[k])
		}
	}
	found, saw, err := kittest.Probe(t, Kind(), Settings{URL: url})
	if err != nil || !strings.Contains(saw, "metrics at /metrics") || found.(Settings).URL != url {
		t.Errorf("probe: %q, %v", saw, err)
	}
	servertest.Frozen(t, s, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
	s.Restart()
	s.Listens("tcp", servertest.Loopback(port))
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted: %v", err)
	}
}

func TestLogins(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user+password != "vitalss3cret-word" && r.Header.Get("Authorization") != "Bearer s3cret-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "up 1")
	}))
	defer s.Close()
	for name, c := range map[string]struct {
		s    Settings
		want error
	}{
		"none":     {Settings{}, kit.ErrCredentials},
		"wrong":    {Settings{BearerToken: kit.Plain("wrong-s3cret")}, kit.ErrCredentials},
		"password": {Settings{Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}}, nil},
		"token":    {Settings{BearerToken: kit.Plain("s3cret-token")}, nil},
	} {
		c.s.URL = s.URL
		_, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), c.s))
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndlessAndSlowPages(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := []byte(strings.Repeat("m 1\n", 1<<14))
		for r.Context().Err() == nil {
			if r.URL.Path == "/slow" {
				line = []byte("m 1\n")
				time.Sleep(10 * time.Millisecond)
			}
			if _, err := w.Write(line); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}))
	defer s.Close()
	for path, c := range map[string]struct {
		want  string
		limit time.Duration
	}{"/endless": {"larger", 20 * time.Second}, "/slow": {context.DeadlineExceeded.Error(), time.Second}} {
		want := c.want
		ctx, cancel := context.WithTimeout(t.Context(), c.limit)
		c := kittest.Open(t, Kind(), Settings{URL: s.URL + path})
		err := c.Collect(ctx, kit.NewBatch(time.Now(), 0, 0))
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for given, want := range map[string][2]string{
		"127.0.0.1:9100":                       {"http://127.0.0.1:9100/metrics", "127.0.0.1:9100"},
		"https://box/federate?match=up#x":      {"https://box:443/federate?match=up", "box:443/federate?match=up"},
		"http://127.0.0.1:9100/metrics":        {"http://127.0.0.1:9100/metrics", "127.0.0.1:9100"},
		"http://[::1]:9100":                    {"http://[::1]:9100/metrics", "[::1]:9100"},
		"":                                     {},
		"http://user:s3cret@127.0.0.1/metrics": {},
		"ftp://127.0.0.1/":                     {},
		"http://%zz:s3cret@/":                  {},
	} {
		s, id, err := Kind().Prepare(Settings{URL: given}, kit.Shared{Instance: "box"})
		if want[0] == "" {
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q: %v", given, err)
			}
			continue
		}
		if err != nil || s.(Settings).URL != want[0] || id != want[1] || s.(Settings).TLS.Enabled != strings.HasPrefix(want[0], "https") {
			t.Errorf("%q: %+v as %q, %v", given, s, id, err)
		}
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
