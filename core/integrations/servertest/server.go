// Package servertest starts real servers and exporters for the tests of
// integrations, on free loopback ports and in directories of their own, and ends
// them by their pids.
package servertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need finds a program. Without it a test is skipped for ordinary users, and
// fails for root, for whom .ci/needs installs it.
func Need(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/postgresql/15/bin", "/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path := filepath.Join(dir, program); isFile(path) {
			return path
		}
	}
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getuid() == 0:
		t.Fatalf("%s is not installed: run .ci/needs", program)
	default:
		t.Skipf("needs %s: run .ci/needs as root", program)
	}
	return ""
}

func isFile(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular()
}

// NeedRoot skips a test that must change users or read what others own.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// Port finds a free TCP port of the loopback, below those that the kernel gives
// to whoever connects or listens without naming one: between now and the start of
// a server, and while it is restarted, nobody gets it by chance.
func Port(t testing.TB) int {
	t.Helper()
	const lowest, highest = 10000, 32000
	var err error
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		var l net.Listener
		if l, err = net.Listen("tcp", Loopback(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatalf("no port of the loopback is free: %v", err)
	return 0
}

// Dir makes a directory for a server that runs as another user, "" for ours. It
// has a short path, for the sake of Unix sockets.
func Dir(t testing.TB, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if uid, gid, ok := identity(t, owner); ok {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Give makes a file that of another user, where tests run as root.
func Give(t testing.TB, owner, path string) {
	t.Helper()
	if uid, gid, ok := identity(t, owner); ok {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func identity(t testing.TB, name string) (uid, gid int, ok bool) {
	t.Helper()
	if name == "" || os.Getuid() != 0 {
		return 0, 0, false
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid, true
}

// Write writes a file that everybody may read and returns its path.
func Write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Server is a program that a test runs. Its life ends with the test.
type Server struct {
	t    testing.TB
	user string
	env  []string
	args []string
	log  string
	cmd  *exec.Cmd
	done chan struct{}

	killed bool
}

// Start runs a program in its own process group, as the given user ("" is ours).
func Start(t testing.TB, user string, args ...string) *Server {
	return StartEnv(t, user, nil, args...)
}

// StartEnv is Start with additions to the environment.
func StartEnv(t testing.TB, user string, env []string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, user: user, env: env, args: args, log: filepath.Join(t.TempDir(), filepath.Base(args[0])+".log")}
	s.run()
	t.Cleanup(s.Kill)
	return s
}

func (s *Server) run() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Dir = "/"
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if uid, gid, ok := identity(s.t, s.user); ok {
		s.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.killed = false
	done := make(chan struct{})
	s.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd)
}

// PID is that of the program.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the program and its descendants at once. What was killed before, and
// whose number may be somebody else's by now, is left alone.
func (s *Server) Kill() {
	s.t.Helper()
	if s.killed {
		return
	}
	s.killed = true
	below := descendants(s.PID())
	_ = syscall.Kill(-s.PID(), syscall.SIGKILL)
	<-s.done
	for _, pid := range below {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for end := time.Now().Add(patience); len(below) > 0; time.Sleep(2 * time.Millisecond) {
		below = slices.DeleteFunc(below, func(pid int) bool { return strings.Contains("-XZ", state(pid)) })
		if time.Now().After(end) {
			s.t.Errorf("%s was killed, and its processes %v are still there", s.args[0], below)
			return
		}
	}
}

// Restart starts the program again after Kill.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.run()
}

// Freeze stops the program and its descendants from running until Thaw. When it
// returns none of them answers any more.
func (s *Server) Freeze() {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		// Again, since one that was not stopped yet may have begun another.
		s.signal(syscall.SIGSTOP)
		all := append(descendants(s.PID()), s.PID())
		if !slices.ContainsFunc(all, func(pid int) bool { return !strings.Contains("-TXZ", state(pid)) }) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s does not stop", s.args[0])
		}
	}
}

// Thaw lets them run again.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// signal reaches descendants that made process groups of their own, too.
func (s *Server) signal(sig syscall.Signal) {
	_ = syscall.Kill(-s.PID(), sig)
	for _, pid := range descendants(s.PID()) {
		_ = syscall.Kill(pid, sig)
	}
}

// state is that of the busiest thread of a process, as ps shows it, "-" of one that
// is not there. A signal reaches the threads one after the other.
func state(pid int) string {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	found := "-"
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		words := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(words) > 0 && (found == "-" || strings.Contains("TXZ", found)) {
			found = words[0]
		}
	}
	return found
}

func descendants(of int) (all []int) {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		// The name, in parentheses, may hold anything; the parent comes two words after it.
		words := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(words) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(words[1])
		children[parent] = append(children[parent], pid)
	}
	for next := children[of]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// Log is what the program has printed.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.log)
	return string(b)
}

// Await waits for ready to return nil.
func (s *Server) Await(ready func() error) {
	s.t.Helper()
	for end := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-s.done:
			s.t.Fatalf("%s ended: %v\n%s", s.args[0], err, s.Log())
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v\n%s", s.args[0], err, s.Log())
		}
	}
}

// Listens waits until the program accepts connections.
func (s *Server) Listens(network, address string) *Server {
	s.t.Helper()
	s.Await(func() error {
		c, err := net.DialTimeout(network, address, patience)
		if err == nil {
			c.Close()
		}
		return err
	})
	return s
}

// patience is with what happens soon on a machine that is not busy. A test that
// passes does not wait for it to end.
const patience = 30 * time.Second

// Eventually waits for f to return nil.
func Eventually(t testing.TB, f func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(25 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %v", patience, err)
		}
	}
}

// Run runs a command to its end and returns what it printed.
func Run(t testing.TB, user string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	if uid, gid, ok := identity(t, user); ok {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Loopback is the address of a port of the loopback.
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Answer listens, and tells everybody who says something the same, then hangs
// up. It returns its address.
func Answer(t testing.TB, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				_, _ = c.Read(make([]byte, 4<<10))
				_, _ = c.Write([]byte(text))
			}()
		}
	}()
	return l.Addr().String()
}
