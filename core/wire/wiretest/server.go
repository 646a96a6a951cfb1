package wiretest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
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

	"vitals/core/wire"
)

// patience is how long something may take on a machine that is busy or stands
// still for seconds. A wait ends as soon as it is fulfilled.
const patience = 30 * time.Second

// FreePort gives a port of the loopback that nobody uses at this moment. It lies
// below those that the kernel hands out, or a connection of somebody else could
// have it before the server that it is meant for.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 15_000 + rand.IntN(15_000)
		addr := "127.0.0.1:" + strconv.Itoa(port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		if u, err := net.ListenPacket("udp", addr); err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Unanswered marks a piece of Talk that has no answer.
const Unanswered = "(unanswered)"

// Talk sends each piece after the answer to the one before has come, which ends
// with a short silence, and gives all answers. It ends early when the server
// hangs up.
func Talk(t testing.TB, addr string, pieces ...string) string {
	t.Helper()
	const silence = 30 * time.Millisecond
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var said strings.Builder
	buf := make([]byte, 64<<10)
	for _, piece := range pieces {
		piece, unanswered := strings.CutPrefix(piece, Unanswered)
		if _, err := conn.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		for answered := unanswered; ; answered = true {
			wait := silence
			if !answered {
				wait = patience
			}
			_ = conn.SetReadDeadline(time.Now().Add(wait))
			n, err := conn.Read(buf)
			said.Write(buf[:n])
			if errors.Is(err, io.EOF) {
				return said.String()
			}
			if err != nil {
				if !answered {
					t.Fatalf("%.60q is not answered: %v", piece, err)
				}
				break
			}
		}
	}
	return said.String()
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
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
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

// AccessLog reads a log of "METHOD PATH STATUS" until it has so many lines, since a
// server writes them after its answers, and counts them by what they say. Only
// those of our paths: others come from whoever looks at the servers of this
// machine meanwhile.
func AccessLog(t testing.TB, path string, lines int, ours ...string) map[string]int {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all, n := make(map[string]int), 0
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 3 && slices.Contains(ours, f[1]) {
				all[strings.Replace(strings.TrimSpace(line), "/1234", "/{id}", 1)]++
				n++
			}
		}
		if n >= lines || time.Now().After(end) {
			return all
		}
	}
}
