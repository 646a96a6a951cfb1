package config

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"vitals/core"
)

// The settings that are more than one value.

type slogLevel = slog.Level

// maxEntries bounds lists and sections.
const maxEntries = 1000

// Checks judges values that this package cannot judge by itself. A nil func or
// an empty list accepts everything.
type Checks struct {
	Kinds []string           // kinds of instrumentation that exist
	Rule  func(string) error // is it a rule for processes
	Theme func(string) error // is it a theme; "auto" is not asked
	// Selector judges a selector of metrics, HTTPClient the settings of an HTTP
	// client as YAML; its line, counted in that text, is 0 when none is known.
	Selector   func(string) error
	HTTPClient func(yaml string) (line int, err error)

	IntegrationKinds []string                       // that exist
	Integration      func(IntegrationSection) error // is it right
	// Singletons are those that can be there once only.
	Singletons []string
}

func (k *Checks) theme(s string) error {
	if k.Theme == nil || s == "auto" {
		return nil
	}
	return k.Theme(s)
}

func (k *Checks) rule(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("empty rule: write for example name=nginx*")
	}
	if k.Rule == nil {
		return nil
	}
	return k.Rule(s)
}

func rulesSetting(key, help, example string, field func(*Config) *[]string) setting {
	return setting{
		key: key, flag: key, help: help, example: example, form: many,
		take: func(c *Config, n *node, k *Checks) []fault {
			list, faults := rules(n, k)
			if len(faults) == 0 {
				*field(c) = list
			}
			return faults
		},
		show: func(c *Config) string { return flowList(*field(c)) },
	}
}

// rules reads a list of rules; a single one needs no list.
func rules(n *node, k *Checks) (out []string, faults []fault) {
	items := n.items
	switch {
	case n.kind == isScalar:
		items = []*node{n}
	case n.kind == isMap:
		return nil, faultf(n, "needs a list of rules, for example [\"name=nginx*\"]")
	case n.kind == isNull:
		return nil, faultf(n, "has no value: write [] for none")
	}
	if len(items) > maxEntries {
		return nil, faultf(n, "more than %d rules", maxEntries)
	}
	for _, it := range items {
		text, f := scalarOf(it)
		if f == nil {
			if err := k.rule(text); err != nil {
				f = faultf(it, "%s", oneLine(err))
			}
		}
		faults = append(faults, f...)
		out = append(out, text)
	}
	return out, faults
}

// choices reads a section of kind: on|off|auto.
func choices(n *node, k *Checks) (out map[string]core.Choice, faults []fault) {
	if n.kind != isMap && !(n.kind == isList && len(n.items) == 0) {
		return nil, faultf(n, "needs kinds with on, off or auto, for example {requests: off}")
	}
	out = map[string]core.Choice{}
	for _, p := range n.pairs {
		if len(k.Kinds) > 0 && !slices.Contains(k.Kinds, p.name) {
			faults = append(faults, fault{line: p.line, text: unknownWord("kind", p.name, k.Kinds)})
			continue
		}
		text, f := scalarOf(p.value)
		if f == nil {
			choice, err := parseChoice(text)
			if err != nil {
				f = faultf(p.value, "%v", err)
			}
			out[p.name] = choice
		}
		faults = append(faults, under(p.name, f)...)
	}
	return out, faults
}

// unknownWord says that a word is unknown, what was probably meant, and what exists.
func unknownWord(what, word string, known []string) string {
	s := fmt.Sprintf("unknown %s %s", what, quoted(word))
	if near := Nearest(word, known); near != "" {
		return s + fmt.Sprintf(": did you mean %s?", near)
	}
	return s + ": there are " + strings.Join(known, ", ")
}

// under puts a key before the keys of faults.
func under(key string, faults []fault) []fault {
	for i := range faults {
		faults[i].key = strings.TrimSuffix(core.Clean(key, 40)+"."+faults[i].key, ".")
	}
	return faults
}

func instrumentationSetting() setting {
	return setting{
		key: "instrumentation", form: pairs,
		help:    "What is switched on for all processes, by kind: on, off or auto (the kind's own\ndefault). The nearest choice wins: process, service, group, this.",
		example: "instrumentation: {requests: on, network: off}",
		take: func(c *Config, n *node, k *Checks) []fault {
			m, faults := choices(n, k)
			if len(faults) == 0 {
				c.Instrumentation = m
			}
			return faults
		},
		show: func(c *Config) string { return flowChoices(c.Instrumentation) },
	}
}

