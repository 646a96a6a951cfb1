package requests

import (
	"os"
	"testing"
	"time"

	"vitals/probes/kern"
)

// In silence the reader waits long, and the first thing that happens wakes it:
// a record, or something that has begun.
func TestIdleReaderSleeps(t *testing.T) { bothPaths(t, idleReaderSleeps) }

func idleReaderSleeps(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	server, addr := listening(t)
	p := &probe{env: kern.Env{Sink: newSink(), Floor: onFloor(t)}}
	if _, err := p.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Detach(t.Context())
	if err := p.Select(selectionOf(server.key)); err != nil {
		t.Fatal(err)
	}
	look := newSweeper(p, p.att, newIntake(p.env.Sink, nil))
	sleep := func() {
		t.Helper()
		for range quietReads + 2 {
			wait, err := look.rest(0)
			if err != nil {
				t.Fatal(err)
			}
			if wait == longWait {
				return
			}
		}
		t.Fatal("silence is not taken for that")
	}
	quiet := func() { // as after a sweep that saw nothing
		look.open = false
		if err := p.side.dirty.Set(uint32(0)); err != nil {
			t.Fatal(err)
		}
	}
	woken := func(what, by string) {
		t.Helper()
		began, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			server.ask(by)
		}()
		defer func() { <-done }()
		n, err := p.ring.Read(longWait, 10, func([]byte) {})
		if took := time.Since(began); n == 0 || err != nil || took > longWait/2 {
			t.Errorf("%s: %d records after %v: %v", what, n, took, err)
		}
		if wait, err := look.rest(n); wait != readWait || err != nil {
			t.Errorf("waits %v after a record: %v", wait, err)
		}
	}
	c := connect(t, server, addr)
	sleep()
	say(t, c, "ask")
	woken("a request that has begun", "s.recv(100)")
	if err := look.look(); err != nil {
		t.Fatal(err)
	}
	if wait, err := look.rest(0); wait != readWait || err != nil || !look.open {
		t.Errorf("waits %v while a request is open (%v): %v", wait, look.open, err)
	}
	server.ask("s.send(b'answer')")
	quiet()
	sleep()
	say(t, c, "ask")
	woken("an exchange", "s.recv(100)")
	quiet()
	sleep()
	woken("an end", "s.close()")
}
