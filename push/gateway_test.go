package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"vitals/core"
	"vitals/core/porttest"
)

// gateway is a real Pushgateway on a port of its own.
type gateway struct {
	addr string
	cmd  *exec.Cmd
}

// startGateway runs a Pushgateway without persistence; addr may be empty.
func startGateway(t testing.TB, addr string) *gateway {
	t.Helper()
	bin, err := exec.LookPath("prometheus-pushgateway")
	if errors.Is(err, exec.ErrNotFound) {
		bin, err = exec.LookPath("/usr/bin/prometheus-pushgateway")
	}
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatal("prometheus-pushgateway is not installed: apt-get install prometheus-pushgateway")
		}
		t.Skip("needs prometheus-pushgateway")
	}
	if addr == "" {
		addr = porttest.Free(t)
	}
	g := &gateway{addr: addr, cmd: exec.Command(bin, "--web.listen-address="+addr, "--persistence.file=", "--log.level=error")}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.kill)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get("http://" + addr + "/-/ready"); err == nil {
			resp.Body.Close()
			return g
		}
		if time.Now().After(end) {
			t.Fatal("prometheus-pushgateway does not get ready")
		}
	}
}

func (g *gateway) kill() {
	if g.cmd.ProcessState == nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
	}
}

// families reads what the gateway exposes.
func (g *gateway) families(t testing.TB) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + g.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s", resp.Status, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	f, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// value finds the one series of a counter with these labels, and its whole label set.
func (g *gateway) value(t testing.TB, name string, labels ...string) (float64, map[string]string, bool) {
	t.Helper()
	f := g.families(t)[name]
search:
	for _, m := range f.GetMetric() {
		all := map[string]string{}
		for _, l := range m.Label {
			all[l.GetName()] = l.GetValue()
		}
		for i := 0; i+1 < len(labels); i += 2 {
			if all[labels[i]] != labels[i+1] {
				continue search
			}
		}
		return m.GetCounter().GetValue(), all, true
	}
	return 0, nil, false
}

func TestGatewayTakesWhatWePush(t *testing.T) {
	g := startGateway(t, "")
	c := testConfig(g.addr)
	var got rows
	c.Report = got.report
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if v, labels, ok := g.value(t, "http_server_requests_total", "service_name", "shop"); !ok || v != 1 || labels["job"] != "vitals" || labels["instance"] != "web-1" {
		t.Errorf("value %v, labels %v", v, labels)
	}
	// Debian's 1.5.1 reads gzip: a large body arrives compressed and whole.
	c.Families = wide(2000)
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := len(g.families(t)["http_server_requests_total"].GetMetric()); n != 2000 {
		t.Errorf("%d series arrived", n)
	}
	if b := got.last().Bytes; b == 0 || b > 60_000 {
		t.Errorf("%d bytes for 2000 series: not compressed", b)
	}
}

