package main

import (
	"bufio"
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

// patience is how long a machine that stalls may keep a test waiting for what
// comes at once as a rule, and long how long a program may have to end by itself.
const (
	patience = 2 * time.Minute
	long     = 5 * time.Minute
)

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

// proc is a program under test or beside it. Its output is kept in files: nothing
// of it depends on when the test comes to read it.
type proc struct {
	*exec.Cmd
	t         *testing.T
	stdin     io.WriteCloser
	out, errs string
	exited    chan struct{}
	err       error
}

// start runs a program until the test ends; env entries are added.
func start(t *testing.T, env []string, name string, args ...string) *proc {
	t.Helper()
	p := &proc{Cmd: exec.Command(name, args...), t: t, exited: make(chan struct{})}
	p.Env = append(append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir()), env...)
	output := t.TempDir()
	p.out, p.errs = filepath.Join(output, "out"), filepath.Join(output, "err")
	for file, to := range map[string]*io.Writer{p.out: &p.Stdout, p.errs: &p.Stderr} {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		*to = f
	}
	p.stdin, _ = p.StdinPipe()
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

func (p *proc) stdout() string { return text(p.t, p.out) }
func (p *proc) stderr() string { return text(p.t, p.errs) }

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

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
	case <-time.After(patience):
		p.Process.Kill()
		<-p.exited
		p.t.Errorf("%s did not end within %v of %v\n%s", p.Path, patience, sig, p.stderr())
	}
}

// wait returns when the program has ended by itself.
func (p *proc) wait() {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(long):
		p.t.Fatalf("%s still runs after %v\nstdout: %s\nstderr: %s", p.Path, long, tail(p.stdout()), tail(p.stderr()))
	}
}

// until polls a condition, which is to be all that the test relies on; what says
// what was waited for, and seen, if given, what was there instead.
func until(t *testing.T, what string, ok func() bool, seen ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, s := range seen {
				what += "\n" + s()
			}
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// soon does something, a few times, until it took no longer than it may: a machine
// that is busy with other things is late once or twice, a program that is slow always.
func soon(t *testing.T, limit time.Duration, what string, do func() (took time.Duration)) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		if took = append(took, do()); slices.Min(took) <= limit {
			return
		}
	}
	t.Errorf("%s: took %v, may take %v", what, took, limit)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// ports are those that were given away. They lie below those that the kernel
// gives to connections: nothing takes one before its server does.
var ports struct {
	sync.Mutex
	next int
}

func freePort(t *testing.T) int {
	t.Helper()
	const first, last = 21000, 24999
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = first + os.Getpid()%(last-first)
	}
	for range last - first {
		if ports.next++; ports.next > last {
			ports.next = first
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports.next)); err == nil {
			l.Close()
			return ports.next
		}
	}
	t.Fatal("no port is free")
	return 0
}

// truthServer is a running `truth serve`.
type truthServer struct {
	*proc
	addr, control string
}

// truthReport is what truth says of itself; counts by "METHOD route status", and
// sorted durations by route.
type truthReport struct {
	Counts    map[string]uint64    `json:"counts"`
	Durations map[string][]float64 `json:"durations"`
	Total     uint64               `json:"total"`
	Seconds   float64              `json:"seconds"`
}

func startTruth(t *testing.T, addr string, env ...string) *truthServer {
	t.Helper()
	args := []string{binary(t, "truth"), "serve", "-addr", addr}
	if slices.Contains(env, "TIMED=1") {
		args = append(promptly(t, args...), "-timed")
	}
	s := &truthServer{proc: start(t, env, args[0], args[1:]...)}
	until(t, "truth serves", func() bool { return strings.Contains(s.stdout(), "\n") })
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

// promptly makes a command one that does not wait for other programs: what takes
// times is to take them at once.
func promptly(t *testing.T, command ...string) []string {
	return append([]string{need(t, "nice"), "-n", "-15"}, command...)
}

// startLoad opens the old connections of a load and waits until they are up.
func startLoad(t *testing.T, args ...string) *proc {
	t.Helper()
	args = append([]string{binary(t, "truth"), "load"}, args...)
	if slices.Contains(args, "-delays") {
		args = promptly(t, args...)
	}
	p := start(t, nil, args[0], args[1:]...)
	until(t, "load is ready", func() bool {
		return strings.Contains(p.stdout(), "ready")
	})
	return p
}

// finish lets a load go and returns what it sent.
func (p *proc) finish() truthReport {
	p.t.Helper()
	p.tell("go")
	return p.sent()
}

// tell has a load begin, with "go", or end, with "stop".
func (p *proc) tell(what string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, what+"\n"); err != nil {
		p.t.Fatalf("load: %v\n%s", err, p.stderr())
	}
}

// sent is what a load has sent when it ends.
func (p *proc) sent() truthReport {
	p.t.Helper()
	p.wait()
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
	until(t, "nginx has its workers", func() bool { return len(children(t, p)) == workers }, p.stderr)
	return p
}

func waitPort(t *testing.T, port int) {
	t.Helper()
	until(t, fmt.Sprintf("port %d answers", port), func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// children lists the pids of those that a program started.
func children(t *testing.T, p *proc) (pids []int) {
	t.Helper()
	out, _ := exec.Command(need(t, "ps"), "-o", "pid=", "--ppid", strconv.Itoa(p.Process.Pid)).Output() // fails when there are none
	for _, f := range strings.Fields(string(out)) {
		pid, _ := strconv.Atoi(f)
		pids = append(pids, pid)
	}
	return pids
}
