package ui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/vt"

	"vitals/core"
)

// screen is a terminal emulator behind the real renderer.
type screen struct {
	mu  sync.Mutex
	emu *vt.Emulator
	raw bytes.Buffer
}

func newScreen(w, h int) *screen {
	s := &screen{emu: vt.NewEmulator(w, h)}
	// Answers to queries; unread, the emulator would block. Its Close races with
	// its Read, so the reader stays until the tests end.
	go io.Copy(io.Discard, s.emu)
	return s
}

// Write takes what the renderer writes. Without a terminal it relies on the
// line discipline to return the carriage.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(b)
	s.emu.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), nil
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emu.String()
}

func (s *screen) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// patience is how long a machine that stalls may keep a test waiting.
const patience = 30 * time.Second

type session struct {
	t      *testing.T
	screen *screen
	in     *io.PipeWriter
	fake   *fake
	done   chan error
	cancel context.CancelCauseFunc
}

func begin(t *testing.T, s *core.Snapshot, w, h int, opts ...func(*Config)) *session {
	t.Helper()
	r, in := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	x := &session{t, newScreen(w, h), in, newFake(s), make(chan error, 1), cancel}
	cfg := Config{Source: x.fake, Control: x.fake, In: r, Out: x.screen, Width: w, Height: h, Color: "truecolor",
		Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"}}
	for _, o := range opts {
		o(&cfg)
	}
	go func() { x.done <- Run(ctx, cfg) }()
	t.Cleanup(func() { cancel(nil); in.Close() })
	return x
}

func (x *session) waitFor(text string) {
	x.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(x.screen.text(), text) {
			return
		}
	}
	x.t.Fatalf("the terminal never showed %q:\n%s", text, x.screen.text())
}

func (x *session) keys(s string) {
	x.t.Helper()
	if _, err := x.in.Write([]byte(s)); err != nil {
		x.t.Fatal(err)
	}
}

func (x *session) end() error {
	x.t.Helper()
	select {
	case err := <-x.done:
		return err
	case <-time.After(patience):
		x.t.Fatal("the dashboard does not end")
		return nil
	}
}

// The whole way: bytes of keys in, cells of a terminal out.
func TestRealTerminal(t *testing.T) {
	before := runtime.NumGoroutine()
	x := begin(t, sample(), 120, 36)
	x.waitFor("[1 Overview]")
	x.keys("2")
	x.waitFor("[2 Processes]")
	x.keys("/pid:2871\r")
	x.waitFor("1 of 13")
	x.keys(" ")
	x.waitFor("checkout-api/2871 off")
	x.keys("\r")
	x.waitFor("[Summary]")
	x.keys("l")
	x.waitFor("/users/{id}")
	x.fake.publish(sampleSeq(2))
	x.keys("q")
	x.waitFor("[2 Processes]")
	x.keys("q")
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	raw := x.screen.written()
	for what, seq := range map[string]string{"alternate screen": "\x1b[?1049l", "mouse": "\x1b[?1002l", "cursor": "\x1b[?25h"} {
		if !strings.Contains(raw, seq) {
			t.Errorf("%s is not given back: no %q", what, seq)
		}
	}
	if len(x.fake.intents()) != 2 {
		t.Errorf("intents %v", x.fake.intents())
	}
	x.in.Close()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before+3 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+3 { // the emulator's reader and the pipe's ends are the test's
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

// The goal is 150 ms. On a machine that does other things, too, one of a few
// starts is as quick as a second.
func TestFirstFrameComesAtOnce(t *testing.T) {
	var took []time.Duration
	for range 10 {
		start := time.Now()
		x := begin(t, &core.Snapshot{Seq: 1, Host: core.Host{Name: "web-01"}}, 120, 36)
		x.waitFor("looking at the processes")
		took = append(took, time.Since(start))
		x.fake.publish(sampleSeq(2))
		x.waitFor("checkout-api")
		x.keys("q")
		if err := x.end(); err != nil {
			t.Fatal(err)
		}
		if slices.Min(took) <= time.Second {
			return
		}
	}
	t.Errorf("the first frames took %v", took)
}

// What fails elsewhere ends the dashboard first, so that its message is seen on
// a terminal that is whole.
func TestCauseEndsTheDashboard(t *testing.T) {
	x := begin(t, sample(), 80, 24)
	x.waitFor("[1 Overview]")
	boom := errors.New("engine: panic: boom")
	x.cancel(boom)
	if err := x.end(); !errors.Is(err, boom) {
		t.Errorf("Run returns %v, want %v", err, boom)
	}
	if !strings.Contains(x.screen.written(), "\x1b[?1049l") {
		t.Error("the terminal is left in the alternate screen")
	}
	y := begin(t, sample(), 80, 24)
	y.waitFor("[1 Overview]")
	y.cancel(nil)
	if err := y.end(); err != nil {
		t.Errorf("a cancelled dashboard returns %v", err)
	}
}

// A panic while drawing gives the terminal back.
func TestPanicRestoresTheTerminal(t *testing.T) {
	devnull, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer devnull.Close()
	stderr, stdout := os.Stderr, os.Stdout
	null, _ := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	os.Stderr, os.Stdout = null, null // Bubble Tea prints the stack
	defer func() { os.Stderr, os.Stdout = stderr, stdout; null.Close() }()
	x := begin(t, sample(), 80, 24)
	x.waitFor("[1 Overview]")
	bad := sampleSeq(2)
	bad.Services[0] = nil
	x.fake.publish(bad)
	if err := x.end(); err == nil {
		t.Error("a panic returns no error")
	}
	if !strings.Contains(x.screen.written(), "\x1b[?1049l") {
		t.Error("the terminal is left in the alternate screen")
	}
}

// NO_COLOR with any value: not one colour is written.
func TestNoColor(t *testing.T) {
	x := begin(t, sample(), 80, 24, func(c *Config) { c.Color = "auto"; c.Env = append(c.Env, "NO_COLOR=yes", "COLORTERM=truecolor") })
	x.waitFor("checkout-api")
	x.keys("2")
	x.waitFor("[2 Processes]")
	x.keys("qq")
	x.end()
	for _, seq := range []string{"38;2;", "48;2;", "38;5;", "48;5;", ";31m", "[31m", "[32m"} {
		if strings.Contains(x.screen.written(), seq) {
			t.Errorf("%q is written under NO_COLOR", seq)
		}
	}
}

// A name that carries orders for the terminal stays a name.
func TestHostileNamesReachNoTerminal(t *testing.T) {
	s := sample()
	evil := *s.Processes[12].Process
	evil.Comm, evil.Service = "\x1b]0;owned\a\x1b[2J\x1b[31m", "\x1b[2Jsvc\x9b31m"
	s.Processes[12].Process = &evil
	s.Services = append(s.Services, &core.ServiceRow{Name: "\x1b]52;c;ZXZpbA==\a", Message: "\x1b[8m", Health: core.HealthDegraded, PIDs: []int32{1}})
	x := begin(t, s, 120, 36)
	x.waitFor("]52;c;")
	x.keys("2/pid:3377\r\r")
	x.waitFor("[Summary]")
	x.keys("\x03")
	x.end()
	for _, seq := range []string{"\x1b]52;c;ZX", "owned\a", "\x1b[31m", "\x1b[8m"} {
		if strings.Contains(x.screen.written(), seq) {
			t.Errorf("%q reached the terminal", seq)
		}
	}
}

// What the text of a frame costs on the wire: a second of change, not a screen.
func TestFewBytesForEachLook(t *testing.T) {
	x := begin(t, sample(), 120, 36)
	x.waitFor("checkout-api")
	x.keys("2")
	x.waitFor("[2 Processes]")
	before := len(x.screen.written())
	const looks = 5
	for seq := uint64(2); seq < 2+looks; seq++ {
		last := len(x.screen.written())
		x.fake.publish(sampleSeq(seq))
		for end := time.Now().Add(patience); len(x.screen.written()) == last; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("look %d was never drawn", seq)
			}
		}
		time.Sleep(50 * time.Millisecond) // and what belongs to it
	}
	if n := (len(x.screen.written()) - before) / looks; n > 8<<10 {
		t.Errorf("%d bytes for each look", n)
	}
}

