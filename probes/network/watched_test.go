package network

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// TestMain also plays the processes that the tests watch.
func TestMain(m *testing.M) {
	addr := os.Getenv("NETWORK_PLAY")
	if addr == "" {
		os.Exit(m.Run())
	}
	// One short connection: 1,000 bytes there, the rest back, and gone.
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		os.Exit(1)
	}
	if _, err := conn.Write(make([]byte, 1000)); err != nil {
		os.Exit(2)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		os.Exit(3)
	}
	conn.Close()
}

// watched is a running probe with what it said.
type watched struct {
	t    *testing.T
	sink *kerntest.Sink
	unit *unit
	stop func()
}

func watch(t *testing.T, every time.Duration, rows uint32) *watched {
	t.Helper()
	kerntest.NeedRoot(t)
	sink := &kerntest.Sink{}
	env := kern.Env{Sink: sink, Log: slog.New(slog.DiscardHandler), Meter: kern.NewMeter()}
	u, stop := kerntest.Run(t, spec(env, settings{pace: kern.Pace{Every: every, Share: 1}, rows: rows}))
	w := &watched{t: t, sink: sink, unit: u.(*unit), stop: stop}
	w.choose(core.Selection{Default: true})
	return w
}

func (w *watched) choose(s core.Selection) {
	w.t.Helper()
	if err := w.unit.Select(s); err != nil {
		w.t.Fatal(err)
	}
}

// total adds up the increments of a counter.
func (w *watched) total(pid int, d *core.Desc, label string) uint64 {
	w.sink.Lock()
	defer w.sink.Unlock()
	var sum float64
	for _, s := range w.sink.SamplesSeen {
		if int(s.Proc.PID) == pid && s.Desc == d && s.Label == label {
			sum += s.Value
		}
	}
	return uint64(sum)
}

// level is the last value of a gauge; ok is false when it was never told.
func (w *watched) level(pid int, d *core.Desc, label string) (v float64, ok bool) {
	w.sink.Lock()
	defer w.sink.Unlock()
	for _, s := range w.sink.SamplesSeen {
		if int(s.Proc.PID) == pid && s.Desc == d && s.Label == label {
			v, ok = s.Value, true
		}
	}
	return v, ok
}

// looked waits until a look has begun after the call and was told.
func (w *watched) looked() {
	w.t.Helper()
	look := func() (n uint32) {
		if err := w.unit.objects.Look.Get(&n); err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	enough := look() + 2
	w.until("a look", func() bool { return look() >= enough })
}

func (w *watched) until(what string, ok func() bool) { w.t.Helper(); kerntest.Until(w.t, what, ok) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pair is a connection with both ends.
func pair(t *testing.T, l net.Listener) (client, server *net.TCPConn) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// closed waits until every connection to l that somebody has closed is over: the
// kernel ends them behind its own back.
func closed(t *testing.T, l net.Listener) {
	t.Helper()
	port := fmt.Sprintf(":%04X", l.Addr().(*net.TCPAddr).Port)
	kerntest.Until(t, "connections are over", func() bool {
		table, err := os.ReadFile("/proc/self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			const established, timeWait, listen = "01", "06", "0A"
			f := strings.Fields(line)
			ours := strings.HasSuffix(f[1], port) || strings.HasSuffix(f[2], port)
			if ours && f[3] != established && f[3] != timeWait && f[3] != listen {
				return false
			}
		}
		return true
	})
}

// move sends n bytes and takes them at the other end.
func move(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { _, err := from.Write(make([]byte, n)); sent <- err }()
	if _, err := io.CopyN(io.Discard, to, int64(n)); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
