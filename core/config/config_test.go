package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitals/core"
	"vitals/core/discover"
)

var update = flag.Bool("update", false, "rewrite docs/config.md")

func checks() Checks {
	return Checks{
		Kinds: []string{"requests", "network"},
		Rule:  discover.CheckRule,
		Theme: func(s string) error {
			if s != "midnight" {
				return fmt.Errorf("unknown theme %q", s)
			}
			return nil
		},
	}
}

// load reads a text as the file that --config names.
func load(t *testing.T, text string) (*Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(Options{File: file, Env: []string{"HOME=" + t.TempDir()}, Checks: checks()})
}

func TestSampleSaysTheDefaults(t *testing.T) {
	l, err := load(t, Sample())
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Instrumentation, want.Services = map[string]core.Choice{}, map[string]map[string]core.Choice{}
	if d := cmp.Diff(want, l.Config); d != "" {
		t.Error(d)
	}
	for _, s := range settings() {
		if !strings.Contains(l.Sources[s.key], "c.yaml:") {
			t.Errorf("%s is not in the sample: source %q", s.key, l.Sources[s.key])
		}
	}
}

// Uncommenting every example of the sample gives a configuration that works.
func TestExamplesOfTheSampleAreValid(t *testing.T) {
	for _, s := range settings() {
		if s.example == "" {
			continue
		}
		text := s.example
		if section, _, deep := strings.Cut(s.key, "."); deep {
			text = section + ":\n  " + strings.ReplaceAll(text, "\n", "\n  ")
		}
		l, err := load(t, text)
		if err != nil || l.Sources[s.key] == "default" {
			t.Errorf("%s: %v\n%s", s.key, err, text)
		}
	}
}

func TestDocsAreCurrent(t *testing.T) {
	const file = "../../docs/config.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/config.md is stale (%v): go test ./core/config -update", err)
	}
}

const full = `
refresh: 2s
theme: midnight
color: 256
ascii: true
plain: true
instance: "node 1"
include: name=nginx*
exclude:
  - user=backup
  - exe=/usr/lib/*
instrumentation: {requests: on, network: auto}
services:
  nginx: {requests: off}
groups:
  web:
    match: ["name=nginx*"]
    service: front
    attributes: {team: shop, tier: 1}
    instrumentation:
      network: off
  rest: {match: name=*}
budget: 1.5%
push:
  url: http://me:pw@h:9091
  interval: 1m
  timeout: 3s
  job: j
  group: {zone: eu-1, env: prod}
  delete_on_exit: true
gateway: {listen: "127.0.0.1:9091", store: "disk:/var/lib/g", ttl: 1h, timeout: 1s, max_body: 1MiB, rate: 2.5, web_config: /etc/web.yml}
limits: {requests_ring: 4KiB, series: 100, series_per_process: 10, routes_per_process: 10, ended_processes: 0, rewind: 10}
log: {level: warn, file: /tmp/x.log}
capture: off
listen: "9435"
web_config: /etc/web.yml
calls: off
`