func TestPlainText(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for name, c := range map[string]struct {
		env  []string
		in   io.Reader
		hint bool
		set  func(*Config)
	}{
		"a file":    {[]string{"TERM=xterm", "LANG=C.UTF-8"}, strings.NewReader(""), true, nil},
		"dumb":      {[]string{"TERM=dumb"}, strings.NewReader(""), true, nil},
		"--plain":   {[]string{"TERM=xterm"}, strings.NewReader(""), false, func(c *Config) { c.Plain = true }},
		"no intput": {[]string{"TERM=xterm"}, nil, true, nil},
	} {
		f, err := os.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		var hint bytes.Buffer
		src := newFake(sample())
		cfg := Config{Source: src, Control: src, In: c.in, Out: f, Err: &hint, Env: c.env}
		if c.set != nil {
			c.set(&cfg)
		}
		if err := Run(t.Context(), cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
		b, _ := os.ReadFile(out)
		text := string(b)
		for _, want := range []string{"13 processes, 7 instrumented", "service checkout-api: p99 456ms", "requests per second"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, text)
			}
		}
		clean(t, text)
		if got := strings.Contains(hint.String(), "vitals snapshot"); got != c.hint {
			t.Errorf("%s: hint %q", name, hint.String())
		}
	}
}

// Plain text goes on, a block at a time, until it is told to stop.
func TestPlainTextGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newFake(calm())
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second)
		defer cancel()
		err := Run(ctx, Config{Source: src, Control: src, Plain: true, In: strings.NewReader(""), Out: &out, Err: io.Discard, Env: []string{"TERM=xterm"}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ends with %v", err)
		}
		for _, part := range []string{"process 2871 checkout-api", "note: not root"} {
			if n := strings.Count(out.String(), part); n != 3 {
				t.Errorf("%q is there %d times after three blocks, one every five seconds:\n%s", part, n, out.String())
			}
		}
	})
}

func TestBadConfig(t *testing.T) {
	src := newFake(sample())
	for want, cfg := range map[string]Config{
		"no source":                    {},
		`color "purple": use auto, tr`: {Source: src, Control: src, Color: "purple"},
	} {
		if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
