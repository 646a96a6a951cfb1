package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"vitals/push/codec"

	"vitals/core/porttest"
)

// server is a gateway on a port: ours, or a real Pushgateway.
type server struct {
	t    testing.TB
	name string
	url  string
	gw   *Gateway
	pid  int // of a program
	stop func()
}

// start serves a gateway of ours until the test ends or stop is called.
func start(t testing.TB, c Config) *server {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	s := &server{t: t, name: "ours", url: "http://" + l.Addr().String(), gw: g}
	s.stop = sync.OnceFunc(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func program(t testing.TB, name string) string {
	t.Helper()
	bin, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		bin, err = exec.LookPath("/usr/bin/" + name)
	}
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("%s is not installed: make test installs it", name)
		}
		t.Skip("needs " + name)
	}
	return bin
}

// run starts a program that ends with the test and waits until ready answers.
func run(t testing.TB, ready, bin string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, bin+" to be ready", func() bool {
		resp, err := http.Get(ready)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return cmd
}

// reference is Debian's Pushgateway.
func reference(t testing.TB, args ...string) *server {
	t.Helper()
	bin, addr := program(t, "prometheus-pushgateway"), porttest.Free(t)
	cmd := run(t, "http://"+addr+"/-/ready", bin,
		append([]string{"--web.listen-address=" + addr, "--persistence.file=", "--log.level=error", "--web.enable-admin-api"}, args...)...)
	return &server{t: t, name: "reference", url: "http://" + addr, pid: cmd.Process.Pid, stop: func() { _ = cmd.Process.Kill() }}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 30 s: %s", what)
}

// comes waits for what get gives to be as wanted, and tells what it was last.
func comes(t testing.TB, what, want string, get func() string) {
	t.Helper()
	got := get()
	for end := time.Now().Add(30 * time.Second); got != want && time.Now().Before(end); got = get() {
		time.Sleep(20 * time.Millisecond)
	}
	if got != want {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}

// reply is what a server said.
type reply struct {
	code   int
	text   string
	header http.Header
}

// do sends a request; headers are pairs.
func (s *server) do(method, path string, body any, headers ...string) reply {
	s.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	case io.Reader:
		in = b
	}
	req, err := http.NewRequest(method, s.url+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{resp.StatusCode, string(text), resp.Header}
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// want fails unless the answer has this status.
func (s *server) want(code int, method, path string, body any, headers ...string) reply {
	s.t.Helper()
	r := s.do(method, path, body, headers...)
	if r.code != code {
		s.t.Errorf("%s: %s %s: %d %s, want %d", s.name, method, path, r.code, strings.TrimSpace(r.text), code)
	}
	return r
}

func (s *server) families() map[string]*dto.MetricFamily {
	s.t.Helper()
	r := s.want(200, "GET", "/metrics", nil)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	f, err := parser.TextToMetricFamilies(strings.NewReader(r.text))
	if err != nil {
		s.t.Fatalf("%s exposes what cannot be parsed: %v", s.name, err)
	}
	return f
}

// series gives what was pushed: "name{labels}" to value, for gauges, counters
// and untyped ones. The times of groups are there as 0 and 1: never, ever.
func (s *server) series() map[string]float64 {
	s.t.Helper()
	out := map[string]float64{}
	for name, f := range s.families() {
		own := strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "pushgateway_") || strings.HasPrefix(name, ownPrefix)
		for _, m := range f.Metric {
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() +
				float64(m.GetHistogram().GetSampleCount()+m.GetSummary().GetSampleCount())
			if name == pushTime || name == failureTime {
				v = min(v, 1)
			} else if own {
				continue
			}
			out[name+labelText(m)] = v
		}
	}
	return out
}

func labelText(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		fmt.Fprintf(&b, ",%s=%q", l.GetName(), l.GetValue())
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// wantSeries compares everything that was pushed; times of groups count only
// when times is set.
func (s *server) wantSeries(times bool, want map[string]float64) {
	s.t.Helper()
	got := s.series()
	for k, v := range got {
		if strings.HasPrefix(k, "push_") && !times {
			continue
		}
		if w, ok := want[k]; !ok || w != v {
			s.t.Errorf("%s: %s is %v, want %v (there: %v)", s.name, k, v, w, ok)
		}
	}
	for k := range want {
		if _, ok := got[k]; !ok {
			s.t.Errorf("%s: %s is missing", s.name, k)
		}
	}
}

// own gives one of the gateway's own series, NaN-free.
func (s *server) own(name string, labels ...string) (sum float64) {
	s.t.Helper()
search:
	for _, m := range s.families()[ownPrefix+name].GetMetric() {
		have := labelMap(m.Label)
		for i := 0; i+1 < len(labels); i += 2 {
			if have[labels[i]] != labels[i+1] {
				continue search
			}
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetSummary().GetSampleCount())
	}
	return sum
}

func unmarshal(t testing.TB, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func gauge(name string, value float64, labels ...string) *dto.MetricFamily {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(value)}}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(labels[i]), Value: proto.String(labels[i+1])})
	}
	return &dto.MetricFamily{Name: proto.String(name), Help: proto.String("help"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{m}}
}

func encoded(t testing.TB, f codec.Format, families ...*dto.MetricFamily) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.Encode(&b, f, families); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var contentProtobuf = codec.Protobuf.ContentType()

func mustContain(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not contain %q", text, p)
		}
	}
}

// sides runs f against ours and the reference: what both must do alike.
func sides(t *testing.T, f func(s *server)) {
	t.Helper()
	for _, s := range []*server{start(t, Config{Admin: true}), reference(t)} {
		f(s)
	}
}

// scrub replaces what differs from run to run: times.
func scrub(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			scrub(x)
		}
	case map[string]any:
		for k, x := range v {
			if k == "time_stamp" {
				v[k] = "T"
			}
			if times, ok := x.(map[string]any); ok && strings.HasPrefix(k, "push_") {
				for _, m := range times["metrics"].([]any) {
					if m := m.(map[string]any); m["value"] != "0" {
						m["value"] = "T"
					}
				}
			}
			scrub(x)
		}
	}
}
