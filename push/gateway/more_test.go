package gateway

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientpush "github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"

	"vitals/push/codec"
)

func TestP21_HelpConflictsAreTolerated(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, s := range []*server{s, reference(t)} {
		s.want(200, "PUT", "/metrics/job/first", "# HELP a first\n# TYPE a gauge\na 1\n")
		s.want(200, "PUT", "/metrics/job/second", "# HELP a second\n# TYPE a gauge\na 2\n")
		s.wantSeries(false, series{`a{instance="",job="first"}`: 1, `a{instance="",job="second"}`: 2})
	}
	if help := s.families()["a"].GetHelp(); help != "first" {
		t.Errorf("help %q, want that of the group that is here longest", help)
	}
	s.want(202, "DELETE", "/metrics/job/first", nil)
	if help := s.families()["a"].GetHelp(); help != "second" {
		t.Errorf("help %q after the first is gone", help)
	}
	s.stop()
	mustContain(t, log.String(), "different help texts", "metric=a", "second")
}

func TestP22_WhatIsReadIsNeverChanged(t *testing.T) {
	s := start(t, Config{})
	body := func(v int) string {
		var b strings.Builder
		for i := range 50 {
			fmt.Fprintf(&b, "a{i=\"%d\"} %d\nb%d %d\n", i, v, i, v)
		}
		return b.String()
	}
	s.want(200, "PUT", "/metrics/job/j", body(0))
	all, err := s.gw.sections()
	if err != nil {
		t.Fatal(err)
	}
	sum := func() [32]byte {
		h := sha256.New()
		for _, sec := range all {
			for _, p := range sec.parts {
				fmt.Fprint(h, p.name, p.help, p.kind, p.at, p.hashes)
				h.Write(p.metrics)
			}
		}
		return [32]byte(h.Sum(nil))
	}
	before := sum()
	for i := range 20 {
		s.want(200, "POST", "/metrics/job/j", body(i))
		s.want(200, "PUT", "/metrics/job/j", body(i))
	}
	s.want(202, "DELETE", "/metrics/job/j", nil)
	if sum() != before {
		t.Error("what was read has changed")
	}
}

func TestP27_GzipAndSnappyBodies(t *testing.T) {
	s, ref := start(t, Config{}), reference(t)
	ref.want(200, "PUT", "/metrics/job/j", zip(t, "gzip", []byte("a 1\n")), "Content-Encoding", "gzip")
	for _, encoding := range []string{"gzip", "snappy"} {
		s.want(200, "PUT", "/metrics/job/"+encoding, zip(t, encoding, []byte("a 1\n")), "Content-Encoding", encoding)
	}
	s.wantSeries(false, series{`a{instance="",job="gzip"}`: 1, `a{instance="",job="snappy"}`: 1})
}

func TestP28_OwnMetrics(t *testing.T) {
	s := start(t, Config{Version: "1.2.3"})
	s.want(200, "PUT", "/metrics/job/j", "a 1\nb 2\n")
	s.want(400, "POST", "/metrics/job/j", "a 1 5\n")
	s.want(404, "GET", "/nothing", nil)
	s.do("BREW", "/metrics", nil)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"http_requests_total", []string{"code", "200", "handler", "push", "method", "put"}, 1},
		{"http_requests_total", []string{"code", "400", "handler", "push", "method", "post"}, 1},
		{"http_requests_total", []string{"code", "404", "handler", "unknown"}, 1},
		{"http_requests_total", []string{"code", "405", "method", "other"}, 1},
		{"http_push_duration_seconds", []string{"method", "put"}, 1},
		{"http_push_size_bytes", []string{"method", "put"}, 1},
		{"pushes_refused_total", []string{"code", "400"}, 1},
		{"groups", nil, 1}, {"series", nil, 2}, {"families", nil, 2},
		{"build_info", []string{"version", "1.2.3"}, 1}, {"queue_capacity", nil, 1000},
	} {
		if v := s.own(c.name, c.labels...); v != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, v, c.want)
		}
	}
	if sum := s.families()[ownPrefix+"http_push_size_bytes"].Metric; sum[1].Summary.GetSampleSum() != 8 {
		t.Errorf("%v", sum)
	}
}

