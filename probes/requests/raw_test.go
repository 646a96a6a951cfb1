package requests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"vitals/core"
	"vitals/probes/kern"
)

// told is one record of the kernel, as it came.
type told struct {
	requestsExchange
	asked, said []byte
}

func (r told) String() string {
	kind := []string{"exchange", "chunk", "end", "stir", "head"}[r.Kind]
	return fmt.Sprintf("%s seq=%d role=%d flags=%d in=%d out=%d %q %q", kind, r.Seq, r.Role, r.Flags, r.In, r.Out, brief(r.asked), brief(r.said))
}

func brief(b []byte) []byte { return b[:min(len(b), 24)] }

// watcher is the probe without its user side: it keeps the records.
type watcher struct {
	*probe
	t  *testing.T
	mu sync.Mutex
	is []told
}

// watch attaches the programs, observing the given processes, and collects.
func watch(t *testing.T, who ...core.ProcKey) *watcher {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	w := &watcher{probe: &probe{}, t: t}
	w.env.Sink, w.env.Floor, w.env.RequestsRing = newSink(), onFloor(t), roomy
	if _, err := w.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.choose(who...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := w.ring.Read(20*time.Millisecond, 1000, w.take); err != nil {
				if !errors.Is(err, kern.ErrFlushed) {
					t.Error(err)
				}
				return
			}
		}
	}()
	t.Cleanup(func() {
		w.ring.Flush()
		<-done
		if err := w.Detach(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watcher) choose(who ...core.ProcKey) {
	w.t.Helper()
	if err := w.Select(selectionOf(who...)); err != nil {
		w.t.Fatal(err)
	}
}

func selectionOf(who ...core.ProcKey) core.Selection {
	set := map[core.ProcKey]bool{}
	for _, k := range who {
		set[k] = true
	}
	return core.Selection{Set: set}
}

func (w *watcher) take(raw []byte) {
	x, err := kern.View[requestsExchange](raw)
	if err != nil {
		w.t.Error(err)
		return
	}
	tail := raw[unsafe.Sizeof(*x):]
	r := told{requestsExchange: *x, said: bytes.Clone(tail[:x.ResponseLen]), asked: bytes.Clone(tail[x.Room:][:x.RequestLen])}
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.Kind != kindStir {
		w.is = append(w.is, r)
	}
}

// next waits for as many records and takes them.
func (w *watcher) next(n int) []told {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		if len(w.is) >= n {
			out := slices.Clone(w.is[:n])
			w.is = slices.Delete(w.is, 0, n)
			w.mu.Unlock()
			return out
		}
		got := slices.Clone(w.is)
		w.mu.Unlock()
		if time.Now().After(deadline) {
			w.t.Fatalf("%d records, want %d: %v", len(got), n, got)
		}
	}
}

// silent fails when there is another record.
func (w *watcher) silent() {
	w.t.Helper()
	time.Sleep(100 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.is) > 0 {
		w.t.Errorf("more records: %v", w.is)
	}
}

func (w *watcher) one() told {
	w.t.Helper()
	return w.next(1)[0]
}

func (w *watcher) steer() *steering {
	return &steering{side: w.side, lost: func(err error) { w.t.Error(err) }}
}

// script runs Python that does as it is told, line by line; before says what it
// does first, under a command such as unshare.
func script(t *testing.T, before string, under ...string) *child {
	t.Helper()
	const loop = `
print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    out = "ok"
    exec(line, globals())
    print(out, flush=True)
`
	args := append(slices.Clone(under), "/usr/bin/python3", "-c", "import sys, os, socket, struct, array, ctypes\n"+before+loop)
	c := &child{Cmd: exec.Command(args[0], args[1:]...), t: t}
	c.Stderr = os.Stderr
	c.in, _ = c.StdinPipe()
	out, _ := c.StdoutPipe()
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	if line, err := c.out.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("script: %q %v", line, err)
	}
	c.key = keyOf(t, c.Process.Pid)
	return c
}

// listening is a script that serves; do lines with s, the accepted socket.
func listening(t *testing.T) (server *child, addr string) {
	t.Helper()
	server = script(t, "l = socket.create_server(('127.0.0.1', 0))\n")
	return server, "127.0.0.1:" + server.ask("out = l.getsockname()[1]")
}

func connect(t *testing.T, server *child, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	server.ask("s, a = l.accept()")
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// expect compares what matters of a record.
func (w *watcher) expect(r told, kind int, seq uint32, flags uint16, asked, said string) {
	w.t.Helper()
	if int(r.Kind) != kind || r.Seq != seq || r.Flags != flags || string(r.asked) != asked || string(r.said) != said {
		w.t.Errorf("got %v\nwant kind=%d seq=%d flags=%d %q %q", r, kind, seq, flags, asked, said)
	}
}
