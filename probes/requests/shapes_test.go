package requests

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// forEachSocket runs f with a server on TCP and one on a Unix socket.
func forEachSocket(t *testing.T, f func(t *testing.T, server *child, addr string)) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if kind == "unix" {
				addr = "unix:" + filepath.Join(t.TempDir(), "s")
			}
			server, bound := start(t, "serve", addr)
			if kind == "tcp" {
				addr = bound
			}
			f(t, server, addr)
		})
	}
}

func TestShapes(t *testing.T) { bothPaths(t, shapes) }

func shapes(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(c *conn)
		want map[string]uint64
	}{
		{"byte by byte", func(c *conn) {
			for _, b := range "GET /users/5 HTTP/1.1\r\nHost: a\r\n\r\n" {
				c.send(string(b))
				time.Sleep(200 * time.Microsecond)
			}
			c.answer("GET")
			c.do("GET", "/busy", "", "")
		}, map[string]uint64{"server GET /users/{id} 200": 1, "server GET /busy 503": 1}},
		{"continue", func(c *conn) {
			c.send("POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
			if status := c.answer("POST"); status != 100 {
				c.t.Errorf("status %d, want 100", status)
			}
			c.send("body")
			c.answer("POST")
			c.do("GET", "/users/1", "", "")
		}, map[string]uint64{"server POST /upload 200": 1, "server GET /users/{id} 200": 1}},
		{"pipelined", func(c *conn) {
			c.send("GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /busy HTTP/1.1\r\nHost: a\r\n\r\nGET /users/3 HTTP/1.1\r\nHost: a\r\n\r\n")
			for range 3 {
				c.answer("GET")
			}
		}, nil},
		{"body later", func(c *conn) {
			c.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
			time.Sleep(20 * time.Millisecond)
			c.send("abc")
			time.Sleep(20 * time.Millisecond)
			c.send("def")
			c.answer("POST")
		}, map[string]uint64{"server POST /upload 200": 1}},
		{"closed at once", func(c *conn) {
			c.do("GET", "/users/1", "Connection: close\r\n", "")
			c.Close()
		}, map[string]uint64{"server GET /users/{id} 200": 1}},
		{"not HTTP", func(c *conn) {
			c.send("\x16\x03\x01 hello\r\n\r\n")
			io.Copy(io.Discard, c)
		}, map[string]uint64{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			forEachSocket(t, func(t *testing.T, server *child, addr string) {
				p := attach(t, 0, server.key)
				c.play(dial(t, addr))
				settle()
				if c.want == nil {
					wait(func() bool { return p.total(server.key) == 3 })
				} else if len(c.want) > 0 {
					wait(func() bool { return maps.Equal(p.of(server.key), c.want) })
				}
				p.settled(server)
				if c.want == nil {
					if n := p.total(server.key); n != 3 {
						t.Errorf("counted %d, want 3: %v", n, p.of(server.key))
					}
					return
				}
				for _, r := range p.all() {
					if !core.Recognised(r.Protocol) {
						if c.name != "not HTTP" || r.Method+r.Route != "" {
							t.Errorf("an exchange that nobody read: %+v", r)
						}
						return
					}
				}
				same(t, c.name, p.of(server.key), c.want)
			})
		})
	}
}

// The rest of a body that was answered before it was read is no request.
func TestEarlyAnswer(t *testing.T) { bothPaths(t, earlyAnswer) }

func earlyAnswer(t *testing.T) {
	forEachSocket(t, func(t *testing.T, server *child, addr string) {
		p := attach(t, 0, server.key)
		c := dial(t, addr)
		// More than net/http reads before it answers.
		c.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
		c.answer("POST")
		io.WriteString(c, strings.Repeat("y", 100000))
		c.Close()
		p.expect(t, "early", server.key, map[string]uint64{"server POST /early 413": 1})
	})
}