func TestP30_LimitsAreToldWithNumbers(t *testing.T) {
	long := strings.Repeat("x", 40)
	s := start(t, Config{Limits: Limits{Labels: 4, Name: 20, Value: 30, PushFamilies: 3, PushSeries: 5, Series: 8, Groups: 3}})
	for _, c := range []struct{ path, body, says string }{
		{"/metrics/job/j", "a{a=\"1\",b=\"2\",c=\"3\"} 1\n", "5 labels"},
		{"/metrics/job/j/a/1/b/2/c/3/d/4", "a 1\n", "5 grouping labels"},
		{"/metrics/job/j", long + " 1\n", "40 bytes"},
		{"/metrics/job/j", "a{" + long + "=\"1\"} 1\n", "40 bytes"},
		{"/metrics/job/j", "a{l=\"" + long + "\"} 1\n", "40 bytes"},
		{"/metrics/job/" + long, "a 1\n", "40 bytes"},
		{"/metrics/job/j", "# HELP a " + long + "\na 1\n", "40 bytes"},
		{"/metrics/job/j", "a 1\nb 1\nc 1\nd 1\n", "families"},
		{"/metrics/job/j", "a{i=\"1\"} 1\na{i=\"2\"} 1\na{i=\"3\"} 1\na{i=\"4\"} 1\na{i=\"5\"} 1\na{i=\"6\"} 1\n", "series"},
	} {
		mustContain(t, s.want(422, "PUT", c.path, c.body).text, c.says, "at most")
	}
	s.wantSeries(false, series{})
	s.want(200, "PUT", "/metrics/job/j", "a{i=\"1\"} 1\na{i=\"2\"} 1\na{i=\"3\"} 1\na{i=\"4\"} 1\na{i=\"5\"} 1\n")
	mustContain(t, s.want(422, "PUT", "/metrics/job/k", "b{i=\"1\"} 1\nb{i=\"2\"} 1\nb{i=\"3\"} 1\nb{i=\"4\"} 1\n").text, "9 series", "8")
	s.want(200, "PUT", "/metrics/job/j", "a 1\n") // less is always taken
	s.want(200, "PUT", "/metrics/job/l", "a 1\n")
	mustContain(t, s.want(422, "PUT", "/metrics/job/m", "a 1\n").text, "4 groups", "3")
	s.want(202, "DELETE", "/metrics/job/k", nil)
	s.want(200, "PUT", "/metrics/job/m", "a 1\n")
}

