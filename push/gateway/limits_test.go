package gateway

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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

func (discard) WriteHeader(int) {}

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
	dirty := &unstored{}
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
	// By turns, so that what else this machine does slows both; the benchmark
	// does it with 200,000 and says how long it takes.
	stored := []*Gateway{filled(t, 1000), filled(t, 50_000)}
	var took [2][]time.Duration
	for i := range 401 {
		for n, g := range stored {
			began := time.Now()
			g.apply([]*change{prepared(t, g, "one", fmt.Appendf(nil, "backup_bytes %d\n", i))}, &unstored{})
			took[n] = append(took[n], time.Since(began))
		}
	}
	median := func(all []time.Duration) time.Duration { slices.Sort(all); return all[len(all)/2] }
	small, large := median(took[0]), median(took[1])
	t.Logf("one line: %v with 1,000 series, %v with 50,000", small, large)
	if large > 10*small {
		t.Errorf("%v with 50,000 series, %v with 1,000", large, small)
	}
	// And it is a check all the same.
	g := filled(t, 10_000)
	c := prepared(t, g, "other", []byte("# TYPE http_requests_1_total gauge\nhttp_requests_1_total 1\n"))
	c.done = make(chan error, 1)
	g.apply([]*change{c}, &unstored{})
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