// The client goes away before the answer.
func TestCancelled(t *testing.T) { bothPaths(t, cancelled) }

func cancelled(t *testing.T) {
	server, addr := start(t, "serve", "127.0.0.1:0")
	p := attach(t, 0, server.key)
	for _, reset := range []bool{false, true} {
		c := dial(t, addr)
		c.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
		server.says() // it has it, and waits
		if reset {
			c.Conn.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
	fmt.Fprint(server.in, "go on\ngo on\n")
	settle()
	wait(func() bool { return p.total(server.key) == 2 })
	t.Log(p.of(server.key))
	if n := p.total(server.key); n != 2 {
		t.Errorf("counted %d, want 2", n)
	}
}

func TestInFlightAndLatency(t *testing.T) { bothPaths(t, inFlightAndLatency) }

func inFlightAndLatency(t *testing.T) {
	forEachSocket(t, func(t *testing.T, server *child, addr string) {
		p := attach(t, 0, server.key)
		c := dial(t, addr)
		c.do("GET", "/users/1", "", "")
		flying := func() []core.InFlight {
			p.sink.mu.Lock()
			defer p.sink.mu.Unlock()
			return slices.Clone(p.inFlight)
		}
		began := time.Now()
		c.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
		server.says()
		waits := time.Now()
		wait(func() bool { return len(flying()) > 0 })
		if f := flying(); len(f) != 1 || f[0].Proc != server.key || f[0].Count != 1 || f[0].Role != core.RoleServer {
			t.Errorf("in flight %+v", f)
		}
		least := time.Since(waits)
		fmt.Fprintln(server.in, "go on")
		c.answer("GET")
		kerntest.CallsEnded(t, server.Process.Pid)
		took := time.Since(began)
		p.expect(t, "server", server.key, map[string]uint64{"server GET /users/{id} 200": 1, "server GET /wait 200": 1})
		wait(func() bool { return len(flying()) == 0 })
		if f := flying(); len(f) > 0 {
			t.Errorf("still in flight %+v", f)
		}
		for _, r := range p.all() {
			if r.Route == "/wait" && (r.Duration > took || r.Duration < least || r.FirstByte > r.Duration) {
				t.Errorf("duration %v, first byte %v, at least %v, client saw %v", r.Duration, r.FirstByte, least, took)
			}
		}
	})
}

// With the smallest ring and nobody reading, counted and lost are the truth.
func TestCountedPlusLost(t *testing.T) { bothPaths(t, countedPlusLost) }

func countedPlusLost(t *testing.T) {
	server, addr := start(t, "serve", "127.0.0.1:0")
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	s := newSink()
	p := &probe{}
	p.env.Sink, p.env.RequestsRing, p.env.Floor = s, os.Getpagesize(), onFloor(t)
	if _, err := p.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Select(core.Selection{Set: map[core.ProcKey]bool{server.key: true}}); err != nil {
		t.Fatal(err)
	}
	want := storm("server ", 1000, dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, func() {}) }()
	settle()
	kerntest.CallsEnded(t, server.Process.Pid)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := p.Detach(context.Background()); err != nil {
		t.Error(err)
	}
	var truth uint64
	for _, n := range want {
		truth += n
	}
	counted, lost := s.total(server.key), s.lost["ring/requests"]
	t.Logf("truth %d, counted %d, lost %d", truth, counted, lost)
	if lost == 0 || counted == 0 || counted+lost != truth {
		t.Errorf("counted %d + lost %d, truth %d", counted, lost, truth)
	}
	if c := s.cover[server.key]; c.Lost != lost || c.Exchanges != truth {
		t.Errorf("coverage %+v", c)
	}
}

// Switching one process off and on again leaves the other's counts exact, and
// joins in the middle of whatever happens.
func TestToggleUnderLoad(t *testing.T) { bothPaths(t, toggleUnderLoad) }

func toggleUnderLoad(t *testing.T) {
	a, addrA := start(t, "serve", "127.0.0.1:0")
	b, addrB := start(t, "serve", "127.0.0.1:0")
	p := attach(t, roomy, a.key, b.key)
	// The load lasts for as long as it takes to switch.
	var load sync.WaitGroup
	var enough atomic.Bool
	var did [2]atomic.Uint64
	truth := map[string]uint64{} // of b
	for i, addr := range []string{addrA, addrB} {
		conns := []*conn{dial(t, addr), dial(t, addr)}
		load.Go(func() {
			for !enough.Load() {
				for k, n := range storm("server ", 80, conns...) {
					did[i].Add(n)
					if i == 1 {
						truth[k] += n
					}
				}
			}
		})
	}
	for i := range 10 {
		time.Sleep(40 * time.Millisecond)
		on := i%2 == 1
		if err := p.Select(core.Selection{Set: map[core.ProcKey]bool{a.key: on}}); err != nil {
			t.Fatal(err)
		}
		if !on && i == 4 {
			time.Sleep(600 * time.Millisecond)
			p.settled()
			frozen, before := p.total(a.key), did[0].Load()
			time.Sleep(300 * time.Millisecond)
			wait(func() bool { return did[0].Load() > before+320 })
			p.settled()
			if n := p.total(a.key); n != frozen {
				t.Errorf("counts grew from %d to %d while off", frozen, n)
			}
		}
	}
	last := did[0].Load() // it is on now
	wait(func() bool { return did[0].Load() > last+320 })
	enough.Store(true)
	load.Wait()
	p.expect(t, "b", b.key, truth)
	if n, all := p.total(a.key), did[0].Load(); n == 0 || n >= all {
		t.Errorf("a counted %d of %d", n, all)
	}
	for k := range p.of(a.key) {
		if _, ok := truth[k]; !ok {
			t.Errorf("a counted %q, which nobody sent", k)
		}
	}
	t.Logf("a %d of %d, %+v", p.total(a.key), did[0].Load(), p.covered(a.key))
}

// What Attach made is gone after Detach.
func TestDetachLeavesNothing(t *testing.T) { bothPaths(t, detachLeavesNothing) }

func detachLeavesNothing(t *testing.T) {
	server, addr := start(t, "serve", "127.0.0.1:0")
	p := attach(t, 0, server.key)
	p.stop()
	before := descriptors(t)
	for range 3 {
		p := attach(t, 0, server.key)
		dial(t, addr).do("GET", "/users/1", "", "")
		gone := kernelObjects(t, p.side)
		p.stop()
		if wait(gone); !gone() {
			t.Fatal("programs or maps are left in the kernel")
		}
		if err := p.Detach(t.Context()); err != nil {
			t.Errorf("second detach: %v", err)
		}
	}
	few := func() bool { return descriptors(t) <= before+3 } // the three connections
	if wait(few); !few() {
		t.Errorf("%d descriptors, before %d", descriptors(t), before)
	}
}

// kernelObjects returns a function that tells whether all that s holds is gone.
func kernelObjects(t *testing.T, s *side) (gone func() bool) {
	t.Helper()
	var programs []ebpf.ProgramID
	held := []*ebpf.Program{s.sweep, s.findSockets}
	for _, h := range s.hooks {
		held = append(held, h.prog)
	}
	for _, p := range held {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		programs = append(programs, id)
	}
	var maps []ebpf.MapID
	for _, m := range []*ebpf.Map{s.conns, s.ring, s.exceptions, s.tuned, s.places, s.datagrams, s.troubles} {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		maps = append(maps, id)
	}
	return func() bool {
		for _, id := range programs {
			if p, err := ebpf.NewProgramFromID(id); err == nil {
				p.Close()
				return false
			}
		}
		for _, id := range maps {
			if m, err := ebpf.NewMapFromID(id); err == nil {
				m.Close()
				return false
			}
		}
		return true
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
