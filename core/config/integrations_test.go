package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Address string `yaml:"address"`
	inner   `yaml:",inline"`
	TLS     struct {
		CA string `yaml:"ca"`
	} `yaml:"tls"`
	Paths   []string          `yaml:"paths"`
	Labels  map[string]string `yaml:"labels"`
	Max     *uint8            `yaml:"max"`
	Ratio   float64           `yaml:"ratio"`
	Every   time.Duration     `yaml:"every"`
	Verbose bool              `yaml:"verbose"`
	hidden  int
}

type inner struct {
	User     string `yaml:"user"`
	Password hush   `yaml:"password"`
}

// hush is a value that judges its own text.
type hush struct{ text string }

func (h *hush) UnmarshalText(b []byte) error {
	if string(b) == "bad" {
		return errors.New("it is bad")
	}
	h.text = string(b)
	return nil
}

func all(string) bool { return true }

// loadWith reads a file whose integrations are samples.
func loadWith(t *testing.T, text string) (*Loaded, []sample, error) {
	t.Helper()
	var got []sample
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Options{File: file, Env: []string{"HOME=" + t.TempDir()}, Checks: Checks{
		IntegrationKinds: []string{"redis", "postgres", "host"}, Singletons: []string{"host"},
		Integration: func(s IntegrationSection) error {
			v := sample{Address: "default"}
			if err := s.Decode(&v, all); err != nil {
				return err
			}
			if v.Address == "nowhere" {
				return fmt.Errorf("address: nowhere is not a host")
			}
			got = append(got, v)
			return nil
		},
	}})
	return l, got, err
}

// Too many are told, and those that fit hold.
func TestIntegrationsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("integrations:\n")
	for _, kind := range []string{"redis", "postgres"} {
		b.WriteString("  " + kind + ":\n")
		for i := range 300 {
			fmt.Fprintf(&b, "    - {address: \"h:%d\"}\n", i+1)
		}
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	os.WriteFile(file, []byte(b.String()), 0o600)
	l, err := Load(Options{File: file, Checks: Checks{IntegrationKinds: []string{"redis", "postgres"}}})
	if err == nil || !strings.Contains(err.Error(), ":303: ") || !strings.Contains(err.Error(), "100 integrations too many: at most 500") || len(l.Integrations.Sections) != 500 {
		t.Errorf("%d sections: %v", len(l.Integrations.Sections), err)
	}
}

func TestG11_OneSectionAndAListOfThem(t *testing.T) {
	l, got, err := loadWith(t, `
integrations:
  interval: 30s
  discovery: suggest
  deny: redis
  redis:
    address: a
    user: me
    password: "pw"
    tls: {ca: /x}
    paths: /one
    max: 255
    ratio: 0.5
    every: 2m
    verbose: on
    labels: {a: b}
  postgres:
    - {address: b, paths: [x, y]}
    -
`)
	if err != nil {
		t.Fatal(err)
	}
	i := l.Integrations
	if i.Rules.Interval != 30*time.Second || i.Rules.Discovery != "suggest" || !slices.Equal(i.Rules.Deny, []string{"redis"}) || i.Rules.Scrape != nil {
		t.Errorf("%+v", i.Rules)
	}
	if len(got) != 3 || len(i.Sections) != 3 || i.Sections[1].Kind != "postgres" || i.Sections[0].Line != 6 {
		t.Fatalf("%+v", i.Sections)
	}
	one := got[0]
	if one.Address != "a" || one.User != "me" || one.Password.text != "pw" || one.TLS.CA != "/x" || one.Paths[0] != "/one" ||
		*one.Max != 255 || one.Ratio != 0.5 || one.Every != 2*time.Minute || !one.Verbose || one.Labels["a"] != "b" {
		t.Errorf("%+v", one)
	}
	if got[1].Paths[1] != "y" || got[2].Address != "default" {
		t.Errorf("G09: %+v", got[1:])
	}
}

