// Package deploy holds what an operator installs; its tests let the real tools
// judge it.
package deploy

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
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

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPromtoolAcceptsConfigurationAndRules(t *testing.T) {
	bin := program(t, "promtool")
	for _, args := range [][]string{{"check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"},
		{"check", "rules", "--lint=all", "--lint-fatal", "vitals.rules.yml"}, {"test", "rules", "vitals.rules.test.yml"}} {
		cmd := exec.Command(bin, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Each alert is tested by firing.
func TestEveryAlertHasATest(t *testing.T) {
	tests := read(t, "prometheus/vitals.rules.test.yml")
	alerts := regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`).FindAllStringSubmatch(read(t, "prometheus/vitals.rules.yml"), -1)
	if len(alerts) < 5 {
		t.Fatalf("only %d alerts found", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(tests, "alertname: "+a[1]+",") {
			t.Errorf("%s is not tested", a[1])
		}
	}
}

// documented gives the labels of each metric of docs/metrics.md.
func documented(t *testing.T) map[string]string {
	t.Helper()
	known := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\|(.*)$").FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		known[m[1]] = m[2]
	}
	if len(known) < 30 {
		t.Fatalf("only %d metrics found", len(known))
	}
	return known
}

// expressions gives every query of the dashboard and of the rules.
func expressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Definition string } }
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/vitals.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range dashboard.Panels {
		for _, q := range p.Targets {
			out = append(out, q.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if m := regexp.MustCompile(`^label_values\((.*), \w+\)$`).FindStringSubmatch(v.Definition); m != nil {
			out = append(out, m[1])
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d queries found", len(out))
	}
	rules := read(t, "prometheus/vitals.rules.yml")
	for _, m := range regexp.MustCompile(`(?m)expr:(?: >\n((?:          .*\n)+)|(.*)\n)`).FindAllStringSubmatch(rules, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// What dashboard and rules ask for exists, with the labels that they name.
func TestEveryMetricThatIsAskedForExists(t *testing.T) {
	known := documented(t)
	series := regexp.MustCompile(`\b((?:vitals|http|process|db|dns|rpc|target|messaging)_[a-z_0-9]+)(\{[^}]*\})?`)
	label := regexp.MustCompile(`([a-z_]+)(?:=~|!=|!~|=)`)
	strange := []string{"instance", "job"} // of Prometheus itself
	asked := 0
	for _, e := range expressions(t) {
		recorded := regexp.MustCompile(`service:[a-z_0-9:]+`).ReplaceAllString(e, "")
		byClause := regexp.MustCompile(`by \([^)]*\)`).ReplaceAllString(recorded, "")
		for _, m := range series.FindAllStringSubmatch(byClause, -1) {
			asked++
			name := m[1]
			labels, ok := known[name]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, cut := strings.CutSuffix(name, suffix); cut && !ok {
					labels, ok = known[base]
				}
			}
			if !ok {
				t.Errorf("%s does not exist, in %s", name, e)
				continue
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(strange, l[1]) && !strings.Contains(labels, l[1]) {
					t.Errorf("%s has no label %s, in %s", name, l[1], e)
				}
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d metrics are asked for: the test is broken", asked)
	}
}

// The dashboard's queries are PromQL.
func TestPromtoolParsesTheDashboard(t *testing.T) {
	bin := program(t, "promtool")
	fill := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$service", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, e := range expressions(t) {
		text, err := json.Marshal(strings.TrimSpace(fill.Replace(e)))
		if err != nil {
			t.Fatal(err)
		}
		rules.WriteString("  - record: q" + strings.Repeat("x", i) + "\n    expr: " + string(text) + "\n")
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestGrafanaPanelsDoNotOverlap(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/vitals.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for i, a := range dashboard.Panels {
		if ids[a.ID] || a.GridPos.X+a.GridPos.W > 24 {
			t.Errorf("%s: its id is taken, or it is too wide", a.Title)
		}
		ids[a.ID] = true
		for _, b := range dashboard.Panels[i+1:] {
			x := a.GridPos.X < b.GridPos.X+b.GridPos.W && b.GridPos.X < a.GridPos.X+a.GridPos.W
			y := a.GridPos.Y < b.GridPos.Y+b.GridPos.H && b.GridPos.Y < a.GridPos.Y+a.GridPos.H
			if x && y {
				t.Errorf("%s lies over %s", a.Title, b.Title)
			}
		}
	}
}

// systemd itself reads the unit. Where its tools are missing, what they would
// say is not known; that the capabilities do is tested with the program.
func TestSystemdAcceptsTheUnit(t *testing.T) {
	bin, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here")
		return
	}
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// It must name a program that is there.
	text := strings.ReplaceAll(read(t, "systemd/vitals.service"), "/usr/local/bin/vitals", exe)
	unit := filepath.Join(dir, "vitals.service")
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(unit+".d", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit+".d/with-cost.conf", []byte(read(t, "systemd/with-cost.conf")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "vitals.service") {
		t.Errorf("%v\n%s", err, out)
	}
}