func TestEverySettingArrives(t *testing.T) {
	l, err := load(t, full)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Refresh: 2 * time.Second, Theme: "midnight", Color: "256", ASCII: true, Plain: true, Instance: "node 1",
		Include: []string{"name=nginx*"}, Exclude: []string{"user=backup", "exe=/usr/lib/*"},
		Instrumentation: map[string]core.Choice{"requests": core.On, "network": core.Auto},
		Services:        map[string]map[string]core.Choice{"nginx": {"requests": core.Off}},
		Groups: []Group{
			{Name: "web", Match: []string{"name=nginx*"}, Service: "front", Attributes: map[string]string{"team": "shop", "tier": "1"}, Instrumentation: map[string]core.Choice{"network": core.Off}},
			{Name: "rest", Match: []string{"name=*"}},
		},
		Push: Push{Type: "pushgateway", URL: "http://me:pw@h:9091", Mode: 0o644, Interval: time.Minute, Timeout: 3 * time.Second, Job: "j",
			Group: []Label{{"zone", "eu-1"}, {"env", "prod"}}, Method: "put", DeleteOnExit: true, Format: "auto", Compression: "gzip"},
		Gateway: Gateway{Listen: "127.0.0.1:9091", Store: "disk:/var/lib/g", TTL: time.Hour, Timeout: time.Second, MaxBody: 1 << 20, Rate: 2.5, WebConfig: "/etc/web.yml"},
		Listen:  "127.0.0.1:9435", WebConfig: "/etc/web.yml",
		Limits: Limits{RequestsRing: 4096, Series: 100, SeriesPerProcess: 10, RoutesPerProcess: 10, EndedProcesses: 0, Rewind: 10},
		Budget: 0.015,
		Log:    Log{Level: 4, File: "/tmp/x.log"},
	}
	if d := cmp.Diff(want, l.Config); d != "" {
		t.Error(d)
	}
	choices := map[core.ToggleKey]core.Choice{
		{Kind: "requests", Scope: core.ScopeGlobal}:                   core.On,
		{Kind: "requests", Scope: core.ScopeService, Target: "nginx"}: core.Off,
		{Kind: "network", Scope: core.ScopeGroup, Target: "web"}:      core.Off,
	}
	if d := cmp.Diff(choices, l.Choices()); d != "" {
		t.Error(d)
	}
	// What is printed can be read back, except the password, which is hidden.
	printed := l.Print()
	if strings.Contains(printed, "pw@") {
		t.Error("the password is printed")
	}
	again, err := load(t, printed)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	want.Push.URL = "http://***@h:9091"
	for i := range want.Groups { // absent and empty are the same
		if want.Groups[i].Attributes == nil {
			want.Groups[i].Attributes, want.Groups[i].Instrumentation = map[string]string{}, map[string]core.Choice{}
		}
	}
	if d := cmp.Diff(want, again.Config); d != "" {
		t.Errorf("%s\n%s", d, printed)
	}
}

// Each mistake names the line and the key, and says what would be right.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"refresh: 1s\ncolour: red\n", ":2: unknown color?"},
		{"push:\n  ulr: http://h\n", ":2: push: unknown url?"},
		{"zzz: 1\n", ":1: zzz refresh push"},
		{"refresh: 5\n", ":1: refresh: unit 5s"},
		{"\nrefresh: fast\n", ":2: refresh: fast 500ms"},
		{"refresh: 0s\n", ":1: refresh: 100ms 1m"},
		{"refresh: [1s]\n", ":1: refresh: one value"},
		{"refresh:\n", ":1: refresh: no value"},
		{"refresh: {a: b}\n", ":1: refresh: one value"},
		{"refresh: 1s\nrefresh: 2s\n", ":2: already"},
		{"theme: nosuch\n", ":1: theme: nosuch"},
		{"color: red\n", ":1: color: truecolor"},
		{"ascii: yes\n", ":1: ascii: true false"},
		{"instance: \"a\\u202eb\"\n", ":1: instance: shown"},
		{"include: [planet=mars]\n", ":1: include: planet"},
		{"include:\n- name=a\n- planet=mars\n- [x]\n", ":3: include: planet"},
		{"include: {a: b}\n", ":1: include: list"},
		{"include: [\"\"]\n", ":1: include: empty"},
		{"instrumentation: {request: on}\n", ":1: instrumentation: requests?"},
		{"instrumentation:\n  requests: true\n", ":2: instrumentation.requests: on off auto"},
		{"instrumentation: on\n", ":1: instrumentation: {requests: off}"},
		{"services:\n  nginx:\n    requests: maybe\n", ":3: services.nginx.requests: maybe"},
		{"services: [a]\n", ":1: services: names"},
		{"groups:\n  web: {service: a}\n", ":2: groups.web: match"},
		{"groups:\n  web:\n    mach: [a]\n", ":3: groups.web: match?"},
		{"groups:\n  web:\n    match: [planet=x]\n", ":3: groups.web.match: planet"},
		{"groups:\n  web:\n    match: [a]\n    attributes: [b]\n", ":4: groups.web.attributes: names"},
		{"groups: web\n", ":1: groups: names"},
		{"groups: {web: 7}\n", ":1: groups.web: match"},
		{"budget: 1\n", ":1: budget: 1%"},
		{"budget: 200%\n", ":1: budget: 1%"},
		{"budget: NaN%\n", ":1: budget: 1%"},
		{"push: http://h\n", ":1: push: section url interval"},
		{"push: {url: ftp://h}\n", ":1: push.url: http https"},
		{"push:\n  interval: 0s\n", ":2: push.interval: 1s"},
		{"push:\n  group: {job: x}\n", ":2: push.group: --job"},
		{"push:\n  group: {a: [x]}\n", ":2: push.group.a: one value"},
		{"gateway: {store: here}\n", ":1: gateway.store: memory disk:/"},
		{"gateway: {store: \"disk:here\"}\n", ":1: gateway.store: absolute"},
		{"gateway: {rate: NaN}\n", ":1: gateway.rate: 10"},
		{"gateway: {max_body: 2GiB}\n", ":1: gateway.max_body: 1GiB"},
		{"gateway: {ttl: -1s}\n", ":1: gateway.ttl: 0s"},
		{"gateway: {web_config: web.yml}\n", ":1: gateway.web_config: absolute"},
		{"limits: {requests_ring: 5000B}\n", ":1: limits.requests_ring: power"},
		{"limits: {requests_ring: big}\n", ":1: limits.requests_ring: 8MiB"},
		{"limits: {series: 1e3}\n", ":1: limits.series: whole"},
		{"limits: {series: 5}\n", ":1: limits.series: 100"},
		{"log: {level: loud}\n", ":1: log.level: debug"},
		{"log: {file: x.log}\n", ":1: log.file: absolute"},
		{"capture: on\n", ":1: capture: not built"},
		{"listen: 70000\n", ":1: listen: 127.0.0.1"},
		{"web_config: web.yml\n", ":1: web_config: absolute"},
		{"listen: nowhere\n", ":1: listen: 127.0.0.1"},
		{"refresh: &a 1s\n", ":1: anchors"},
		{"refresh: 1s\n---\nrefresh: 2s\n", "document"},
		{"- a\n", ":1: KEY: VALUE"},
		{"just words\n", "KEY: VALUE"},
		{"a: b: c\n", "YAML"},
		{"\"unclosed\n", "YAML"},
		{"\x00\x01{{{ not yaml", "text"},
		{"\xff\xfe", "UTF-8"},
		{strings.Repeat("[", 1000), "nested"},
		{"theme: " + strings.Repeat("x", 5000), "line longer"},
		{strings.Repeat("# x\n", maxFile), "KiB"},
	} {
		l, err := load(t, c.text)
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("%.60q was accepted", c.text)
			continue
		}
		line := err.Error()
		for _, word := range append(strings.Fields(c.says), "c.yaml") {
			if !strings.Contains(line, word) {
				t.Errorf("%.60q: %q does not mention %q", c.text, line, word)
			}
		}
		if strings.ContainsAny(line, "\n\x1b\x00") || len(line) > 600 {
			t.Errorf("%.60q: not one clean line: %q", c.text, line)
		}
		if l == nil {
			t.Errorf("%.60q: no usable result", c.text)
		}
	}
}

