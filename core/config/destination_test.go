package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Three destinations, as an operator would write them.
const listed = `
instance: web-1
push:
  - name: central
    url: https://me:hunter2@gw:9091
    group: {env: prod}
    compression: zstd
    method: post
    keep: ["http_*", "{service_name=~\"shop|cart\"}"]
    drop: process_*
    remove_labels: [peer]
    rename_labels: {service_name: service}
    add_labels: {zone: eu}
    rename_families: {a: b}
    http:
      basic_auth: {username: me, password: hunter2}
      tls_config:
        ca_file: /etc/ca.pem
        insecure_skip_verify: true
      proxy_url: http://u:hunter2@proxy:3128
      http_headers:
        X-Scope: {secrets: [hunter2], values: [a]}
  - type: textfile
    path: /var/lib/node/vitals.prom
    mode: 0600
    interval: 1m
  - type: stdout
    format: ""
    timestamps: true
`

func TestDestinationsAreAList(t *testing.T) {
	l, err := load(t, listed)
	if err != nil {
		t.Fatal(err)
	}
	got := l.Pushes()
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	http := got[0].HTTP
	want := []Push{defaultPush(), defaultPush(), defaultPush()}
	want[0].Name, want[0].URL, want[0].Group = "central", "https://me:hunter2@gw:9091", []Label{{"env", "prod"}}
	want[0].Compression, want[0].Method, want[0].HTTP = "zstd", "post", http
	want[0].Keep, want[0].Drop, want[0].RemoveLabels = []string{"http_*", `{service_name=~"shop|cart"}`}, []string{"process_*"}, []string{"peer"}
	want[0].RenameLabels, want[0].AddLabels, want[0].RenameFamilies = []Label{{"service_name", "service"}}, []Label{{"zone", "eu"}}, []Label{{"a", "b"}}
	want[1].Type, want[1].Path, want[1].Mode, want[1].Interval = "textfile", "/var/lib/node/vitals.prom", 0o600, time.Minute
	want[2].Type, want[2].Format, want[2].Timestamps = "stdout", "", true
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, part := range []string{`"username": "me"`, `"insecure_skip_verify": true`, `- "hunter2"`} {
		if !strings.Contains(http, part) {
			t.Errorf("client settings lack %s:\n%s", part, http)
		}
	}
	printed := l.Print()
	if strings.Contains(printed, "hunter2") {
		t.Errorf("a secret is printed:\n%s", printed)
	}
	again, err := load(t, printed)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if n := len(again.Pushes()); n != 3 || again.Pushes()[1].Path != want[1].Path || again.Pushes()[0].Keep[1] != want[0].Keep[1] {
		t.Errorf("read back: %+v", again.Pushes())
	}
	next, err := load(t, strings.Replace(listed, "interval: 1m", "interval: 2m", 1))
	if err != nil || !cmp.Equal(l.Changed(next), []string{"push"}) || len(l.Changed(l)) != 0 {
		t.Errorf("%v: changed %v", err, l.Changed(next))
	}
}

func TestOneDestinationNeedsNoList(t *testing.T) {
	l, err := load(t, "push: {url: gw, interval: 5s}\n")
	if err != nil || len(l.Pushes()) != 1 || l.Pushes()[0].Interval != 5*time.Second {
		t.Errorf("%v %+v", err, l.Pushes())
	}
	if l, err := load(t, "push: {interval: 5s}\n"); err != nil || len(l.Pushes()) != 0 {
		t.Errorf("%v: nothing was given to push to: %+v", err, l.Pushes())
	}
	if l, err := load(t, "push: []\n"); err != nil || len(l.Pushes()) != 0 {
		t.Errorf("%v %+v", err, l.Pushes())
	}
}

// A flag holds for all of a list; an address takes its place.
func TestFlagsBeatTheList(t *testing.T) {
	l, err := load(t, listed)
	if err != nil {
		t.Fatal(err)
	}
	with := func(flags ...Flag) []Push {
		t.Helper()
		o := l.options
		o.Flags = flags
		o.Env = append(o.Env, "VITALS_PUSH_JOB=batch")
		l, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		return l.Pushes()
	}
	all := with(Flag{"interval", []string{"3s"}})
	for _, p := range all {
		if p.Interval != 3*time.Second || p.Job != "batch" {
			t.Errorf("%+v", p)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d destinations", len(all))
	}
	if one := with(Flag{"push", []string{"http://other"}}); len(one) != 1 || one[0].URL != "http://other" || one[0].Type != "pushgateway" || one[0].Job != "batch" {
		t.Errorf("%+v", one)
	}
}

func TestMistakesInDestinations(t *testing.T) {
	c := checks()
	c.Selector = func(s string) error {
		if s == "{" {
			return errors.New("not a selector")
		}
		return nil
	}
	c.HTTPClient = func(text string) (int, error) {
		for i, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "colour") {
				return i + 1, errors.New("colour is not a setting of an HTTP client")
			}
		}
		return 0, nil
	}
	for _, test := range []struct{ text, says string }{
		{"push:\n  - url: gw\n    intervall: 5s\n", ":3: push[0]: unknown interval?"},
		{"push:\n  - url: gw\n  - url: gw2\n    interval: 0s\n", ":4: push[1].interval: 1s"},
		{"push:\n  - job: x\n", ":2: push[0]: url"},
		{"push:\n  - type: textfile\n", ":2: push[0]: path"},
		{"push:\n  - {type: textfile, path: x.prom}\n", ":2: push[0].path: absolute"},
		{"push:\n  - {type: textfile, path: /x.txt}\n", ":2: push[0].path: .prom"},
		{"push:\n  - {type: file}\n", ":2: push[0].type: textfile stdout"},
		{"push:\n  - just words\n", ":2: push[0]: settings"},
		{"push:\n  - url: gw\n    mode: 0888\n", ":3: push[0].mode: 0644"},
		{"push:\n  - url: gw\n    format: xml\n", ":3: push[0].format: openmetrics"},
		{"push:\n  - url: gw\n    method: patch\n", ":3: push[0].method: post"},
		{"push:\n  - url: gw\n    keep:\n      - a\n      - \"{\"\n", ":5: push[0].keep: selector"},
		{"push:\n  - url: gw\n    keep: {a: b}\n", ":3: push[0].keep: list"},
		{"push:\n  - url: gw\n    add_labels: {a-b: c}\n", ":3: push[0].add_labels: letters"},
		{"push:\n  - url: gw\n    rename_labels: {a: b-c}\n", ":3: push[0].rename_labels.a: letters"},
		{"push:\n  - url: gw\n    http:\n      basic_auth:\n        username: x\n        colour: red\n", ":6: push[0].http: colour"},
		{"push:\n  url: gw\n  http:\n    tls_config: {ca_file: a}\n    colour: red\n", ":5: push.http: colour"},
		{"push:\n  - url: gw\n    http: yes\n", ":3: push[0].http: basic_auth"},
		{"push: [" + strings.Repeat("{url: a},", 17) + "]\n", ":1: push: 17 16"},
	} {
		l := &Loaded{Config: Default(), Sources: map[string]string{}}
		problems := l.take("c.yaml", []byte(test.text), settings(), &c)
		if len(problems) == 0 {
			t.Errorf("%q was accepted", test.text)
			continue
		}
		for _, word := range append(strings.Fields(test.says), "c.yaml") {
			if !strings.Contains(problems[0].String(), word) {
				t.Errorf("%q: %q does not mention %q", test.text, problems[0], word)
			}
		}
		if len(l.Destinations) != 0 {
			t.Errorf("%q: half of it holds: %+v", test.text, l.Destinations)
		}
	}
}
