package kern

import (
	"context"
	"errors"
	"testing"
	"time"

	"vitals/core"
)

func TestPace(t *testing.T) {
	p := Pace{Every: time.Second, Share: 0.01}
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 5 * time.Millisecond: time.Second, 50 * time.Millisecond: 5 * time.Second,
	} {
		if got := p.after(took); got != want {
			t.Errorf("a look of %v: next after %v, want %v", took, got, want)
		}
	}
}

func TestChosen(t *testing.T) {
	key := func(pid int32) core.ProcKey { return core.ProcKey{PID: pid, Birth: 1} }
	parents := map[core.ProcKey]core.ProcKey{key(2): key(1), key(3): key(2), key(8): key(8)}
	parent := func(k core.ProcKey) (core.ProcKey, bool) { p, ok := parents[k]; return p, ok }
	var c Chosen
	on := func(pid int32) bool { return c.On(key(pid), parent) }
	if on(1) {
		t.Error("the zero value selects")
	}
	c.Apply(core.Selection{Default: true, Set: map[core.ProcKey]bool{key(1): false, key(9): false}})
	if on(1) || on(2) || on(3) {
		t.Error("off, and so are the child and its child until they exec")
	}
	if !on(4) || on(9) || !on(8) {
		t.Error("others follow the default, even one that is its own parent")
	}
	c.Apply(core.Selection{Default: true, Set: map[core.ProcKey]bool{key(2): true}})
	if on(1) || !on(2) || !on(3) {
		t.Error("the nearest exception counts")
	}
	c.Apply(core.Selection{Default: false, Clear: []core.ProcKey{key(1), key(2), key(9)}})
	if on(1) || on(2) || on(9) {
		t.Error("cleared ones follow the new default")
	}
}

type closer struct {
	name string
	log  *[]string
}

func (c closer) Close() error { *c.log = append(*c.log, c.name); return nil }

func TestAttachmentClosesInOrder(t *testing.T) {
	var log []string
	a := NewAttachment("x", &Env{})
	for _, name := range []string{"map", "ring"} {
		if err := a.Keep(closer{name, &log}); err != nil {
			t.Fatal(err)
		}
	}
	a.hooks = append(a.hooks, closer{"hook", &log})
	leave, ok := a.Enter()
	if !ok {
		t.Fatal("cannot serve")
	}
	go func() {
		<-a.Stopping()
		log = append(log, "last word")
		leave()
	}()
	ctx := context.Background()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{"hook", "last word", "ring", "map"}
	for i := range want {
		if i >= len(log) || log[i] != want[i] {
			t.Fatalf("closed %v, want %v", log, want)
		}
	}
	if err := a.Close(ctx); err != nil || len(log) != len(want) {
		t.Errorf("second close: %v, %v", err, log)
	}
	if err := a.Keep(closer{"late", &log}); err == nil || log[len(log)-1] != "late" {
		t.Errorf("what comes late is not closed: %v", log)
	}
	if _, ok := a.Enter(); ok {
		t.Error("serves after close")
	}
}

func TestAttachmentDoesNotWaitForEver(t *testing.T) {
	var log []string
	a := NewAttachment("x", &Env{})
	if err := a.Keep(closer{"map", &log}); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Enter(); !ok {
		t.Fatal("cannot serve")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := a.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || len(log) != 1 {
		t.Errorf("got %v, closed %v", err, log)
	}
}
