package push

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"vitals/core"
)

// source is a core.Source whose snapshots a test publishes.
type source struct {
	mu      sync.Mutex
	snap    *core.Snapshot
	changed chan struct{}
}

func newSource(seq uint64) *source {
	return &source{snap: &core.Snapshot{Seq: seq}, changed: make(chan struct{})}
}

func (s *source) Latest() *core.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap
}

func (s *source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *source) publish(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snap = &core.Snapshot{Seq: seq}
	close(s.changed)
	s.changed = make(chan struct{})
}

func counter(name, help string, value float64, labels ...string) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: proto.String(name), Help: proto.String(help), Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Label: pairs(labels...), Counter: &dto.Counter{Value: proto.Float64(value)}}},
	}
}

func pairs(labels ...string) (out []*dto.LabelPair) {
	for i := 0; i+1 < len(labels); i += 2 {
		out = append(out, &dto.LabelPair{Name: proto.String(labels[i]), Value: proto.String(labels[i+1])})
	}
	return out
}

// families renders a snapshot as one counter with its number.
func families(s *core.Snapshot) []*dto.MetricFamily {
	return []*dto.MetricFamily{counter("http_server_requests_total", "Requests", float64(s.Seq), "service_name", "shop")}
}

// wide renders n series, a body well above the size that is compressed.
func wide(n int) func(*core.Snapshot) []*dto.MetricFamily {
	f := counter("http_server_requests_total", "Requests", 0, "service_name", "shop")
	f.Metric = nil
	for i := range n {
		f.Metric = append(f.Metric, &dto.Metric{
			Label:   pairs("http_route", fmt.Sprintf("/items/%d", i), "http_response_status_code", "200", "service_name", "shop"),
			Counter: &dto.Counter{Value: proto.Float64(float64(i))},
		})
	}
	return func(*core.Snapshot) []*dto.MetricFamily { return []*dto.MetricFamily{f} }
}

func testConfig(url string) Config {
	return Config{
		URL: url, Interval: 15 * time.Second, Job: "vitals", Instance: "web-1",
		Format: FormatAuto, Source: newSource(1), Families: families, Version: "1.2.3",
	}
}

// received is one request as a server saw it.
type received struct {
	method, path, contentType, encoding, agent, auth string
	client                                           string
	header                                           http.Header
	body                                             []byte // as sent
}

// parsed decodes the body by its headers.
func (r received) parsed(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	body := io.Reader(bytes.NewReader(r.body))
	if r.encoding == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	if r.encoding == "zstd" {
		z, err := zstd.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		body = z
	}
	dec := expfmt.NewDecoder(body, expfmt.ResponseFormat(http.Header{"Content-Type": {r.contentType}}))
	out := map[string]*dto.MetricFamily{}
	for {
		f := &dto.MetricFamily{}
		if err := dec.Decode(f); err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out[f.GetName()] = f
	}
}

// recorder is a server that keeps what it received and answers as told.
type recorder struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func newRecorder(t *testing.T, answer http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, received{
			client: req.RemoteAddr, method: req.Method, path: req.RequestURI, contentType: req.Header.Get("Content-Type"),
			encoding: req.Header.Get("Content-Encoding"), agent: req.UserAgent(),
			auth: req.Header.Get("Authorization"), header: req.Header.Clone(), body: body,
		})
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// dtoFamily is short for what is used often.
type dtoFamily = dto.MetricFamily

func refuse415(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusUnsupportedMediaType)
}

func status200(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// rows collects what a destination reports.
type rows struct {
	mu  sync.Mutex
	all []core.PushRow
}

func (r *rows) report(row core.PushRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, row)
}

func (r *rows) last() core.PushRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return core.PushRow{}
	}
	return r.all[len(r.all)-1]
}

// serve runs a destination of c until the returned function ends it by Detach.
func serve(t *testing.T, c Config) (detach func(context.Context) error) {
	t.Helper()
	spec, err := NewSpec(c)
	if err != nil {
		t.Fatal(err)
	}
	u, err := spec.Make()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- u.Serve(context.Background(), func() {}) }()
	var once sync.Once
	detach = func(ctx context.Context) (err error) {
		once.Do(func() {
			err = u.Detach(ctx)
			if e := <-served; e != nil {
				t.Errorf("Serve: %v", e)
			}
		})
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = detach(ctx)
	})
	return detach
}

// eventually waits for a condition that a real server makes true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 30 s: %s", what)
}

// noLeaks fails when f leaves goroutines or file descriptors behind.
func noLeaks(t *testing.T, f func()) {
	t.Helper()
	settle := func() (int, int) {
		runtime.GC()
		return runtime.NumGoroutine(), openFiles(t)
	}
	f() // what the first use starts for good is not a leak
	goroutines, files := settle()
	for range 20 {
		f()
	}
	var g, n int
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if g, n = settle(); g <= goroutines && n <= files {
			return
		}
	}
	buf := make([]byte, 1<<20)
	t.Fatalf("after 20 runs %d goroutines (%d before), %d files (%d before)\n%s", g, goroutines, n, files, buf[:runtime.Stack(buf, true)])
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(entries)
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not contain %q", text, p)
		}
	}
}