// A body that stalls is ended by the server, also where nobody reads it.
func TestP30_StalledBodiesAreCutOff(t *testing.T) {
	s := start(t, Config{Timeout: 100 * time.Millisecond})
	text, _ := slow(t, s, "/metrics/job/j", "")
	if !strings.HasPrefix(text, "HTTP/1.1 503") {
		t.Error(text)
	}
	g, err := New(Config{Limits: Limits{Body: 100, InFlight: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.intake.held.Store(1 << 20)
	rec := &bytes.Buffer{}
	_, err = g.intake.read(t.Context(), discard{rec}, request("a 1\n"))
	if err == nil || !strings.Contains(err.Error(), "too many bodies") || g.intake.held.Load() != 1<<20 {
		t.Errorf("%v, %d held", err, g.intake.held.Load())
	}
}

type discard struct{ io.Writer }

func (discard) Header() http.Header { return http.Header{} }
func (discard) WriteHeader(int)     {}

func request(body string) *http.Request {
	r, _ := http.NewRequest("PUT", "http://x/metrics/job/j", strings.NewReader(body))
	return r
}

// filled has n series in groups of a hundred.
func filled(t testing.TB, n int) *Gateway {
	t.Helper()
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	dirty := map[string]Key{}
	for i := range n / 100 {
		g.apply([]*change{prepared(t, g, fmt.Sprintf("g%d", i), hundred(i))}, dirty)
	}
	if g.state.count != n/100*100 {
		t.Fatalf("%d series", g.state.count)
	}
	return g
}

func hundred(i int) []byte {
	var b bytes.Buffer
	for f := range 10 {
		fmt.Fprintf(&b, "# TYPE http_requests_%d_total counter\n", f)
		for s := range 10 {
			fmt.Fprintf(&b, "http_requests_%d_total{method=\"GET\",route=\"/items/%d\",status=\"200\"} %d\n", f, s, i)
		}
	}
	return b.Bytes()
}

func prepared(t testing.TB, g *Gateway, job string, text []byte) *change {
	t.Helper()
	key := Key{{"job", job}}
	families, err := newBuilder(g, key).build(codec.Text, text)
	if err != nil {
		t.Fatal(err)
	}
	return &change{op: opPut, key: key, families: families}
}

func TestP31_ACheckCostsWhatWasPushed(t *testing.T) {
	median := func(g *Gateway) time.Duration {
		var all []time.Duration
		for i := range 201 {
			began := time.Now()
			g.apply([]*change{prepared(t, g, "one", fmt.Appendf(nil, "backup_bytes %d\n", i))}, map[string]Key{})
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	// The benchmark does it with 200,000.
	small, large := median(filled(t, 1000)), median(filled(t, 50_000))
	t.Logf("one line: %v with 1,000 series, %v with 50,000", small, large)
	if large > 2*time.Millisecond || large > 10*small {
		t.Errorf("%v with 50,000 series, %v with 1,000", large, small)
	}
	// And it is a check all the same.
	g := filled(t, 10_000)
	c := prepared(t, g, "other", []byte("# TYPE http_requests_1_total gauge\nhttp_requests_1_total 1\n"))
	c.done = make(chan error, 1)
	g.apply([]*change{c}, map[string]Key{})
	if err := <-c.done; err == nil {
		t.Error("a clash of types was taken")
	}
}

func TestP32_TimeToLive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Config{Store: disk(t, dir), TTL: time.Hour})
	s.want(200, "PUT", "/metrics/job/short", "a 1\n", "X-Push-TTL", "300ms")
	s.want(200, "PUT", "/metrics/job/default", "a 1\n")
	s.want(200, "PUT", "/metrics/job/never", "a 1\n", "X-Push-TTL", "0")
	s.want(200, "PUT", "/metrics/job/seconds", "a 1\n", "X-Push-TTL", "3600")
	for _, bad := range []string{"soon", "-5s", "5 s", "1e3"} {
		s.want(400, "PUT", "/metrics/job/bad", "a 1\n", "X-Push-TTL", bad)
	}
	ttls := map[string]bool{}
	for _, g := range s.gw.Groups() {
		ttls[g.Key[0].Value] = !g.Expires.IsZero()
	}
	if !ttls["default"] || ttls["never"] || !ttls["seconds"] {
		t.Errorf("%v", ttls)
	}
	gone := func() bool { _, ok := s.series()[`a{instance="",job="short"}`]; return !ok }
	eventually(t, "the group to vanish", gone)
	if n := s.own("group_expired_time_seconds", "job", "short"); n < 1e9 || s.own("groups_expired_total") != 1 {
		t.Errorf("tombstone %v", n)
	}
	if pushed, _ := s.times("short"); pushed != 0 {
		t.Error("the push time did not vanish")
	}
	// It comes back: the tombstone goes.
	s.want(200, "PUT", "/metrics/job/short", "a 2\n", "X-Push-TTL", "1h")
	if n := s.own("group_expired_time_seconds"); n != 0 {
		t.Errorf("tombstone %v of a group that is back", n)
	}
	// A push within the time keeps it; without a restart and with one.
	s.want(200, "PUT", "/metrics/job/kept", "a 1\n", "X-Push-TTL", "100ms")
	s.want(200, "PUT", "/metrics/job/kept", "a 1\n", "X-Push-TTL", "1h")
	s.want(200, "PUT", "/metrics/job/later", "a 1\n", "X-Push-TTL", "1s")
	time.Sleep(150 * time.Millisecond)
	s.stop()
	s = start(t, Config{Store: disk(t, dir)})
	if _, ok := s.series()[`a{instance="",job="kept"}`]; !ok {
		t.Error("the group that was pushed again is gone")
	}
	eventually(t, "the group to vanish after a restart", func() bool { _, ok := s.series()[`a{instance="",job="later"}`]; return !ok })
}

func TestP32_OffByDefault(t *testing.T) {
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/j", "a 1\n")
	if g := s.gw.Groups()[0]; !g.Expires.IsZero() || g.TTL != 0 {
		t.Errorf("%+v", g)
	}
}

// A clock that was set back does not make a group live longer than its time.
func TestP32_AClockThatJumps(t *testing.T) {
	dir := t.TempDir()
	d := disk(t, dir)
	future := time.Now().Add(1000 * time.Hour).UnixNano()
	past := time.Now().Add(-1000 * time.Hour).UnixNano()
	for job, at := range map[string]int64{"future": future, "past": past} {
		key := Key{{"job", job}}
		if err := d.Commit([]Change{{ID: key.id(), Data: encodeGroup(key, content{pushed: at, ttl: time.Minute})}}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := New(Config{Store: d})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, grp := range g.Groups() {
		if left := time.Until(grp.Expires); left > time.Minute || grp.Key[0].Value == "past" && left > 0 {
			t.Errorf("%v has %v left", grp.Key, left)
		}
	}
}

func TestClientGolangPushes(t *testing.T) {
	sides(t, func(s *server) {
		reg := prometheus.NewRegistry()
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "runs_total", Help: "Runs."}, []string{"kind"})
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "run_seconds", Help: "Time."})
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "last", Help: "Last."})
		reg.MustRegister(c, h, g)
		c.WithLabelValues("full").Add(3)
		h.Observe(0.2)
		p := clientpush.New(s.url, "my/job").Grouping("zone", "").Grouping("path", "a b").Gatherer(reg)
		if err := p.Push(); err != nil {
			t.Fatal(s.name, err)
		}
		key := `instance="",job="my/job",`
		c.Reset()
		if err := p.Add(); err != nil {
			t.Fatal(s.name, err)
		}
		if v := s.series()["runs_total{"+key+`kind="full",path="a+b",zone=""}`] + s.series()["runs_total{"+key+`kind="full",path="a b",zone=""}`]; v != 3 {
			t.Errorf("%s: %v", s.name, s.series())
		}
		if err := clientpush.New(s.url, "my/job").Grouping("zone", "").Grouping("path", "a b").Format(expfmt.NewFormat(expfmt.TypeTextPlain)).Collector(g).Push(); err != nil {
			t.Fatal(s.name, err)
		}
		if err := p.Delete(); err != nil {
			t.Fatal(s.name, err)
		}
		eventually(t, s.name+" to be empty", func() bool { return len(s.series()) == 0 })
		bad := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "runs_total", Help: "x"}, func() float64 { return 1 })
		if err := clientpush.New(s.url, "one").Collector(c).Push(); err != nil {
			t.Fatal(s.name, err)
		}
		c.WithLabelValues("x").Inc()
		_ = clientpush.New(s.url, "one").Collector(c).Push()
		if err := clientpush.New(s.url, "two").Collector(bad).Push(); err == nil {
			t.Errorf("%s: a clash of types was taken", s.name)
		}
	})
}

