package wiretest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"vitals/core/wire"
)

// FreePort gives a port of the loopback that nobody listens on at this moment.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Program gives the path of a program that the tests need (.ci/needs installs
// it). Without root the test is skipped when it is not there.
func Program(t testing.TB, name string, more ...string) string {
	t.Helper()
	for _, p := range append([]string{name}, more...) {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	if os.Getuid() != 0 {
		t.Skipf("%s is not installed", name)
	}
	t.Fatalf("%s is not installed: .ci/needs does it", name)
	return ""
}

// Serve runs a server until the end of the test and waits until it takes
// connections at addr.
func Serve(t testing.TB, network, addr string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var mu sync.Mutex
	var said bytes.Buffer
	cmd.Stdout = writer(func(b []byte) { mu.Lock(); said.Write(b); mu.Unlock() })
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial(network, addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			deadline = time.Time{}
		default:
		}
	}
	mu.Lock()
	defer mu.Unlock()
	t.Fatalf("%s does not listen at %s: %s", name, addr, said.Bytes())
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// Run runs a client to its end and gives what it said.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// Itoa is strconv.Itoa, for arguments.
func Itoa(n int) string { return strconv.Itoa(n) }

// Save writes recordings into the folder testdata when the environment says
// VITALS_RECORD=1. They are named after name, and numbered.
func Save(t testing.TB, name string, recs ...Recording) {
	t.Helper()
	if os.Getenv("VITALS_RECORD") != "1" {
		return
	}
	for i, rec := range recs {
		path := filepath.Join("testdata", name+".rec")
		if i > 0 {
			path = filepath.Join("testdata", name+"-"+strconv.Itoa(i+1)+".rec")
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(rec.Text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Count gives how many exchanges there are of each method, without streams.
func Count(all []wire.Exchange) map[string]int {
	n := make(map[string]int)
	for i := range all {
		if !all[i].Stream {
			n[all[i].Method]++
		}
	}
	return n
}
