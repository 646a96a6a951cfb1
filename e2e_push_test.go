package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

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

// waitAttached returns when a pushed value says that requests are being captured.
func (g pushgateway) waitAttached(instance string) {
	g.t.Helper()
	until(g.t, 15*time.Second, "the requests probe of "+instance+" is attached", func() bool {
		for line := range strings.Lines(fetch(g.url + "/metrics")) {
			if strings.HasPrefix(line, "vitals_instrumented_processes{") && strings.Contains(line, `kind="requests"`) &&
				strings.Contains(line, fmt.Sprintf("instance=%q", instance)) && !strings.HasSuffix(line, " 0\n") {
				return true
			}
		}
		return false
	})
}

// requests adds up http_server_request_duration_seconds_count of a service.
func (g pushgateway) requests(service string) (n uint64) {
	resp, err := http.Get(g.url + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		g.t.Fatalf("gateway's metrics: %v", err)
	}
	f := families["http_server_request_duration_seconds"]
	for _, m := range f.GetMetric() {
		// GET / is the test asking truth for its counters.
		if label(m, "service_name") == service && label(m, "http_route") != "/" {
			n += m.GetHistogram().GetSampleCount()
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
	pusher := start(t, []string{"OTEL_SERVICE_NAME="}, binary(t, "vitals"), "--push", gw.url, "--interval", "1s", "--instance", "e2e")
	gw.waitAttached("e2e")

	before := truth.report()
	load := startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "5000")
	load.finish(time.Minute)
	want := sum(truth.report().minus(before))
	until(t, 10*time.Second, "pushed counts are the truth", func() bool { return gw.requests("truth") == want })

	gw.end(syscall.SIGKILL)
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "5000").finish(time.Minute)
	want = sum(truth.report().minus(before))
	gw = startGateway(t, port)
	until(t, 30*time.Second, "pushing resumes with every count", func() bool { return gw.requests("truth") == want })

	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "3000").finish(time.Minute)
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
	ok.wait(20 * time.Second)
	if code := ok.ProcessState.ExitCode(); code != 0 || !strings.Contains(fetch(gw.url+"/metrics"), `instance="e2e"`) {
		t.Errorf("once: exit %d\n%s", code, tail(ok.stderr()))
	}
	down := start(t, nil, binary(t, "vitals"), "--push", fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), "--once")
	down.wait(30 * time.Second)
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
