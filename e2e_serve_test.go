package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// server is a vitals that serves.
type server struct {
	*proc
	url string
}

// startServing runs vitals with --listen until it is ready.
func startServing(t *testing.T, args ...string) *server {
	t.Helper()
	port := freePort(t)
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	s.proc = start(t, nil, binary(t, "vitals"), append([]string{"--listen", fmt.Sprint(port), "--headless", "--instance", "e2e"}, args...)...)
	s.waitReady(t)
	return s
}

func (s *server) waitReady(t *testing.T) {
	t.Helper()
	until(t, "vitals is ready", func() bool {
		r, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == 200
	})
}

// requests adds up the answered HTTP requests of a service in /metrics.
func (s *server) requests(service string) (n uint64) {
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, _ := p.TextToMetricFamilies(strings.NewReader(fetch(s.url + "/metrics")))
	f := families["http_server_request_duration_seconds"]
	if f == nil {
		return 0
	}
	for _, m := range f.GetMetric() {
		if label(m, "service_name") == service && label(m, "http_route") != "/" {
			n += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}

// What is scraped is the truth; every unit is well and says so; the end is soon.
func TestServedMetricsAreTheTruth(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	s := startServing(t, "-p", fmt.Sprint(truth.Process.Pid))
	before := truth.report()
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "3000", "-rate", "4000").finish()
	want := sum(truth.report().minus(before))
	until(t, "scraped counts are the truth", func() bool { return s.requests("truth") == want }, func() string {
		return fmt.Sprintf("%d, truth is %d\n%s", s.requests("truth"), want, grep(fetch(s.url+"/metrics"), "vitals_events_lost"))
	})

	type answer struct {
		Status string
		Units  []struct{ Unit, Status, Message string }
	}
	var health answer
	until(t, "all is well", func() bool {
		health = answer{}
		return json.Unmarshal([]byte(fetch(s.url+"/health")), &health) == nil && health.Status == "OK"
	}, func() string { return fmt.Sprintf("%+v", health) })
	for _, u := range health.Units {
		if r, err := http.Get(s.url + "/health/" + u.Unit); err != nil || r.StatusCode != 200 {
			t.Errorf("/health/%s: %v %v", u.Unit, r, err)
		} else {
			r.Body.Close()
		}
		if text := fetch(s.url + "/metrics/" + u.Unit); !strings.Contains(text, fmt.Sprintf("unit=%q", u.Unit)) {
			t.Errorf("/metrics/%s: %.200s", u.Unit, text)
		}
	}
	check := exec.Command(need(t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(ours(fetch(s.url + "/metrics")))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	began := time.Now()
	s.end(syscall.SIGTERM)
	if took := time.Since(began); s.ProcessState.ExitCode() != 0 || took > 10*time.Second {
		t.Errorf("exit %d after %v\n%s", s.ProcessState.ExitCode(), took, tail(s.stderr()))
	}
}

// ours leaves out the families of servers that happen to run here: they have the
// names that their exporters gave them.
func ours(text string) string {
	var b strings.Builder
	keep := true
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ = strings.Cut(name, " ")
			keep = !strings.Contains(text, "\n"+name+"{") || !strings.Contains(between(text, "\n"+name+"{", "}"), `job="integrations/`)
		}
		if keep {
			b.WriteString(line)
		}
	}
	return b.String()
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestC19_PortInUseIsAClearError(t *testing.T) {
	needRoot(t)
	s := startServing(t)
	second := start(t, nil, binary(t, "vitals"), "--listen", strings.TrimPrefix(s.url, "http://"), "--headless")
	second.wait()
	if code := second.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.stderr(), "the port is in use") {
		t.Errorf("exit %d, %s", code, second.stderr())
	}
}

// vitals check asks the vitals that serves, and else tries what is configured.
func TestD26_CheckTellsHealthByExitCode(t *testing.T) {
	needRoot(t)
	s := startServing(t, "-p", fmt.Sprint(startTruth(t, "127.0.0.1:0").Process.Pid))
	until(t, "all is well", func() bool { return strings.Contains(fetch(s.url+"/health"), `"status":"OK"`) }, func() string { return fetch(s.url + "/health") })
	gw := startGateway(t, freePort(t))
	spec := filepath.Join(t.TempDir(), "new.yaml")
	write := func(url string) {
		if err := os.WriteFile(spec, []byte("push: {url: \""+url+"\"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(env []string, args ...string) (int, string) {
		p := start(t, env, binary(t, "vitals"), append([]string{"check"}, args...)...)
		p.wait()
		return p.ProcessState.ExitCode(), p.stdout() + p.stderr()
	}
	listening := []string{"VITALS_LISTEN=" + strings.TrimPrefix(s.url, "http://")}
	if code, out := run(listening); code != 0 || !strings.Contains(out, "OK       instrumentation/requests") {
		t.Errorf("a vitals that serves: exit %d\n%s", code, out)
	}
	if code, out := run(listening, "no-such"); code != 2 || !strings.Contains(out, "no such unit") {
		t.Errorf("no such unit: exit %d\n%s", code, out)
	}
	if code, out := run(nil, "requests"); code != 0 || !strings.Contains(out, "can be attached") {
		t.Errorf("nothing runs: exit %d\n%s", code, out)
	}
	write(gw.url)
	if code, out := run(nil, "--spec", spec, "pushgateway"); code != 0 {
		t.Errorf("D-29, a gateway that answers: exit %d\n%s", code, out)
	}
	write(fmt.Sprintf("http://user:hunter2@127.0.0.1:%d", freePort(t)))
	code, out := run(nil, "--spec", spec, "pushgateway", "-o", "json")
	var told struct{ Status string }
	if json.Unmarshal([]byte(out), &told); code != 1 || told.Status != "ERROR" || strings.Contains(out, "hunter2") {
		t.Errorf("D-29, a gateway that does not: exit %d\n%s", code, out)
	}
}