func servicesSetting() setting {
	return setting{
		key: "services", form: fileOnly,
		help:    "The same for single services.",
		example: "services:\n  nginx: {requests: off}",
		take: func(c *Config, n *node, k *Checks) (faults []fault) {
			if n.kind != isMap || len(n.pairs) > maxEntries {
				return faultf(n, "needs names of services, each with kinds, for example {nginx: {requests: off}}")
			}
			out := map[string]map[string]core.Choice{}
			for _, p := range n.pairs {
				m, f := choices(p.value, k)
				faults = append(faults, under(p.name, f)...)
				out[core.Clean(p.name, core.MaxName)] = m
			}
			if len(faults) == 0 {
				c.Services = out
			}
			return faults
		},
		show: func(c *Config) string {
			return flowMap(c.Services, flowChoices)
		},
	}
}

func groupsSetting() setting {
	return setting{
		key: "groups", form: fileOnly,
		help:    "Groups of processes with settings of their own; the first that matches wins. match\nholds rules as include does, one that holds is enough.",
		example: "groups:\n  web:\n    match: [\"name=nginx*\", \"user=www-data\"]\n    service: frontend\n    attributes: {team: shop}\n    instrumentation: {requests: on}",
		take: func(c *Config, n *node, k *Checks) (faults []fault) {
			if n.kind != isMap || len(n.pairs) > maxEntries {
				return faultf(n, "needs names of groups, each with match, for example {web: {match: [\"name=nginx*\"]}}")
			}
			var out []Group
			for _, p := range n.pairs {
				g, f := group(p, k)
				faults = append(faults, under(p.name, f)...)
				out = append(out, g)
			}
			if len(faults) == 0 {
				c.Groups = out
			}
			return faults
		},
		show: func(c *Config) string {
			var b []string
			for _, g := range c.Groups {
				b = append(b, quoteYAML(g.Name)+": {match: "+flowList(g.Match)+", service: "+quoteYAML(g.Service)+
					", attributes: "+flowMap(g.Attributes, quoteYAML)+", instrumentation: "+flowChoices(g.Instrumentation)+"}")
			}
			return "{" + strings.Join(b, ", ") + "}"
		},
	}
}

func group(p pair, k *Checks) (g Group, faults []fault) {
	if g.Name = core.Clean(p.name, core.MaxName); g.Name == "" {
		return g, faultf(p.value, "a group needs a name")
	}
	for _, e := range p.value.pairs {
		var f []fault
		switch e.name {
		case "match":
			g.Match, f = rules(e.value, k)
		case "service":
			var text string
			if text, f = scalarOf(e.value); f == nil {
				var err error
				if g.Service, err = name(text); err != nil {
					f = faultf(e.value, "%v", err)
				}
			}
		case "attributes":
			g.Attributes, f = attributes(e.value)
		case "instrumentation":
			g.Instrumentation, f = choices(e.value, k)
		default:
			faults = append(faults, fault{line: e.line, text: unknownWord("key", e.name, []string{"match", "service", "attributes", "instrumentation"})})
		}
		faults = append(faults, under(e.name, f)...)
	}
	if len(g.Match) == 0 && len(faults) == 0 {
		faults = []fault{{line: p.line, text: "has no rules: add for example match: [\"name=nginx*\"]"}}
	}
	return g, faults
}

func attributes(n *node) (out map[string]string, faults []fault) {
	if n.kind != isMap || len(n.pairs) > maxEntries {
		return nil, faultf(n, "needs names with values, for example {team: shop}")
	}
	out = map[string]string{}
	for _, p := range n.pairs {
		text, f := scalarOf(p.value)
		if f == nil {
			v, err := name(text)
			if err != nil {
				f = faultf(p.value, "%v", err)
			}
			out[core.Clean(p.name, core.MaxName)] = v
		}
		faults = append(faults, under(p.name, f)...)
	}
	return out, faults
}

func flowList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoteYAML(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func flowMap[V any](m map[string]V, format func(V) string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, quoteYAML(k)+": "+format(m[k]))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func flowChoices(m map[string]core.Choice) string {
	return flowMap(m, func(c core.Choice) string { return string(c) })
}
