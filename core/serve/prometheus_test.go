package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/porttest"
)

func program(t *testing.T, name string) string {
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

// scraper starts Debian's Prometheus with a configuration; ask queries it and
// gives the labels and values of the answer.
func scraper(t *testing.T, config string) (ask func(query string) map[string]string) {
	t.Helper()
	bin, dir := program(t, "prometheus"), t.TempDir()
	addr := porttest.Free(t)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--config.file="+file, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+addr, "--log.level=error",
		"--enable-feature=native-histograms")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return func(query string) map[string]string {
		t.Helper()
		a, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return nil
		}
		defer a.Body.Close()
		var out struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if json.NewDecoder(a.Body).Decode(&out) != nil {
			return nil
		}
		got := map[string]string{}
		for _, r := range out.Data.Result {
			got[r.Metric["job"]+" "+r.Metric["instance"]+" "+r.Metric["env"]] = fmt.Sprint(r.Value[1])
		}
		return got
	}
}

// Prometheus itself finds the targets at /sd, with hostile ids, and scrapes each
// of them and /metrics.
func TestG57_PrometheusScrapesMetricsAndEveryTarget(t *testing.T) {
	l := newLab()
	want := map[string]string{}
	for i, instance := range []string{"127.0.0.1:6379", "a/b", "..", "~", "with space", "über", "x?y#z", `q"uote`} {
		id := l.add("test", instance, scraped(core.Target{Interval: 500 * time.Millisecond, Timeout: 500 * time.Millisecond, Labels: map[string]string{"env": "prod"}}))
		l.set(func(s *core.Snapshot) {
			s.Integrations = append(s.Integrations, &core.IntegrationRow{ID: id, Health: core.HealthOK, Families: []core.Family{gauge("test_level", float64(i))}})
		})
		want["integrations/test "+instance+" prod"] = fmt.Sprint(i)
	}
	listener, err := Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	s := l.server(t, func(c *Config) { c.Advertise = addr })
	go s.Serve(t.Context(), listener)
	ask := scraper(t, fmt.Sprintf(`global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - {job_name: vitals, static_configs: [{targets: [%q]}]}
  - job_name: integrations
    http_sd_configs: [{url: "http://%s/sd", refresh_interval: 300ms}]
`, addr, addr))
	// /metrics has the levels too, under the job that scrapes it: only the targets' are asked for.
	eventually(t, "the levels of every target", func() (any, bool) {
		levels := ask(`test_level{job="integrations/test"}`)
		return levels, maps.Equal(levels, want)
	})
	eventually(t, "every target and /metrics up", func() (any, bool) {
		up := ask("up")
		for _, v := range up {
			if v != "1" {
				return up, false
			}
		}
		return up, len(up) == len(want)+1
	})
	eventually(t, "what /metrics says of the build", func() (any, bool) {
		build := ask("vitals_build_info")
		return build, build["vitals "+addr+" "] == "1"
	})
}

// eventually asks until what it is told is so, and fails with the last answer.
func eventually(t *testing.T, what string, is func() (got any, ok bool)) {
	t.Helper()
	got, ok := is()
	for deadline := time.Now().Add(30 * time.Second); !ok && time.Now().Before(deadline); got, ok = is() {
		time.Sleep(100 * time.Millisecond)
	}
	if !ok {
		t.Fatalf("%s: %v", what, got)
	}
}

func TestMetricsAreCleanForPromtool(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", scraped(core.Target{}))
	l.set(func(s *core.Snapshot) {
		s.Push = []*core.PushRow{{Destination: "d", Unit: "destination/d", Pushes: 1, LastSuccess: time.Now(), Bytes: 1, Series: 1}}
		s.Programs = []core.Program{{Unit: "instrumentation/x", Name: "p"}}
		s.Integrations = []*core.IntegrationRow{{ID: id, Families: []core.Family{gauge("test_level", 1)}}}
		s.Services = []*core.ServiceRow{{Name: "web", PIDs: []int32{1}, Usage: core.Usage{RSS: 1, Threads: 2, FDs: 3, VSize: 4}, Started: time.Now(),
			Server: core.RED{Count: 1}}}
		s.Self.Lost = map[string]uint64{"ring/full": 1}
		s.Calls = []core.CallRow{{Op: "push", Begun: 1, Ended: map[core.Outcome]uint64{core.OutcomeOK: 1}}}
	})
	s := l.server(t)
	bin := program(t, "promtool")
	for _, path := range []string{"/metrics", "/metrics/" + id, Prefix("test", "one") + "/metrics"} {
		check := exec.Command(bin, "check", "metrics")
		check.Stdin = strings.NewReader(get(t, s, path).Body.String())
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