// The examples of the Pushgateway's documentation, by curl.
func TestCurlPushes(t *testing.T) {
	bin := program(t, "curl")
	sides(t, func(s *server) {
		curl := func(in string, args ...string) string {
			t.Helper()
			cmd := exec.Command(bin, append([]string{"-sS", "--fail-with-body", "-m", "20", "-w", "%{http_code}", "-o", os.DevNull}, args...)...)
			cmd.Stdin = strings.NewReader(in)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: curl %v: %v %s", s.name, args, err, out)
			}
			return string(out)
		}
		curl("some_metric 3.14\n", "--data-binary", "@-", s.url+"/metrics/job/some_job")
		curl("# TYPE some_metric untyped\nsome_metric{label=\"val1\"} 42\n# TYPE another_metric gauge\n# HELP another_metric Just an example.\nanother_metric 2398.283\n",
			"--data-binary", "@-", s.url+"/metrics/job/some_job/instance/some_instance")
		s.wantSeries(false, series{`some_metric{instance="",job="some_job"}`: 3.14,
			`some_metric{instance="some_instance",job="some_job",label="val1"}`: 42, `another_metric{instance="some_instance",job="some_job"}`: 2398.283})
		curl("", "-X", "DELETE", s.url+"/metrics/job/some_job/instance/some_instance")
		if code := curl("", "-X", "DELETE", s.url+"/metrics/job/some_job"); code != "202" {
			t.Errorf("%s: %s", s.name, code)
		}
		curl("a 1\n", "--data-binary", "@-", s.url+"/metrics/job/j")
		curl("", "-X", "PUT", s.url+"/api/v1/admin/wipe")
		eventually(t, s.name+" to be empty", func() bool { return len(s.series()) == 0 })
	})
}