func TestG12_PrintKeepsOrderAndNamesAndHidesSecrets(t *testing.T) {
	const text = "integrations:\n  redis: {address: \"http://u:geheim@h/\", password: geheim, tls: {ca: /x}, user: me, labels: {z: \"1\", a: \"2\"}}\n" +
		"  postgres: [{password: \"file:/etc/p\"}, {address: c}]\n"
	l, _, err := loadWith(t, text)
	if err != nil {
		t.Fatal(err)
	}
	printed := l.Print()
	if strings.Contains(printed, "geheim") {
		t.Errorf("a secret is printed: %s", printed)
	}
	last := -1
	for _, word := range []string{"redis", "address", "***@h", "password", `"***"`, "tls", "user", "labels", "z:", "a:", "postgres", "file:/etc/p", "address: c"} {
		at := strings.Index(printed[max(last, 0):], word)
		if at < 0 {
			t.Fatalf("%s is missing, or not in its place, in %s", word, printed)
		}
		last = max(last, 0) + at
	}
	again, _, err := loadWith(t, printed)
	if err != nil || again.Integrations.text != l.Integrations.text {
		t.Errorf("what was printed reads as %s: %v", again.Integrations.text, err)
	}
}

func TestG10_MistakesNameTheKeyAndTheLine(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"integrations:\n  rediss: {}\n", ":2: integrations: redis?"},
		{"integrations:\n  redis:\n    adress: a\n", ":3: integrations.redis: address?"},
		{"integrations:\n  redis:\n    tls:\n      ce: a\n", ":4: integrations.redis.tls: ca?"},
		{"integrations:\n  redis:\n    - {}\n    - verbose: perhaps\n", ":4: integrations.redis.verbose: perhaps"},
		{"integrations:\n  redis:\n    max: 256\n", ":3: integrations.redis.max: 255"},
		{"integrations:\n  redis:\n    every: soon\n", ":3: integrations.redis.every: 15s"},
		{"integrations:\n  redis:\n    password: bad\n", ":3: integrations.redis.password: it is bad"},
		{"integrations:\n  redis:\n    password: [a]\n", ":3: integrations.redis.password: one value"},
		{"integrations:\n  redis:\n    address: nowhere\n", ":3: integrations.redis.address: not a host"},
		{"integrations:\n  redis: 6379\n", ":2: integrations.redis: settings"},
		{"integrations: on\n", ":1: integrations: kinds"},
		{"integrations:\n  discovery: maybe\n", ":2: integrations.discovery: suggest"},
		{"integrations:\n  interval: 1ms\n", ":2: integrations.interval: 1s"},
		{"integrations:\n  deny: [redis, memcache]\n", ":2: integrations.deny: postgres"},
		{"integrations:\n  deny: [\"redis/[\"]\n", ":2: integrations.deny: kind/instance"},
		{"integrations:\n  redis: {hidden: 1}\n", ":2: integrations.redis: hidden"},
	} {
		_, _, err := loadWith(t, c.text)
		if err == nil {
			t.Errorf("%q was accepted", c.text)
			continue
		}
		for _, word := range strings.Fields(c.says) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: %v does not say %q", c.text, err, word)
			}
		}
	}
}

// A configuration with two singletons of one kind can neither be read nor, hence,
// be printed.
func TestG13_TwoSingletonsAreRefused(t *testing.T) {
	l, _, err := loadWith(t, "integrations:\n  host:\n    - {user: a}\n    - {user: b}\n")
	if err == nil || !strings.Contains(err.Error(), ":4: integrations.host: may only be defined once") {
		t.Errorf("%v", err)
	}
	if strings.Contains(l.Print(), "user: b") {
		t.Errorf("it is printed: %s", l.Print())
	}
}

// What is right of the section holds beside what is wrong.
func TestOneBadIntegrationLeavesTheOthers(t *testing.T) {
	l, got, err := loadWith(t, "integrations:\n  redis: {adress: a}\n  postgres: {address: b}\n")
	if err == nil || len(got) != 1 || len(l.Integrations.Sections) != 1 {
		t.Errorf("%v, %d sections", err, len(l.Integrations.Sections))
	}
}

func FuzzIntegrations(f *testing.F) {
	f.Add("redis: {address: a}")
	f.Add("redis:\n    - password: x\n    - {}\n  deny: [a]")
	f.Add("postgres: {tls: {ca: [}}")
	f.Fuzz(func(t *testing.T, text string) {
		n, _ := parseYAML([]byte("integrations:\n  " + text))
		if n == nil || len(n.pairs) == 0 {
			return
		}
		out, _ := integrations(n.pairs[0].value, &Checks{IntegrationKinds: []string{"redis", "postgres"}})
		for _, s := range out.Sections {
			var v sample
			s.Decode(&v, all)
		}
	})
}
