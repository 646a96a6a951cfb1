package config

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Integrations is what is asked of servers, and of which.
type Integrations struct {
	Rules    IntegrationRules
	Sections []IntegrationSection
	text     string // for Print
}

// IntegrationRules are the keys of the section beside the kinds.
type IntegrationRules struct {
	Discovery string        `yaml:"discovery"`
	Interval  time.Duration `yaml:"interval"`
	Timeout   time.Duration `yaml:"timeout"`
	Scrape    *bool         `yaml:"scrape"`
	Enable    []string      `yaml:"enable"`
	Deny      []string      `yaml:"deny"`
	Pin       []string      `yaml:"pin"`
}

// IntegrationSection is one integration; its keys are known to its kind.
type IntegrationSection struct {
	Kind string
	Line int
	node *node
}

// Decode fills into, a pointer to a struct with yaml tags, from the keys that keep
// does not refuse. It is strict: the error, a *DecodeError, names keys and lines.
func (s IntegrationSection) Decode(into any, keep func(key string) bool) error {
	n := *s.node
	n.pairs = slices.DeleteFunc(slices.Clone(n.pairs), func(p pair) bool { return !keep(p.name) })
	if faults := decode(&n, reflect.ValueOf(into).Elem()); len(faults) > 0 {
		return &DecodeError{faults}
	}
	return nil
}

func integrationsSetting() setting {
	return setting{
		key: "integrations", form: fileOnly,
		help: "Servers that are asked for what they know of themselves. Those that are found\n" +
			"beside two kinds of evidence are asked without being named here (discovery:\n" +
			"auto; suggest asks nobody before you say so; off looks for none). enable, deny\n" +
			"and pin name found ones by kind or kind/instance. A kind takes one section or a\n" +
			"list; all take id, enabled, interval, timeout, scrape and labels. Passwords may\n" +
			"be file:/path, env:NAME, cmd:program or credential:NAME (of systemd).",
		example: "integrations:\n  discovery: auto\n  deny: [\"memcached\"]\n  redis: {address: 127.0.0.1:6379, password: file:/etc/vitals/redis}\n" +
			"  postgres:\n    - {address: 127.0.0.1:5432, user: vitals, password: env:PGPASSWORD}\n    - {id: reports, address: db2:5432, enabled: off}",
		take: func(c *Config, n *node, k *Checks) []fault {
			i, faults := integrations(n, k)
			c.Integrations = i
			return faults
		},
		show: func(c *Config) string {
			if c.Integrations.text == "" {
				return "{}"
			}
			return c.Integrations.text
		},
	}
}

// maxIntegrations bounds how many are configured: each has a connection, a
// goroutine and thousands of series.
const maxIntegrations = 500

// integrations reads the section; what is right of it holds, whatever is wrong.
func integrations(n *node, k *Checks) (out Integrations, faults []fault) {
	if n.kind == isNull || n.kind == isList && len(n.items) == 0 {
		return out, nil
	}
	if n.kind != isMap {
		return out, faultf(n, "needs kinds with their settings below it, for example redis: {address: 127.0.0.1:6379}")
	}
	rules, holds := *n, *n // holds is what is right of it, in its order
	rules.pairs, holds.pairs = nil, nil
	names := append(keysOf(reflect.TypeFor[IntegrationRules]()), k.IntegrationKinds...)
	for _, p := range n.pairs {
		switch {
		case slices.Contains(k.IntegrationKinds, p.name), len(k.IntegrationKinds) == 0 && !slices.Contains(names, p.name):
			sections, f := sectionsOf(p, k)
			if over := len(out.Sections) + len(sections) - maxIntegrations; over > 0 {
				f = append(f, fault{line: p.line, text: fmt.Sprintf("makes %d integrations too many: at most %d may be configured, of all kinds together", over, maxIntegrations)})
				sections = sections[:len(sections)-over]
			}
			out.Sections = append(out.Sections, sections...)
			if len(f) == 0 || len(sections) > 0 {
				holds.pairs = append(holds.pairs, p.only(sections))
			}
			faults = append(faults, under(p.name, f)...)
		case slices.Contains(names, p.name):
			rules.pairs = append(rules.pairs, p)
			holds.pairs = append(holds.pairs, p)
		default:
			faults = append(faults, fault{line: p.line, text: unknownWord("integration", p.name, names)})
		}
	}
	faults = append(faults, decode(&rules, reflect.ValueOf(&out.Rules).Elem())...)
	faults = append(faults, out.Rules.check(&rules, k)...)
	if len(holds.pairs) > 0 {
		out.text = flow("", &holds)
	}
	return out, faults
}

