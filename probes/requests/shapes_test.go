package requests

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"vitals/core"
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
		settle()
		same(t, "early", p.of(server.key), map[string]uint64{"server POST /early 413": 1})
	})
}

// The client goes away before the answer.
func TestCancelled(t *testing.T) { bothPaths(t, cancelled) }

func cancelled(t *testing.T) {
	server, addr := start(t, "serve", "127.0.0.1:0")
	p := attach(t, 0, server.key)
	for _, reset := range []bool{false, true} {
		c := dial(t, addr)
		c.send("GET /sleep/300ms HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(50 * time.Millisecond)
		if reset {
			c.Conn.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
	time.Sleep(400 * time.Millisecond)
	settle()
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
		began := time.Now()
		c.send("GET /sleep/900ms HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(600 * time.Millisecond)
		p.sink.mu.Lock()
		flight := append([]core.InFlight(nil), p.inFlight...)
		p.sink.mu.Unlock()
		if len(flight) != 1 || flight[0].Proc != server.key || flight[0].Count != 1 || flight[0].Role != core.RoleServer {
			t.Errorf("in flight %+v", flight)
		}
		c.answer("GET")
		took := time.Since(began)
		settle()
		p.sink.mu.Lock()
		defer p.sink.mu.Unlock()
		if len(p.inFlight) != 0 {
			t.Errorf("still in flight %+v", p.inFlight)
		}
		for _, r := range p.seen {
			if strings.HasPrefix(r.Route, "/sleep") && (r.Duration > took || r.Duration < 895*time.Millisecond || r.FirstByte > r.Duration) {
				t.Errorf("duration %v, first byte %v, client saw %v", r.Duration, r.FirstByte, took)
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
	done := make(chan map[string]uint64, 2)
	for _, addr := range []string{addrA, addrB} {
		conns := []*conn{dial(t, addr), dial(t, addr)}
		go func() { done <- storm("server ", 8000, conns...) }()
	}
	var frozen uint64
	for i := range 10 {
		time.Sleep(40 * time.Millisecond)
		on := i%2 == 1
		if err := p.Select(core.Selection{Set: map[core.ProcKey]bool{a.key: on}}); err != nil {
			t.Fatal(err)
		}
		if !on && i == 4 {
			time.Sleep(600 * time.Millisecond)
			frozen = p.total(a.key)
			time.Sleep(300 * time.Millisecond)
			if n := p.total(a.key); n != frozen {
				t.Errorf("counts grew from %d to %d while off", frozen, n)
			}
		}
	}
	truth := <-done
	<-done
	settle()
	same(t, "b", p.of(b.key), truth)
	if n := p.total(a.key); n == 0 || n >= 16000 {
		t.Errorf("a counted %d", n)
	}
	for k := range p.of(a.key) {
		if _, ok := truth[k]; !ok {
			t.Errorf("a counted %q, which nobody sent", k)
		}
	}
	t.Logf("a %d of 16000, %+v", p.total(a.key), p.covered(a.key))
}

// startNginx serves 1 KiB at the URL it returns.
func startNginx(t testing.TB, count int) (workers []core.ProcKey, url string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Repeat("x", 1024)), 0o644)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	os.WriteFile(conf, fmt.Appendf(nil, `daemon off; worker_processes %[3]d; pid %[1]s/pid; error_log %[1]s/err;
events { worker_connections 256; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
server { listen 127.0.0.1:%[2]d reuseport; root %[1]s; } }`, dir, port, count), 0o644)
	nginx := exec.Command("nginx", "-p", dir, "-c", conf)
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nginx.Process.Signal(os.Interrupt)
		nginx.Wait()
	})
	time.Sleep(300 * time.Millisecond)
	master := keyOf(t, nginx.Process.Pid)
	out, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", master.PID))
	for _, w := range strings.Fields(string(out)) {
		var pid int
		fmt.Sscan(w, &pid)
		workers = append(workers, keyOf(t, pid))
	}
	if len(workers) != count {
		t.Fatalf("%d workers", len(workers))
	}
	return workers, fmt.Sprintf("http://127.0.0.1:%d/page.html", port)
}

func TestNginxUnderApacheBench(t *testing.T) { bothPaths(t, nginxUnderApacheBench) }

func nginxUnderApacheBench(t *testing.T) {
	workers, url := startNginx(t, 2)
	p := attach(t, roomy, workers...)
	for _, args := range [][]string{{"-k", "-n", "50000"}, {"-n", "5000"}} {
		before := p.total(workers[0]) + p.total(workers[1])
		out, err := exec.Command("ab", append(args, "-q", "-c", "16", url)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		settle()
		var want uint64
		fmt.Sscan(args[len(args)-1], &want)
		if n := p.total(workers[0]) + p.total(workers[1]) - before; n != want {
			t.Errorf("ab %v: counted %d, want %d", args, n, want)
		}
	}
	got := map[string]uint64{}
	for _, w := range workers {
		for k, v := range p.of(w) {
			got[k] += v
		}
	}
	same(t, "nginx", got, map[string]uint64{"server GET /page.html 200": 55000})
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
		for deadline := time.Now().Add(10 * time.Second); !gone(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("programs or maps are left in the kernel")
			}
		}
		if err := p.Detach(t.Context()); err != nil {
			t.Errorf("second detach: %v", err)
		}
	}
	if after := descriptors(t); after > before+3 { // the three connections
		t.Errorf("%d descriptors, before %d", after, before)
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
