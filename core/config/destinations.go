package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxDestinations bounds the list of destinations.
const maxDestinations = 16

// destinations reads the list form of push: each entry has the keys of the
// section, and starts from the defaults.
func (l *Loaded) destinations(list *node, table []setting, k *Checks, source string, add func(string, []fault)) {
	if len(list.items) > maxDestinations {
		add("push", faultf(list, "has %d destinations, at most %d are allowed", len(list.items), maxDestinations))
		return
	}
	var out []Push
	good := true
	for i, item := range list.items {
		at := fmt.Sprintf("push[%d]", i)
		found := func(key string, faults []fault) {
			good = good && len(faults) == 0
			add(strings.TrimSuffix(at+"."+key, "."), faults)
		}
		if item.kind != isMap {
			found("", faultf(item, "needs the settings of a destination (%s)", strings.Join(children(table, "push."), ", ")))
			continue
		}
		c := Config{Push: defaultPush()}
		for _, p := range item.pairs {
			j := slices.IndexFunc(table, func(s setting) bool { return s.key == "push."+p.name })
			if j < 0 {
				found("", []fault{{line: p.line, text: unknownWord("key", p.name, children(table, "push."))}})
				continue
			}
			found(p.name, table[j].take(&c, p.value, k))
		}
		found("", unfinished(c.Push, item.line))
		out = append(out, c.Push)
	}
	if good {
		l.Destinations = out
		l.Sources["push"] = source
	}
}

// unfinished says what a destination of a list lacks.
func unfinished(p Push, line int) []fault {
	switch {
	case p.Type == pushgateway && p.URL == "":
		return []fault{{line: line, text: "has no url: write for example url: http://gateway:9091"}}
	case p.Type == "textfile" && p.Path == "":
		return []fault{{line: line, text: "has no path: write for example path: /var/lib/prometheus/node-exporter/vitals.prom"}}
	}
	return nil
}

// everywhere applies a flag or variable of one destination to all of a list; an
// address replaces the list.
func (l *Loaded) everywhere(s *setting, n *node, k *Checks) {
	if !strings.HasPrefix(s.key, "push.") || len(l.Destinations) == 0 {
		return
	}
	if s.key == "push.url" {
		l.Destinations = nil
		return
	}
	for i, p := range l.Destinations {
		c := Config{Push: p}
		s.take(&c, n, k)
		l.Destinations[i] = c.Push
	}
}

// showDestinations gives the list form with what differs from the defaults.
func (c *Config) showDestinations() string {
	var b strings.Builder
	for _, p := range c.Destinations {
		one, plain := Config{Push: p}, Config{Push: defaultPush()}
		lead := "  - "
		for _, s := range pushSettings() {
			shown := s.show(&one)
			if shown == s.show(&plain) && s.key != "push.type" {
				continue
			}
			fmt.Fprintf(&b, "%s%s: %s\n", lead, strings.TrimPrefix(s.key, "push."), shown)
			lead = "    "
		}
	}
	return b.String()
}