// Prometheus scrapes ours: every series arrives, honoring the labels pushed.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	bin, addr, dir := program(t, "prometheus"), freeAddr(t), t.TempDir()
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/batch/zone/z", "# TYPE rows_total counter\nrows_total{table=\"a\"} 7\n# TYPE odd counter\nodd 1\n# TYPE took summary\ntook{quantile=\"0.5\"} 2\ntook_sum 4\ntook_count 2\n")
	file := dir + "/prometheus.yml"
	os.WriteFile(file, fmt.Appendf(nil, "global: {scrape_interval: 200ms}\nscrape_configs: [{job_name: gw, honor_labels: true, static_configs: [{targets: [%q]}]}]\n", strings.TrimPrefix(s.url, "http://")), 0o600)
	run(t, "http://"+addr+"/-/ready", bin, "--config.file="+file, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+addr, "--log.level=error")
	p := &server{t: t, name: "prometheus", url: "http://" + addr}
	query := func(q string) string { return p.do("GET", "/api/v1/query?query="+q, nil).text }
	eventually(t, "the series to arrive", func() bool { return strings.Contains(query("rows_total"), `"7"`) })
	mustContain(t, query("rows_total"), `"zone":"z"`, `"job":"batch"`, `"table":"a"`)
	mustContain(t, query("odd"), `"1"`)
	mustContain(t, query("took"), `"quantile":"0.5"`)
	mustContain(t, query("push_time_seconds"), `"job":"batch"`)
	mustContain(t, query("up"), `"1"`)
}

// promtool finds nothing wrong with our own metrics.
func TestPromtoolIsContent(t *testing.T) {
	bin := program(t, "promtool")
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/j", "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 1\n", "X-Push-TTL", "20ms")
	eventually(t, "a tombstone", func() bool { return s.own("group_expired_time_seconds") > 0 })
	s.want(200, "PUT", "/metrics/job/j", "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 1\n")
	cmd := exec.Command(bin, "check", "metrics")
	cmd.Stdin = strings.NewReader(s.do("GET", "/metrics", nil).text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// Each format says the same, compressed or not, also of families of many chunks.
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
		s := start(t, Config{Store: disk(t, t.TempDir()), Timeout: 50 * time.Millisecond})
		s.want(200, "PUT", "/metrics/job/j", zip(t, "zstd", []byte("a 1\n")), "Content-Encoding", "zstd")
		s.want(200, "GET", "/metrics", nil, "Accept-Encoding", "zstd")
		slow(t, s, "/metrics/job/j", "a")
		client.CloseIdleConnections()
		s.stop()
	}
	once()
	before := runtime.NumGoroutine()
	for range 10 {
		once()
	}
	eventually(t, fmt.Sprintf("no more than %d goroutines", before), func() bool { return runtime.NumGoroutine() <= before })
}

func FuzzParseKey(f *testing.F) {
	for _, p := range []string{"job/j", "job@base64/=", "job/a%2Fb/c/", "job/j/U__a/v", "job/j//"} {
		f.Add(p, true)
	}
	l := (Limits{}).withDefaults()
	f.Fuzz(func(t *testing.T, path string, utf8Names bool) {
		key, err := parseKey(path, l, utf8Names)
		if err != nil {
			return
		}
		if key.id() == "" || !slices.IsSortedFunc(key, func(a, b Label) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%q gives %v", path, key)
		}
	})
}

// Whatever is taken can be exposed in every format, and read back by a parser.
func FuzzPush(f *testing.F) {
	for _, format := range []codec.Format{codec.Protobuf, codec.Text, codec.OpenMetrics, codec.JSON} {
		f.Add(byte(format), encoded(f, format, gauge("a", 1, "x", "1"), gauge("b", 2)))
	}
	f.Add(byte(codec.Text), []byte("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"))
	f.Fuzz(func(t *testing.T, format byte, data []byte) {
		g, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		key := Key{{"job", "j"}}
		families, err := newBuilder(g, key).build(codec.Format(format), data)
		if err != nil {
			return
		}
		c := &change{op: opPut, key: key, families: families, done: make(chan error, 1)}
		g.apply([]*change{c}, map[string]Key{})
		if err := <-c.done; err != nil {
			return
		}
		all, err := g.sections()
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []codec.Format{codec.Text, codec.Protobuf, codec.JSON} {
			var b bytes.Buffer
			if err := writeSections(&b, out, all); err != nil {
				t.Fatalf("%v: %v", out, err)
			}
			if _, err := collectFamilies(&body{data: b.Bytes(), format: out}, false, (Limits{}).withDefaults()); err != nil {
				t.Fatalf("%v cannot be read back: %v\n%s", out, err, b.Bytes())
			}
		}
		if _, err := decodeGroup(encodeGroup(key, c.groupContent())); err != nil {
			t.Fatal(err)
		}
	})
}

func (c *change) groupContent() content { return content{families: c.families} }