func TestP01_PutReplacesVanishedFamiliesAndPostKeepsThem(t *testing.T) {
	g := startGateway(t, "")
	for _, c := range []struct {
		method string
		stays  bool
	}{{"POST", true}, {"PUT", false}} {
		cfg := testConfig(g.addr)
		cfg.Job = c.method
		cfg.Method = c.method
		push := func(names ...string) {
			cfg.Families = func(*core.Snapshot) (out []*dto.MetricFamily) {
				for _, n := range names {
					out = append(out, counter(n, "help", 1))
				}
				return out
			}
			if err := Once(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		}
		push("a_total", "b_total")
		push("a_total")
		if _, _, ok := g.value(t, "a_total", "job", c.method); !ok {
			t.Errorf("%s: a_total is gone", c.method)
		}
		if _, _, ok := g.value(t, "b_total", "job", c.method); ok != c.stays {
			t.Errorf("%s: b_total there %v, want %v", c.method, ok, c.stays)
		}
	}
}

func TestP35_GroupingValuesArriveLiterally(t *testing.T) {
	g := startGateway(t, "")
	for i, v := range []string{
		"my job", "a+b", "a/b", "/", "//", "..", ".", "...", "50%", "%2F", "a;b=c", "a?b#c&d", "café ☕", `quo"te\back`, "@base64", "a=b==", "tab\there", "line\nbreak",
	} {
		c := testConfig(g.addr)
		c.Job, c.Instance = fmt.Sprint("j", i, v), v
		c.Grouping = []Label{{"zone", v}, {"empty", ""}, {"n", fmt.Sprint(i)}}
		if err := Once(t.Context(), c); err != nil {
			t.Errorf("%q: %v", v, err)
			continue
		}
		_, labels, ok := g.value(t, "http_server_requests_total", "n", fmt.Sprint(i))
		if !ok || labels["job"] != c.Job || labels["instance"] != v || labels["zone"] != v {
			t.Errorf("%q arrives as %v", v, labels)
		}
		if labels["empty"] != "" {
			t.Errorf("the empty value arrives as %q", labels["empty"])
		}
	}
	// A value alone in the job, where it needs base64 in the first segment.
	for _, v := range []string{"/", "..", "a/b c"} {
		c := testConfig(g.addr)
		c.Job = v
		if err := Once(t.Context(), c); err != nil {
			t.Errorf("job %q: %v", v, err)
		} else if _, _, ok := g.value(t, "http_server_requests_total", "job", v); !ok {
			t.Errorf("job %q did not arrive", v)
		}
	}
}

// Everything that a fresh gateway exposes is withheld, so that a name of ours
// that becomes one of its own cannot make it refuse the push.
func TestGatewaysOwnNamesAreWithheld(t *testing.T) {
	g := startGateway(t, "")
	if err := Once(t.Context(), testConfig(g.addr)); err != nil {
		t.Fatal(err)
	}
	fs := g.families(t)
	if len(fs) < 20 || fs["push_time_seconds"] == nil {
		t.Fatalf("%d families only", len(fs))
	}
	for name := range fs {
		if name != "http_server_requests_total" && !takenName(name) {
			t.Errorf("%s is the gateway's own and would be pushed", name)
		}
	}
	c := testConfig(g.addr)
	c.Families = func(*core.Snapshot) (out []*dto.MetricFamily) {
		for name := range fs {
			out = append(out, counter(name, "another help", 1))
		}
		return out
	}
	if err := Once(t.Context(), c); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func TestGatewayRefusalIsTold(t *testing.T) {
	g := startGateway(t, "")
	if err := Once(t.Context(), testConfig(g.addr)); err != nil {
		t.Fatal(err)
	}
	c := testConfig(g.addr)
	c.Instance = "web-2"
	c.Families = func(*core.Snapshot) []*dto.MetricFamily {
		return []*dto.MetricFamily{{
			Name: proto.String("http_server_requests_total"), Help: proto.String("Requests"), Type: dto.MetricType_GAUGE.Enum(),
			Metric: []*dto.Metric{{Label: pairs("service_name", "shop"), Gauge: &dto.Gauge{Value: proto.Float64(1)}}},
		}}
	}
	err := Once(t.Context(), c)
	if err == nil {
		t.Fatal("a clash of types was taken")
	}
	mustContain(t, err.Error(), "400 Bad Request", "http_server_requests_total")
	if !core.IsPermanent(err) {
		t.Error("not permanent")
	}
}

func TestT46_FinalPushReachesTheGateway(t *testing.T) {
	g := startGateway(t, "")
	c := testConfig(g.addr)
	c.Fresh = func(context.Context) *core.Snapshot { return &core.Snapshot{Seq: 42} }
	var got rows
	c.Report = got.report
	detach := serve(t, c)
	eventually(t, "the first push", func() bool { return got.last().Pushes >= 1 })
	if v, _, _ := g.value(t, "http_server_requests_total", "job", "vitals"); v != 1 {
		t.Errorf("value %v before the end", v)
	}
	if err := detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _, _ := g.value(t, "http_server_requests_total", "job", "vitals"); v != 42 {
		t.Errorf("value %v after the end, want 42", v)
	}

	c.DeleteOnExit, c.Job = true, "batch"
	got = rows{}
	c.Report = got.report
	detach = serve(t, c)
	eventually(t, "the first push", func() bool { return got.last().Pushes >= 1 })
	if err := detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The gateway answers 202 and deletes a moment later.
	eventually(t, "the group's removal", func() bool {
		_, _, ok := g.value(t, "http_server_requests_total", "job", "batch")
		return !ok
	})
	if _, _, ok := g.value(t, "http_server_requests_total", "job", "vitals"); !ok {
		t.Error("another group was removed")
	}
}

func TestGatewayKilledAndRestarted(t *testing.T) {
	g := startGateway(t, "")
	src := newSource(1)
	c := testConfig(g.addr)
	c.Source, c.Interval, c.Timeout = src, 50*time.Millisecond, 2*time.Second
	var got rows
	c.Report = got.report
	detach := serve(t, c)
	eventually(t, "three pushes", func() bool { return got.last().Pushes >= 3 })

	g.kill()
	var down core.PushRow // the first failures may be of a connection that was open
	eventually(t, "that nothing listens to be told", func() bool {
		down = got.last()
		return down.State == StateRetrying && down.Consecutive >= 2 && strings.Contains(down.LastError, "connection refused")
	})
	mustContain(t, down.LastError, g.addr)
	before := got.last().Pushes

	src.publish(7)
	g = startGateway(t, g.addr)
	eventually(t, "pushing to resume", func() bool { r := got.last(); return r.State == StateOK && r.Pushes > before })
	if v, _, _ := g.value(t, "http_server_requests_total", "job", "vitals"); v != 7 {
		t.Errorf("value %v, want that of the newest snapshot", v)
	}
	if row := got.last(); row.LastError != "" || row.Consecutive != 0 || row.Failures < 2 {
		t.Errorf("row %+v", row)
	}
	if err := detach(t.Context()); err != nil {
		t.Error(err)
	}
}

// A gateway that stops in the middle (SIGSTOP) hangs with its port open.
func TestGatewayHangingAndResumed(t *testing.T) {
	g := startGateway(t, "")
	c := testConfig(g.addr)
	c.Interval, c.Timeout = 50*time.Millisecond, 300*time.Millisecond
	var got rows
	c.Report = got.report
	detach := serve(t, c)
	eventually(t, "a push", func() bool { return got.last().Pushes >= 1 })
	if err := g.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hang to be told", func() bool { return strings.Contains(got.last().LastError, "no answer in time") })
	before := got.last().Pushes
	if err := g.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "pushing to resume", func() bool { return got.last().Pushes > before })
	if err := detach(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALifeLeavesNothingBehind(t *testing.T) {
	g := startGateway(t, "")
	defer http.DefaultClient.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	noLeaks(t, func() {
		c := testConfig(g.addr)
		c.Interval = 10 * time.Millisecond
		var got rows
		c.Report = got.report
		detach := serve(t, c)
		eventually(t, "a push", func() bool { return got.last().Pushes >= 2 })
		if err := detach(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