func TestEmptyFilesAreFine(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "push:\n", "limits:\n  # nothing\nlog: {}\n", "\ufeffrefresh: 1s\n"} {
		if l, err := load(t, text); err != nil || l.Refresh != time.Second {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAllProblemsAreListed(t *testing.T) {
	_, err := load(t, "a: 1\nrefresh: 0s\npush:\n  b: 2\n  interval: x\n")
	var bad *Error
	if !errors.As(err, &bad) || len(bad.Problems) != 4 || !strings.Contains(err.Error(), "3 more") {
		t.Errorf("%v", err)
	}
}

func TestPrecedence(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "vitals")
	os.MkdirAll(dir, 0o755)
	file := filepath.Join(dir, "config.yaml")
	os.WriteFile(file, []byte("refresh: 2s\ntheme: midnight\ncolor: none\ninclude: [a]\n"), 0o644)
	l, err := Load(Options{
		Env:   []string{"HOME=" + home, "VITALS_COLOR=16", "VITALS_THEME=auto", "VITALS_EXCLUDE=user=a,name=b; c", "VITALS_PUSH_GROUP=a=1,b=2", "VITALS_INSTRUMENTATION=requests=off", "VITALS_ASCII=", "VITALS_REFRESHH=1s", "VITALS_SERVICE_HOST=x"},
		Flags: []Flag{{"color", []string{"256"}}, {"include", []string{"b", "c"}}, {"unrelated", []string{"x"}}}, Checks: checks(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"refresh": file + ":1", "theme": "VITALS_THEME", "color": "--color", "include": "--include", "push.job": "default", "ascii": "default"} {
		if l.Sources[key] != want {
			t.Errorf("source of %s is %q, not %q", key, l.Sources[key], want)
		}
	}
	if l.Refresh != 2*time.Second || l.Theme != "auto" || l.Color != "256" || fmt.Sprint(l.Include) != "[b c]" || fmt.Sprintf("%q", l.Exclude) != `["user=a,name=b" "c"]` ||
		fmt.Sprint(l.Push.Group) != "[{a 1} {b 2}]" || l.Instrumentation["requests"] != core.Off || l.File != file {
		t.Errorf("%+v", l.Config)
	}
	os.WriteFile(file, []byte("refresh: 4s\n"), 0o644)
	if again, err := l.Reload(); err != nil || again.Refresh != 4*time.Second || again.Color != "256" || l.Refresh != 2*time.Second {
		t.Errorf("reload: %v %+v", err, again.Config)
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "VITALS_REFRESH?") {
		t.Errorf("warnings: %q", l.Warnings)
	}
	_, err = Load(Options{Env: []string{"HOME=" + home, "VITALS_REFRESH=0s"}})
	if err == nil || !strings.HasPrefix(err.Error(), "VITALS_REFRESH: ") {
		t.Errorf("bad variable: %v", err)
	}
	other := filepath.Join(home, "other.yaml")
	os.WriteFile(other, []byte("refresh: 3s\n"), 0o644)
	if l, err := Load(Options{Env: []string{"HOME=" + home, "VITALS_CONFIG=" + other}}); err != nil || l.Refresh != 3*time.Second || l.Theme != "auto" {
		t.Errorf("VITALS_CONFIG: %v %+v", err, l.Config)
	}
}

// A file that was only found never stops anything: what is right in it holds.
func TestFoundFileNeverStops(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "vitals")
	os.MkdirAll(dir, 0o755)
	file := filepath.Join(dir, "config.yaml")
	env := []string{"HOME=/nonexistent", "XDG_CONFIG_HOME=" + home}
	get := func() *Loaded {
		t.Helper()
		l, err := Load(Options{Env: env, Checks: checks()})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	os.WriteFile(file, []byte("refresh: 2s\ncolour: red\ncolor: pink\n"), 0o644)
	if l := get(); l.Refresh != 2*time.Second || l.Color != "auto" || len(l.Problems) != 2 || l.Sources["color"] != "default" {
		t.Errorf("%v %+v", l.Problems, l.Config)
	}
	os.WriteFile(file, []byte("{{{"), 0o644)
	if l := get(); len(l.Problems) != 1 || !cmp.Equal(l.Config, Default()) {
		t.Errorf("%v", l.Problems)
	}
	os.Remove(file)
	syscall.Mkfifo(file, 0o644)
	if l := get(); len(l.Problems) != 1 || !strings.Contains(l.Notes()[0], "regular file") {
		t.Errorf("%v", l.Problems)
	}
	os.Remove(file)
	if l := get(); len(l.Problems) != 0 || l.File != "" {
		t.Errorf("%v", l.Problems)
	}
}

func TestDeterministicTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		if seen[s.key] || s.help == "" || strings.Count(s.key, ".") > 1 {
			t.Errorf("%s: twice, without help, or too deep", s.key)
		}
		seen[s.key] = true
		for line := range strings.SplitSeq(s.help, "\n") {
			if len(line) > 100 {
				t.Errorf("%s: help line of %d characters", s.key, len(line))
			}
		}
		var c Config = Default()
		if s.show(&c) == "" {
			t.Errorf("%s: shows nothing", s.key)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(full)
	f.Add(Sample())
	f.Add(listed)
	f.Add("groups:\n  ? [a]\n  : {match: [*x]}\n<<: &a\n")
	f.Add("push: {group: {\"\": 1, a: ~}}\nservices: {a: null, \"\\e\": {}}\n")
	k := checks()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 8<<10 {
			return
		}
		l := &Loaded{Config: Default(), Sources: map[string]string{}}
		for _, p := range l.take("c.yaml", []byte(text), settings(), &k) {
			if s := p.String(); strings.ContainsAny(s, "\n\x1b\a\u202e") {
				t.Errorf("not one clean line: %q", s)
			}
		}
		again := &Loaded{Config: Default(), Sources: map[string]string{}}
		if problems := again.take("p.yaml", []byte(l.Print()), settings(), &k); len(problems) > 0 {
			t.Errorf("what is printed is not read back: %v\n%s", problems, l.Print())
		}
	})
}

// Load is on the way to the first frame.
func BenchmarkLoad(b *testing.B) {
	file := filepath.Join(b.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(Sample()), 0o644); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(Options{File: file, Env: []string{"HOME=/nonexistent"}, Checks: checks()}); err != nil {
			b.Fatal(err)
		}
	}
}
