package ui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
)

// A login is asked for, never shown, and handed over once.
func TestLoginIsAskedForAndNotShown(t *testing.T) {
	snap := sample()
	for _, r := range snap.Integrations {
		if r.Kind == "postgres" {
			r.Ambient, r.Needs = false, core.NeedsLogin
		}
	}
	d := drive(t, snap, 120, 36)
	d.keys("5", "down", "down", "c")
	d.sees("Login for PostgreSQL")
	d.typed("admin")
	d.keys("enter")
	d.typed("s3cret")
	d.a.Update(tea.PasteMsg{Content: "pasted\n"})
	d.sees("••••••••••••")
	if strings.Contains(d.screen(), "s3cret") {
		t.Error("the password is on the screen")
	}
	d.keys("down", "space")
	d.sees("[x]")
	d.keys("enter")
	got := d.f.intents()
	if len(got) != 1 || got[0].Op != core.IntentIntegrationLogin || got[0].Login == nil {
		t.Fatalf("intents: %v", got)
	}
	if l := got[0].Login; l.User != "admin" || l.Password != "s3cretpasted" || !l.Keep {
		t.Errorf("user %q, keep %v, password of %d", l.User, l.Keep, len(l.Password))
	}
	if s := fmt.Sprintf("%v %+v", got[0].Login, *got[0].Login); strings.Contains(s, "s3cret") {
		t.Errorf("printing shows it: %s", s)
	}
	d.sees("logging in to PostgreSQL")
}

func TestConsentIsAsked(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("5", "down", "down", "c")
	d.sees("as the server's own user")
	d.keys("esc")
	if len(d.f.intents()) != 0 {
		t.Error("something was done without an answer")
	}
}
