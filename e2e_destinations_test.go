package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// One process pushes to a gateway, to the gateway that runs inside it, to a text
// file and to standard output, each its own part; a reload takes one away, and
// the end leaves what was asked for.
func TestSeveralDestinations(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	config, file, inside := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "vitals.prom"), freePort(t)
	gw := startGateway(t, freePort(t))
	list := fmt.Sprintf(`gateway: {listen: "127.0.0.1:%d", store: "disk:%s"}
push:
  - name: central
    url: %s
    interval: 1s
    compression: zstd
    add_labels: {env: test}
  - {name: inside, url: "127.0.0.1:%d", interval: 1s, keep: "vitals_units"}
  - {type: textfile, path: %s, interval: 1s, keep: ["vitals_*"], drop: "vitals_bpf_*", delete_on_exit: true}
`, inside, filepath.Join(dir, "groups"), gw.url, inside, file)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(list + "  - {type: stdout, interval: 1s, keep: vitals_units, format: influx, timestamps: true}\n")
	p := start(t, nil, binary(t, "vitals"), "--headless", "--config", config, "--instance", "e2e")

	until(t, "all four have something", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), "\nvitals_units{") && strings.Contains(p.stdout(), "vitals_units,") &&
			strings.Contains(fetch(gw.url+"/metrics"), `env="test"`) &&
			strings.Contains(fetch(fmt.Sprintf("http://127.0.0.1:%d/metrics", inside)), "vitals_units{")
	})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for name := range families {
		if !strings.HasPrefix(name, "vitals_") || strings.HasPrefix(name, "vitals_bpf_") {
			t.Errorf("%s is in the file", name)
		}
	}
	if own := fetch(fmt.Sprintf("http://127.0.0.1:%d/metrics", inside)); strings.Contains(own, "\nvitals_calls") || !strings.Contains(own, `vitals_gateway_groups 1`) {
		t.Errorf("the gateway inside has more or less than what is for it:\n%.500s", own)
	}
	// Every pushed row of the fleet's gateway has the label, and ours is one group.
	for line := range strings.Lines(fetch(gw.url + "/metrics")) {
		if strings.HasPrefix(line, "vitals_") && (!strings.Contains(line, `env="test"`) || !strings.Contains(line, `instance="e2e"`)) {
			t.Errorf("pushed without its label: %s", line)
			break
		}
	}
	write(list)
	until(t, "standard output is taken away", func() bool {
		return strings.Contains(grep(p.stderr(), "unit=destination/stdout"), `msg="unit gone"`)
	}, p.stderr)
	before := p.stdout()
	time.Sleep(2500 * time.Millisecond)
	if after := p.stdout(); after != before {
		t.Errorf("still written to: %q", after[len(before):])
	}
	p.end(syscall.SIGTERM)
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, tail(p.stderr()))
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file was to go at the end")
	}
	if !strings.Contains(fetch(gw.url+"/metrics"), `instance="e2e"`) {
		t.Error("the group was to stay")
	}
	if groups, _ := filepath.Glob(filepath.Join(dir, "groups", "*.group")); len(groups) != 1 {
		t.Errorf("stored groups: %v", groups)
	}
}

// Mistakes in the list stop a named file, with key and line.
func TestDestinationsAreJudged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	for text, says := range map[string]string{
		"push:\n  - url: gw\n    keep: \"{\"\n":                          ":3: push[0].keep: ",
		"push:\n  - url: gw\n    http:\n      basic_auth: {user: x}\n":   ":4: push[0].http: user is not a setting",
		"push:\n  - url: gw\n  - url: gw\n":                              "both write",
		"push:\n  - {type: textfile, path: /x.prom, timestamps: true}\n": "refuses",
		"gateway: {listen: nowhere}\n":                                   ":1: gateway.listen: ",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		q := start(t, nil, binary(t, "vitals"), "--headless", "--config", file)
		q.wait()
		if code := q.ProcessState.ExitCode(); code != 2 || !strings.Contains(q.stderr(), says) {
			t.Errorf("%q: exit code %d, %s", text, code, q.stderr())
		}
	}
}
