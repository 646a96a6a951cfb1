// Package kerntest is what the tests of probes share: a sink that remembers, a
// unit that is run as the supervisor does, and the proof that nothing is left
// in the kernel.
package kerntest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
)

// NeedRoot skips what cannot work without root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// Sink remembers everything. Its fields are guarded by its lock.
type Sink struct {
	sync.Mutex
	SamplesSeen []core.Sample
	UsageSeen   []core.Usage // of the last look
	Looks       int          // calls of Usage
	LostSeen    map[string]uint64
}

var _ core.Sink = (*Sink)(nil)

// Requests implements core.Sink.
func (*Sink) Requests([]core.Request) {}

// Coverage implements core.Sink.
func (*Sink) Coverage([]core.Coverage) {}

// InFlight implements core.Sink.
func (*Sink) InFlight([]core.InFlight) {}

// Samples implements core.Sink.
func (s *Sink) Samples(list []core.Sample) {
	s.Lock()
	defer s.Unlock()
	s.SamplesSeen = append(s.SamplesSeen, list...)
}

// Usage implements core.Sink.
func (s *Sink) Usage(list []core.Usage) {
	s.Lock()
	defer s.Unlock()
	s.UsageSeen = append(s.UsageSeen[:0], list...)
	s.Looks++
}

// Lost implements core.Sink.
func (s *Sink) Lost(stage, reason string, n uint64) {
	s.Lock()
	defer s.Unlock()
	if s.LostSeen == nil {
		s.LostSeen = map[string]uint64{}
	}
	s.LostSeen[stage+"/"+reason] += n
}

// Run attaches a unit, serves it, and detaches it when the test ends; it then
// fails the test when anything is left of it. The returned function does the
// same earlier.
func Run(t testing.TB, spec core.Spec) (unit core.Unit, stop func()) {
	t.Helper()
	fdsBefore := countFDs(t)
	had := objects(t)
	unit, err := spec.Make()
	if err != nil {
		t.Fatalf("make: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := unit.Attach(ctx); err != nil {
		cancel()
		t.Fatalf("attach: %v", err)
	}
	ours := objects(t)
	for o := range had {
		delete(ours, o)
	}
	if len(ours) == 0 {
		t.Error("the unit has attached nothing")
	}
	served, ready := make(chan error, 1), make(chan struct{})
	go func() { served <- unit.Serve(ctx, sync.OnceFunc(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-served:
		t.Fatalf("serve ended before it was ready: %v", err)
	case <-time.After(patience):
		t.Fatalf("not ready after %v", patience)
	}
	stop = sync.OnceFunc(func() {
		defer cancel()
		// Hooks first, then the rest of Serve: the order that loses nothing.
		deadline, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if err := unit.Detach(deadline); err != nil {
			t.Errorf("detach: %v", err)
		}
		if err := unit.Detach(deadline); err != nil {
			t.Errorf("second detach: %v", err)
		}
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("serve goes on after detach")
		}
		Gone(t, ours)
		Until(t, "file descriptors given back", func() bool { return countFDs(t) <= fdsBefore })
	})
	t.Cleanup(stop)
	return unit, stop
}

// patience is how long anything is waited for: a machine that others use, too, may
// stand still for seconds.
const patience = 30 * time.Second

// Until waits until what is true, at most 30 s.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Object is a program, map or link of the kernel.
type Object struct {
	Kind string // "prog", "map", "link"
	ID   uint32
}

// objects lists those that this process holds.
func objects(t testing.TB) map[Object]bool {
	t.Helper()
	entries, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[Object]bool{}
	for _, path := range entries {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // closed meanwhile
		}
		// A link's fdinfo names its program too: the link line comes first.
		for _, kind := range []string{"link", "prog", "map"} {
			if id, ok := field(string(text), kind+"_id:"); ok {
				found[Object{kind, id}] = true
				break
			}
		}
	}
	return found
}

func field(text, name string) (uint32, bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			id, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32)
			return uint32(id), err == nil
		}
	}
	return 0, false
}

// countFDs counts the descriptors that eBPF needs: objects of the kernel without
// a name. Sockets, files and processes belong to the test.
func countFDs(t testing.TB) int {
	t.Helper()
	// The runtime's own poller stays for ever once it is there.
	if l, err := net.Listen("unix", ""); err == nil {
		l.Close()
	}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range links {
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, "anon_inode:") && !strings.Contains(target, "pidfd") {
			n++
		}
	}
	return n
}

// String gives "prog 12".
func (o Object) String() string { return fmt.Sprint(o.Kind, " ", o.ID) }
