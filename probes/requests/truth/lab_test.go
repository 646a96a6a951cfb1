// Package truth compares what the requests probe counts with what real servers
// and their load tools count.
package truth

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
	"vitals/probes/requests"
)

// lab is the probe with a sink that adds up.
type lab struct {
	t      testing.TB
	asked  []int // pids of the servers that are asked here
	unit   core.Unit
	cancel context.CancelFunc
	done   chan error

	mu    sync.Mutex
	rows  map[row]uint64
	seen  []core.Request // the first of them
	cover core.Coverage
	why   map[core.ProcKey]string // the newest reason for what cannot be read
	lost  map[string]uint64

	flying []core.InFlight

	settling kern.Settling
}

// row is what makes requests equal.
type row struct {
	role                                     core.Role
	protocol, method, route, code, err, peer string
	status                                   int
	failed, stream, partial                  bool
}

// roomy is a ring in which nothing is lost on a busy machine.
const roomy = 32 << 20

// watch attaches the probe to processes and their children to come. What they were
// asked before is over.
func watch(t testing.TB, ring int, who ...core.ProcKey) *lab {
	t.Helper()
	return watchWith(t, kern.Env{RequestsRing: ring}, who...)
}

func watchWith(t testing.TB, env kern.Env, who ...core.ProcKey) *lab {
	t.Helper()
	l := &lab{t: t, done: make(chan error, 1), rows: map[row]uint64{}, lost: map[string]uint64{}, why: map[core.ProcKey]string{}}
	for _, k := range who {
		l.asked = append(l.asked, int(k.PID))
	}
	kerntest.CallsEnded(t, l.asked...)
	env.Sink, env.Settling = l, &l.settling
	unit, err := requests.Spec(env).Make()
	if err != nil {
		t.Fatal(err)
	}
	l.unit = unit
	if _, err := unit.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	ready := make(chan struct{})
	go func() { l.done <- unit.Serve(ctx, func() { close(ready) }) }()
	<-ready
	set := map[core.ProcKey]bool{}
	for _, k := range who {
		set[k] = true
	}
	// Without a choice everybody is watched: what tests start later, too.
	if err := unit.(core.Selective).Select(core.Selection{Set: set, Default: len(who) == 0}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.stop)
	return l
}

// stop takes the last records in and detaches.
func (l *lab) stop() {
	if l.cancel == nil {
		return
	}
	kerntest.CallsEnded(l.t, l.asked...)
	l.cancel()
	l.cancel = nil
	if err := <-l.done; err != nil {
		l.t.Error(err)
	}
	if err := l.unit.Detach(context.Background()); err != nil {
		l.t.Error(err)
	}
}

func (l *lab) Requests(list []core.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range list {
		r := &list[i]
		l.rows[row{r.Role, r.Protocol, r.Method, r.Route, r.Code, r.Error, r.Peer, r.Status, r.Failed, r.Stream, r.Partial}] += uint64(max(r.Count, 1))
	}
	if len(l.seen) < 300000 {
		l.seen = append(l.seen, list...)
	}
}
func (l *lab) Samples([]core.Sample) {}
func (l *lab) Usage([]core.Usage)    {}
func (l *lab) InFlight(list []core.InFlight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying = append(l.flying[:0], list...)
}
func (l *lab) Lost(stage, reason string, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[stage+"/"+reason] += n
}
func (l *lab) Coverage(list []core.Coverage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range list {
		l.cover.Add(&list[i])
		if list[i].Why != "" {
			l.why[list[i].Proc] = list[i].Why
		}
	}
}

// count sums the rows for which keep is true.
func (l *lab) count(keep func(row) bool) (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, c := range l.rows {
		if keep(key) {
			n += c
		}
	}
	return n
}

// forget begins to count anew.
func (l *lab) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.rows)
	l.seen, l.cover = nil, core.Coverage{}
}

// report tells everything when a test has failed.
func (l *lab) report() {
	if l.t.Failed() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.t.Logf("coverage %+v\nlost %v", l.cover, l.lost)
		for r, n := range l.rows {
			l.t.Logf("%d %+v", n, r)
		}
	}
}

// nothingLost fails the test when something was, which would explain the rest.
func (l *lab) nothingLost() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for what, n := range l.lost {
		l.t.Errorf("lost %d at %s", n, what)
	}
}

// server is a real one in a folder of its own.
type server struct {
	*exec.Cmd
	t    testing.TB
	dir  string
	host string
	port int
	key  core.ProcKey
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// room is a folder that a user owns and can reach.
func room(t testing.TB, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vitals-truth-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if owner == "" {
		return dir
	}
	u, err := user.Lookup(owner)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir
}

// as makes a command of another user.
func as(owner, dir, name string, args ...string) *exec.Cmd {
	if owner != "" {
		args = append([]string{"--reuid", owner, "--regid", owner, "--init-groups", name}, args...)
		name = "setpriv"
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8")
	return cmd
}

// start runs a server and waits until its port answers.
func start(t testing.TB, cmd *exec.Cmd, port int, host ...string) *server {
	t.Helper()
	return startTo(t, cmd, nil, port, host...)
}

// startTo does it with the server's output going elsewhere than to its log.
func startTo(t testing.TB, cmd *exec.Cmd, out *os.File, port int, host ...string) *server {
	t.Helper()
	s := &server{Cmd: cmd, t: t, dir: cmd.Dir, port: port, host: "127.0.0.1"}
	for _, h := range host {
		s.host = h
	}
	log, err := os.Create(filepath.Join(cmd.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if out != nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of %s:\n%s", cmd.Path, text[max(0, len(text)-2000):])
		}
	})
	answers := func() bool {
		c, err := net.Dial("tcp", s.addr())
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if !wait(answers) {
		t.Fatalf("%s does not listen on port %d", cmd.Path, port)
	}
	s.key = keyOf(t, cmd.Process.Pid)
	return s
}

func (s *server) addr() string { return fmt.Sprintf("%s:%d", s.host, s.port) }

func keyOf(t testing.TB, pid int) core.ProcKey {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	birth, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return core.ProcKey{PID: int32(pid), Birth: birth}
}

// run runs a command and gives its output.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// settle waits until the last exchanges have been swept, and then until all is told
// that the servers have answered: on a machine that stands still that may take longer.
func (l *lab) settle() {
	l.t.Helper()
	time.Sleep(900 * time.Millisecond)
	kerntest.CallsEnded(l.t, l.asked...)
	l.settling.Settle(l.t.Context())
}

// wait waits until something is so, for a minute at most, and says whether it is.
func wait(ok func() bool) bool {
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
