package serve

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

func targets(t *testing.T, s *Server, query string) []group {
	t.Helper()
	w := get(t, s, "/sd"+query)
	var out []group
	if err := json.Unmarshal(w.Body.Bytes(), &out); w.Code != 200 || err != nil {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	return out
}

func names(groups []group) string {
	var out []string
	for _, g := range groups {
		out = append(out, strings.TrimPrefix(g.Labels["job"], "integrations/")+"/"+g.Labels["instance"])
	}
	return strings.Join(out, " ")
}

func scraped(list ...core.Target) *unit { return &unit{targets: list} }

// some is a lab with targets of three integrations.
func some(t *testing.T) (*lab, *Server) {
	l := newLab()
	l.add("redis", "b", scraped(core.Target{}))
	l.add("nginx", "a", scraped(core.Target{}))
	l.add("redis", "a/b", scraped(core.Target{}))
	return l, l.server(t)
}

func TestG48_TargetsOfAllRunningUnitsAreSorted(t *testing.T) {
	_, s := some(t)
	if got := names(targets(t, s, "")); got != "nginx/a redis/a/b redis/b" {
		t.Error(got)
	}
}

func TestG49_FilterByIntegrations(t *testing.T) {
	_, s := some(t)
	for query, want := range map[string]string{"?integrations=redis": "redis/a/b redis/b", "?integrations=nginx,none": "nginx/a",
		"?integrations=nginx&integrations=redis": "nginx/a redis/a/b redis/b", "?integrations=none": ""} {
		if got := names(targets(t, s, query)); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func TestG50_FilterByInstance(t *testing.T) {
	_, s := some(t)
	if got := names(targets(t, s, "?instance=a%2Fb")); got != "redis/a/b" {
		t.Error(got)
	}
	if got := names(targets(t, s, "?integrations=nginx&instance=b")); got != "" {
		t.Error(got)
	}
}

func TestG51_UnitsThatDoNotRunHaveNoTargets(t *testing.T) {
	l, s := some(t)
	l.phase("integration/redis/b", func(r *core.UnitRow) { r.Phase = core.PhaseBackoff })
	l.add("test", "plain", plain{})
	if got := names(targets(t, s, "")); got != "nginx/a redis/a/b" {
		t.Error(got)
	}
}

// plain has no targets.
type plain struct{ core.Unit }

func TestG52_JobsAreSortedByName(t *testing.T) {
	_, s := some(t)
	var jobs []string
	for _, g := range targets(t, s, "") {
		jobs = append(jobs, g.Labels["job"])
	}
	if !slices.IsSorted(jobs) {
		t.Error(jobs)
	}
}

func TestG53_TargetsHaveExactlyTheseLabels(t *testing.T) {
	l := newLab()
	l.add("redis", "127.0.0.1:6379", scraped(core.Target{}))
	l.add("scrape", "x", scraped(core.Target{Address: "10.1.1.1:9100", Path: "/m", Interval: 15 * time.Second, Timeout: 1500 * time.Millisecond, Manual: true}))
	got := targets(t, l.server(t), "")
	want := map[string]string{"job": "integrations/redis", "instance": "127.0.0.1:6379", "agent_hostname": "here",
		"__meta_agent_integration_name": "redis", "__meta_agent_integration_instance": "127.0.0.1:6379",
		"__meta_agent_integration_autoscrape": "1", "__metrics_path__": "/integrations/redis/127.0.0.1:6379/metrics"}
	if !maps.Equal(got[0].Labels, want) || got[0].Targets[0] != "10.0.0.1:9435" {
		t.Errorf("%+v", got[0])
	}
	want = map[string]string{"job": "integrations/scrape", "instance": "x", "agent_hostname": "here", "__meta_agent_integration_name": "scrape",
		"__meta_agent_integration_instance": "x", "__meta_agent_integration_autoscrape": "0", "__metrics_path__": "/m",
		"__scrape_interval__": "15000ms", "__scrape_timeout__": "1500ms"}
	if !maps.Equal(got[1].Labels, want) || got[1].Targets[0] != "10.1.1.1:9100" {
		t.Errorf("%+v", got[1])
	}
}

func TestG54_ExtraLabelsAreOfTargetsOnly(t *testing.T) {
	l := newLab()
	u := scraped(core.Target{Labels: map[string]string{"env": "prod", "instance": "mine"}})
	id := l.add("redis", "r", u)
	l.set(func(s *core.Snapshot) {
		s.Integrations = []*core.IntegrationRow{{ID: id, Families: []core.Family{gauge("redis_up", 1)}}}
	})
	s := l.server(t)
	if g := targets(t, s, "")[0]; g.Labels["env"] != "prod" || g.Labels["instance"] != "mine" {
		t.Errorf("%+v", g)
	}
	if body := get(t, s, Prefix("redis", "r")+"/metrics").Body.String(); !strings.Contains(body, "\nredis_up 1\n") {
		t.Error(body)
	}
}

func TestG55_OneGroupForEachTarget(t *testing.T) {
	l := newLab()
	l.add("x", "y", scraped(core.Target{}, core.Target{Address: "h:1"}, core.Target{Labels: map[string]string{"__address__": "h:2"}}, core.Target{Address: "::1"}))
	s := l.server(t)
	w := get(t, s, "/sd")
	if w.Header().Get("Content-Type") != "application/json" || strings.Contains(w.Body.String(), "__address__") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	var got []string
	for _, g := range targets(t, s, "") {
		if len(g.Targets) != 1 {
			t.Errorf("%+v", g)
		}
		got = append(got, g.Targets[0])
	}
	if strings.Join(got, " ") != "10.0.0.1:9435 h:1 h:2 [::1]:80" {
		t.Error(got)
	}
	empty := newLab()
	empty.set(nil)
	if w := get(t, empty.server(t), "/sd"); strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("without targets: %s", w.Body)
	}
}

func TestG56_BadQueryIs400(t *testing.T) {
	_, s := some(t)
	for _, query := range []string{"?x=1", "?integrations=", "?%zz", "?instance=", "?integrations=redis;instance=b"} {
		if w := get(t, s, "/sd"+query); w.Code != 400 {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

func TestG66_TargetsNeverNameAnUnspecifiedAddress(t *testing.T) {
	for address, want := range map[string]string{":9435": "here:9435", "0.0.0.0:9435": "here:9435", "[::]:9435": "here:9435",
		"127.0.0.1:9435": "127.0.0.1:9435", "10.1.2.3:1": "10.1.2.3:1", "[fe80::1]:1": "[fe80::1]:1", "9435": "127.0.0.1:9435", "localhost:1": "localhost:1"} {
		if got := Advertised(address, "here"); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
