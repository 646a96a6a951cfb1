package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The end-to-end tests drive the real program against real servers, on free
// loopback ports, and end what they started by pid. They need root: run as
// root, a missing server is a failure, not a skip.

func needRoot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("end to end, not with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary returns the path of vitals or truth, both built once without the race
// detector: what is measured is the program that users run.
func binary(t *testing.T, name string) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "vitals-e2e"); built.err != nil {
			return
		}
		os.Chmod(built.dir, 0o755)
		for out, pkg := range map[string]string{"vitals": ".", "truth": "./testdata/truth"} {
			cmd := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=test", "-o", filepath.Join(built.dir, out), pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if msg, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("build %s: %w\n%s", pkg, err, msg)
				return
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed (make test installs it as root): %v", program, err)
	}
	return path
}

// proc is a program under test or beside it. Its output is kept.
type proc struct {
	*exec.Cmd
	t      *testing.T
	stdin  io.WriteCloser
	mu     sync.Mutex
	out    bytes.Buffer
	errs   bytes.Buffer
	exited chan struct{}
	err    error
}

// start runs a program until the test ends; env entries are added.
func start(t *testing.T, env []string, name string, args ...string) *proc {
	t.Helper()
	p := &proc{Cmd: exec.Command(name, args...), t: t, exited: make(chan struct{})}
	p.Env = append(append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir()), env...)
	p.Stdout, p.Stderr = &locked{p, &p.out}, &locked{p, &p.errs}
	p.stdin, _ = p.StdinPipe()
	p.WaitDelay = time.Second
	if err := p.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

type locked struct {
	p *proc
	b *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.b.Write(b)
}

func (p *proc) stdout() string { p.mu.Lock(); defer p.mu.Unlock(); return p.out.String() }
func (p *proc) stderr() string { p.mu.Lock(); defer p.mu.Unlock(); return p.errs.String() }

// end signals the program and waits for it.
func (p *proc) end(sig syscall.Signal) {
	select {
	case <-p.exited:
		return
	default:
	}
	p.Process.Signal(sig)
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
		p.Process.Kill()
		<-p.exited
		p.t.Errorf("%s did not end within 15 s of %v\n%s", p.Path, sig, p.stderr())
	}
}

// wait returns when the program has ended by itself.
func (p *proc) wait(limit time.Duration) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %v\nstdout: %s\nstderr: %s", p.Path, limit, tail(p.stdout()), tail(p.stderr()))
	}
}

// until polls a condition; what says what was waited for.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", limit, what)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// truthServer is a running `truth serve`.
type truthServer struct {
	*proc
	addr, control string
}

// truthReport is what truth says of itself; counts by "METHOD route status".
type truthReport struct {
	Counts    map[string]uint64             `json:"counts"`
	Quantiles map[string]map[string]float64 `json:"quantiles"`
	Total     uint64                        `json:"total"`
	Seconds   float64                       `json:"seconds"`
}

func startTruth(t *testing.T, addr string, env ...string) *truthServer {
	t.Helper()
	s := &truthServer{proc: start(t, env, binary(t, "truth"), "serve", "-addr", addr, fmt.Sprintf("-timed=%v", slices.Contains(env, "TIMED=1")))}
	until(t, 5*time.Second, "truth serves", func() bool { return strings.Contains(s.stdout(), "\n") })
	fmt.Sscan(s.stdout(), &s.addr, &s.control)
	return s
}

func (s *truthServer) report() truthReport {
	s.t.Helper()
	resp, err := http.Get("http://" + s.control)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var r truthReport
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// startLoad opens the old connections of a load and waits until they are up.
func startLoad(t *testing.T, args ...string) *proc {
	t.Helper()
	p := start(t, nil, binary(t, "truth"), append([]string{"load"}, args...)...)
	until(t, 10*time.Second, "load is ready", func() bool {
		return strings.Contains(p.stdout(), "ready")
	})
	return p
}

// finish lets a load go and returns what it sent.
func (p *proc) finish(limit time.Duration) truthReport {
	p.t.Helper()
	io.WriteString(p.stdin, "go\n")
	p.wait(limit)
	var r truthReport
	s := bufio.NewScanner(strings.NewReader(p.stdout()))
	for s.Scan() {
		json.Unmarshal(s.Bytes(), &r)
	}
	if p.err != nil || r.Total == 0 {
		p.t.Fatalf("load: %v\n%s", p.err, p.stderr())
	}
	return r
}

// startNginx runs nginx with the given server blocks and workers in front.
func startNginx(t *testing.T, workers int, http string) *proc {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	conf := fmt.Sprintf(`daemon off; pid %[1]s/nginx.pid; error_log %[1]s/error.log warn; worker_processes %[2]d; worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; tcp_nopush on; keepalive_timeout 60; keepalive_requests 10000000; default_type text/plain;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	%[3]s
}
`, dir, workers, http)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, need(t, "nginx"), "-c", file, "-p", dir)
	t.Cleanup(func() { p.end(syscall.SIGTERM) })
	return p
}

func waitPort(t *testing.T, port int) {
	t.Helper()
	until(t, 10*time.Second, fmt.Sprintf("port %d answers", port), func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// workers lists the pids of a server's children.
func workers(t *testing.T, p *proc) (pids []int) {
	t.Helper()
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(p.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(out)) {
		pid, _ := strconv.Atoi(f)
		pids = append(pids, pid)
	}
	return pids
}
