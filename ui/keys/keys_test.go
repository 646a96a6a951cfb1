package keys

import (
	"strings"
	"testing"
)

// One key means one thing on every page, and everything is explained.
func TestTable(t *testing.T) {
	pages := map[string][]Scope{
		"overview": {Lists, Global}, "processes": {Processes, Lists, Global}, "process": {Process, Lists, Global},
		"events": {Events, Lists, Global}, "probes": {Probes, Lists, Global},
	}
	// What a page means by a key may differ from what holds elsewhere; only these do.
	override := map[string]bool{"tab": true, "shift+tab": true}
	m := New(9)
	for name, scopes := range pages {
		for _, paused := range []bool{false, true} {
			if paused {
				scopes = append([]Scope{Paused}, scopes...)
			}
			seen := map[string]string{}
			for i := range 9 {
				seen[string(rune('1'+i))] = "page"
			}
			for _, b := range m.Table(scopes...) {
				for _, k := range b.Keys {
					if other, ok := seen[k]; ok && !override[k] {
						t.Errorf("%s: %q means %q and %q", name, k, other, b.Help)
					}
					seen[k] = b.Help
				}
			}
		}
	}
	commands := map[string]Action{}
	for _, b := range Table() {
		if b.Help == "" || strings.HasSuffix(b.Help, ".") {
			t.Errorf("%v: help %q: one sentence without a period", b.Keys, b.Help)
		}
		if len(b.Keys) > 0 && b.Show == "" {
			t.Errorf("%v: nothing to show", b.Keys)
		}
		if len(b.Keys) == 0 && b.Command == "" {
			t.Errorf("%q: neither key nor command", b.Help)
		}
		if other, ok := commands[b.Command]; ok && b.Command != "" && other != b.Action {
			t.Errorf("command %q means two things", b.Command)
		}
		commands[b.Command] = b.Action
	}
}

func TestLookupTakesTheNearestScope(t *testing.T) {
	m := New(4)
	for _, c := range []struct {
		key    string
		scopes []Scope
		want   Action
	}{
		{"space", []Scope{Processes, Lists}, Toggle}, {"space", []Scope{Lists}, None}, {"K", []Scope{Probes}, DetachAll}, {"left", []Scope{Lists}, None},
		{"left", []Scope{Paused, Lists}, Rewind}, {"tab", []Scope{Process}, NextTab}, {"tab", []Scope{Lists}, NextPane}, {"4", nil, Page1 + 3}, {"5", nil, None}, {"q", nil, Up},
	} {
		if got := m.Lookup(c.key, c.scopes...); got != c.want {
			t.Errorf("%q in %v is %d, want %d", c.key, c.scopes, got, c.want)
		}
	}
}
