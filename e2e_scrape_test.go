package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Debian's Prometheus, with the configuration of deploy/, scrapes /metrics and
// every target of /sd: a Redis that was found is told with its own figures.
func TestPrometheusScrapesWhatIsServedAndFound(t *testing.T) {
	needRoot(t)
	redisPort := freePort(t)
	redis := start(t, nil, need(t, "redis-server"), "--port", fmt.Sprint(redisPort), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	t.Cleanup(func() { redis.end(syscall.SIGTERM) })
	waitPort(t, redisPort)
	s := startServing(t, "-p", fmt.Sprint(redis.Process.Pid))
	instance := fmt.Sprintf("127.0.0.1:%d", redisPort)
	until(t, "redis is a target", func() bool { return strings.Contains(fetch(s.url+"/sd?integrations=redis"), instance) })

	text, err := os.ReadFile("deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("node1:9435", strings.TrimPrefix(s.url, "http://"), "15s", "1s", "30s", "1s").Replace(string(text))
	dir := t.TempDir()
	rules, err := os.ReadFile("deploy/prometheus/vitals.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"prometheus.yml": []byte(config), "vitals.rules.yml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	start(t, nil, need(t, "prometheus"), "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--log.level=error")
	waitPort(t, port)
	ask := func(query string) (out []map[string]string) {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=%s", port, url.QueryEscape(query)))
		if err != nil {
			return nil
		}
		defer r.Body.Close()
		var answer struct {
			Data struct {
				Result []struct{ Metric map[string]string }
			}
		}
		json.NewDecoder(r.Body).Decode(&answer)
		for _, one := range answer.Data.Result {
			out = append(out, one.Metric)
		}
		return out
	}
	until(t, "vitals is scraped", func() bool { return len(ask(`vitals_build_info{job="vitals"}`)) == 1 })
	until(t, "redis is scraped as a target of its own", func() bool {
		got := ask(fmt.Sprintf(`redis_connected_clients{job="integrations/redis",instance=%q}`, instance))
		return len(got) == 1 && got[0]["agent_hostname"] == "e2e"
	})
	until(t, "every target is up", func() bool {
		return len(ask(`up{job!="pushgateway"} == 1`)) >= 2 && len(ask(`up{job!="pushgateway"} == 0`)) == 0
	})
	if twice := ask(`redis_connected_clients{job="vitals"}`); len(twice) > 0 {
		t.Errorf("told twice: %v", twice)
	}
}
