package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// pushgateway is Debian's prometheus-pushgateway.
type pushgateway struct {
	*proc
	url string
}

func startGateway(t *testing.T, port int) pushgateway {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	p := start(t, nil, need(t, "prometheus-pushgateway"), "--web.listen-address="+addr, "--persistence.file=")
	waitPort(t, port)
	return pushgateway{p, "http://" + addr}
}

// waitAttached returns when a pushed value says that requests of at least n
// processes are being captured.
func (g pushgateway) waitAttached(instance string, n int) {
	g.t.Helper()
	until(g.t, fmt.Sprintf("requests of %d processes are captured by %s", n, instance), func() bool { return g.attached(instance) >= n },
		func() string { return grep(fetch(g.url+"/metrics"), "vitals_instrumented_processes{") })
}

// attached is of how many processes requests are captured, as it was pushed.
func (g pushgateway) attached(instance string) (n int) {
	for line := range strings.Lines(fetch(g.url + "/metrics")) {
		if strings.HasPrefix(line, "vitals_instrumented_processes{") && strings.Contains(line, `kind="requests"`) &&
			strings.Contains(line, fmt.Sprintf("instance=%q", instance)) {
			_, value, _ := strings.Cut(line, "} ")
			fmt.Sscan(value, &n)
		}
	}
	return n
}

// requests adds up http_server_request_duration_seconds_count of a service.
func (g pushgateway) requests(service string) uint64 { return g.services()[service] }

// services is the requests of all services, as they were pushed together.
func (g pushgateway) services() map[string]uint64 {
	n := map[string]uint64{}
	resp, err := http.Get(g.url + "/metrics")
	if err != nil {
		return n
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return n
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		g.t.Fatalf("gateway's metrics: %v", err)
	}
	for _, m := range families["http_server_request_duration_seconds"].GetMetric() {
		// GET / is the test asking truth for its counters.
		if label(m, "http_route") != "/" {
			n[label(m, "service_name")] += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// Pushing to a real gateway: values grow with the traffic, the last push comes
// on SIGTERM, a dead gateway is survived and found again.
func TestPushToDebiansPushgateway(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	port := freePort(t)
	gw := startGateway(t, port)
	pusher := start(t, []string{"OTEL_SERVICE_NAME="}, binary(t, "vitals"), "--push", gw.url, "--interval", "1s", "--instance", "e2e", "--include", fmt.Sprintf("pid=%d", truth.Process.Pid))
	gw.waitAttached("e2e", 1)

	before := truth.report()
	load := startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "3000", "-rate", "4000")
	load.finish()
	want := sum(truth.report().minus(before))
	seen := func() string {
		return fmt.Sprintf("%d, truth is %d\n%s\n%s", gw.requests("truth"), want, grep(fetch(gw.url+"/metrics"), "vitals_events_lost"), tail(pusher.stderr()))
	}
	until(t, "pushed counts are the truth", func() bool { return gw.requests("truth") == want }, seen)

	gw.end(syscall.SIGKILL)
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "3000", "-rate", "4000").finish()
	want = sum(truth.report().minus(before))
	gw = startGateway(t, port)
	until(t, "pushing resumes with every count", func() bool { return gw.requests("truth") == want }, seen)

	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "3000", "-rate", "4000").finish()
	want = sum(truth.report().minus(before))
	pusher.end(syscall.SIGTERM)
	if code := pusher.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, tail(pusher.stderr()))
	}
	if got := gw.requests("truth"); got != want {
		t.Errorf("after the final push the gateway has %d, truth is %d", got, want)
	}
}

// --once pushes and ends; a gateway that is down is an exit code and one line.
func TestPushOnce(t *testing.T) {
	needRoot(t)
	gw := startGateway(t, freePort(t))
	ok := start(t, nil, binary(t, "vitals"), "--push", gw.url, "--once", "--instance", "e2e")
	ok.wait()
	if code := ok.ProcessState.ExitCode(); code != 0 || !strings.Contains(fetch(gw.url+"/metrics"), `instance="e2e"`) {
		t.Errorf("once: exit %d\n%s", code, tail(ok.stderr()))
	}
	down := start(t, nil, binary(t, "vitals"), "--push", fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), "--once")
	down.wait()
	if code := down.ProcessState.ExitCode(); code != 1 || !strings.Contains(down.stderr(), "refused") {
		t.Errorf("gateway down: exit %d\n%s", code, tail(down.stderr()))
	}
}

func fetch(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}