// only is a kind with those of its sections that are right.
func (p pair) only(sections []IntegrationSection) pair {
	if p.value.kind != isList {
		return p
	}
	list := *p.value
	list.items = nil
	for _, s := range sections {
		list.items = append(list.items, s.node)
	}
	p.value = &list
	return p
}

// sectionsOf reads one kind: a section or a list of them.
func sectionsOf(p pair, k *Checks) (out []IntegrationSection, faults []fault) {
	items := []*node{p.value}
	if p.value.kind == isList {
		items = p.value.items
	}
	if len(items) > maxEntries {
		return nil, faultf(p.value, "has %d entries: at most %d may be configured, of all kinds together", len(items), maxIntegrations)
	}
	if len(items) > 1 && slices.Contains(k.Singletons, p.name) {
		return nil, faultf(items[1], "may only be defined once: it is the same for the whole machine")
	}
	for _, it := range items {
		s := IntegrationSection{Kind: p.name, Line: max(it.line, 1), node: it}
		if it.kind == isScalar {
			faults = append(faults, faultf(it, "needs settings below it, indented, or a list of such")...)
			continue
		}
		if it == p.value {
			s.Line = p.line
		}
		if k.Integration != nil {
			if f := s.faults(k.Integration(s)); len(f) > 0 {
				faults = append(faults, f...)
				continue
			}
		}
		out = append(out, s)
	}
	return out, faults
}

// faults gives an error about a section its line: its own, or that of the key
// that it begins with.
func (s IntegrationSection) faults(err error) []fault {
	if err == nil {
		return nil
	}
	var d *DecodeError
	if errors.As(err, &d) {
		return d.faults
	}
	text := oneLine(err)
	if key, rest, ok := strings.Cut(text, ": "); ok {
		for _, p := range s.node.pairs {
			if p.name == key {
				return []fault{{line: p.line, key: key, text: rest}}
			}
		}
	}
	return []fault{{line: s.Line, text: text}}
}

func (r *IntegrationRules) check(n *node, k *Checks) (faults []fault) {
	bad := func(key, format string, args ...any) {
		f := fault{line: n.line, key: key, text: fmt.Sprintf(format, args...)}
		for _, p := range n.pairs {
			if p.name == key {
				f.line = p.line
			}
		}
		faults = append(faults, f)
	}
	switch r.Discovery {
	case "", "auto", "suggest", "off":
	default:
		bad("discovery", "%s is not auto, suggest or off", quoted(r.Discovery))
	}
	if r.Interval != 0 && (r.Interval < time.Second || r.Interval > 24*time.Hour) {
		bad("interval", "%v is not from 1s to 24h", r.Interval)
	}
	if r.Timeout != 0 && (r.Timeout < 10*time.Millisecond || r.Timeout > 10*time.Minute) {
		bad("timeout", "%v is not from 10ms to 10m", r.Timeout)
	}
	for key, patterns := range map[string][]string{"enable": r.Enable, "deny": r.Deny, "pin": r.Pin} {
		for _, p := range patterns {
			kind, _, _ := strings.Cut(p, "/")
			if _, err := path.Match(p, ""); err != nil || p == "" {
				bad(key, "%s is not a kind or kind/instance, in which * stands for anything", quoted(p))
			} else if len(k.IntegrationKinds) > 0 && !strings.ContainsAny(kind, "*?[") && !slices.Contains(k.IntegrationKinds, kind) {
				bad(key, "%s", unknownWord("integration", kind, k.IntegrationKinds))
			}
		}
	}
	return faults
}

// Equal reports whether two sections read alike; secrets are not compared.
func (i Integrations) Equal(o Integrations) bool {
	return i.text == o.text && len(i.Sections) == len(o.Sections) && reflect.DeepEqual(i.Rules, o.Rules)
}
