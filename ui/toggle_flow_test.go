package ui

import (
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

func TestToggleAndUndo(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "/")
	d.typed("pid:2871")
	d.keys("enter", "space")
	got := d.f.intents()
	if len(got) != 2 {
		t.Fatalf("%d intents, want one for each kind: %v", len(got), got)
	}
	for i, kind := range []string{"requests", "network"} {
		want := core.Intent{Op: core.IntentToggle, Choice: core.Off, Key: core.ToggleKey{Kind: kind, Scope: core.ScopeProcess, Proc: core.ProcKey{PID: 2871, Birth: 287100}}}
		if got[i] != want {
			t.Errorf("intent %d is %+v, want %+v", i, got[i], want)
		}
	}
	d.sees("◌", "checkout-api/2871 off")
	d.keys("space") // before any snapshot knows of it: on again
	if got := d.f.intents(); got[3].Choice != core.On {
		t.Errorf("a second space asks for %q, want on", got[3].Choice)
	}
	d.keys("u")
	if got := d.f.intents(); len(got) != 6 || got[4].Choice != core.Off {
		t.Errorf("undo of the second asks for %+v", got[4:])
	}
	d.keys("u")
	if got := d.f.intents(); len(got) != 8 || got[6].Choice != core.Auto {
		t.Errorf("undo of the first asks for %+v, want auto as before", got[6:])
	}
	d.keys("u")
	d.sees("nothing to take back")
}

// A wish that never comes true is forgotten; one that does is settled at once.
func TestWishesSettle(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "/")
	d.typed("pid:988")
	d.keys("enter", "space")
	if len(d.a.pending) != 2 {
		t.Fatalf("%d wishes on their way, want 2", len(d.a.pending))
	}
	s := sampleSeq(2)
	for _, in := range d.f.intents() {
		s.Toggles.Choices[in.Key] = in.Choice
	}
	d.publish(s)
	if len(d.a.pending) != 0 {
		t.Errorf("%d wishes are left after the snapshot fulfils them", len(d.a.pending))
	}
	d.keys("space")
	for k, p := range d.a.pending {
		p.until = time.Now().Add(-time.Second)
		d.a.pending[k] = p
	}
	d.publish(sampleSeq(3))
	if len(d.a.pending) != 0 {
		t.Errorf("%d wishes are left after their time", len(d.a.pending))
	}
}

func TestNeverInstrumentedSaysWhy(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "/")
	d.typed("pid:2")
	d.keys("enter", "space")
	d.sees("kernel thread")
	if n := len(d.f.intents()); n != 0 {
		t.Errorf("%d intents for a kernel thread", n)
	}
}

func TestBusyCoreIsTold(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.f.busy = true
	d.keys("2", "space")
	d.sees("busy")
	if len(d.a.undo) != 0 || len(d.a.pending) != 0 {
		t.Error("what was not sent is remembered")
	}
}

// More than twenty at once are confirmed, and a key in flight is no answer.
func TestManyAreConfirmed(t *testing.T) {
	synctest.Test(t, manyAreConfirmed)
}

func manyAreConfirmed(t *testing.T) {
	d := drive(t, many(50), 120, 36)
	d.keys("2", "a", "space")
	d.sees("Sure?")
	d.keys("y")
	if len(d.f.intents()) != 0 {
		t.Fatal("a key that was on its way answered the question")
	}
	time.Sleep(confirmDelay + 20*time.Millisecond)
	d.keys("y")
	if n := len(d.f.intents()); n < 100 {
		t.Errorf("%d intents after yes", n)
	}
	d.keys("u")
	d.sees("taken back")
}

func TestDetachEverythingAsksOnce(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("7", "K")
	d.sees("take every probe out")
	time.Sleep(confirmDelay + 20*time.Millisecond)
	d.keys("K")
	if got := d.f.intents(); len(got) != 1 || got[0].Op != core.IntentDetachAll {
		t.Fatalf("intents %v", got)
	}
	s := sampleSeq(2)
	s.Toggles.Suspended = true
	d.publish(s)
	d.sees("all detached")
	d.keys("K")
	if got := d.f.intents(); got[1].Op != core.IntentResume {
		t.Errorf("the second K asks for %v, want resume", got[1].Op)
	}
}

func TestFooterSaysWhatTheDetachKeyDoes(t *testing.T) {
	s := sample()
	d := drive(t, s, 120, 36)
	d.keys("7")
	d.sees("K detach all")
	s = sampleSeq(2)
	s.Toggles.Suspended = true
	d.publish(s)
	d.sees("K put back")
}

func TestServiceToggle(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "tab", "down", "space")
	got := d.f.intents()
	if len(got) != 2 || got[0].Key != (core.ToggleKey{Kind: "requests", Scope: core.ScopeService, Target: "nginx"}) || got[0].Choice != core.Off {
		t.Errorf("intents %+v", got)
	}
}

func TestKindsOfSpace(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "i", "space", "enter", "space")
	got := d.f.intents()
	if len(got) != 1 || got[0].Key.Kind != "network" {
		t.Errorf("intents %+v, want network only", got)
	}
}

func TestOneKindOnTheProcessPage(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "down", "down", "down", "down", "enter", "h", "down", "space")
	if got := d.f.intents(); len(got) != 1 || got[0].Key.Kind != "network" || got[0].Key.Proc.PID != 2871 {
		t.Errorf("intents %+v", got)
	}
}

// The cursor stays on its process while the order changes.
