package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These benchmarks print the whole-program figures of docs/performance.md. They
// need root and judge nothing: a stopwatch in a test lies on a busy machine.
//
//	make bench-program

// screen is the program under a pseudo terminal of 120x36.
type screen struct {
	*exec.Cmd
	master *os.File
	mu     sync.Mutex
	out    bytes.Buffer
	bytes  int
}

func onScreen(b *testing.B, name string, args ...string) *screen {
	b.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		b.Fatal(err)
	}
	unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 36, Col: 120})
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer slave.Close()
	s := &screen{Cmd: exec.Command(name, args...), master: master}
	s.Stdin, s.Stdout, s.Stderr = slave, slave, slave
	s.Env = append(os.Environ(), "TERM=xterm-256color", "XDG_CONFIG_HOME="+b.TempDir(), "XDG_STATE_HOME="+b.TempDir())
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.bytes += n
			s.out.Write(buf[:n])
			if s.out.Len() > 1<<20 {
				s.out.Next(s.out.Len() - 1<<19)
			}
			s.mu.Unlock()
		}
	}()
	b.Cleanup(s.quit)
	return s
}

func (s *screen) quit() {
	s.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { s.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		s.Process.Kill()
	}
	s.master.Close()
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// shows waits until the bytes written so far match, escapes removed.
func (s *screen) shows(b *testing.B, pattern string, limit time.Duration) {
	b.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		s.mu.Lock()
		ok := re.Match(escapes.ReplaceAll(s.out.Bytes(), nil))
		s.mu.Unlock()
		if ok {
			return
		}
	}
	b.Fatalf("never showed %q", pattern)
}

func (s *screen) forget() { s.mu.Lock(); s.out.Reset(); s.mu.Unlock() }

func benchBinary(b *testing.B, name, pkg string) string {
	b.Helper()
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	out := filepath.Join(b.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, msg)
	}
	if info, err := os.Stat(out); err == nil && name == "vitals" {
		b.Logf("stripped binary %.1f MB", float64(info.Size())/1e6)
	}
	return out
}

// BenchmarkFirstFrame is the time from start to a frame with real processes in it.
func BenchmarkFirstFrame(b *testing.B) {
	vitals := benchBinary(b, "vitals", ".")
	var took []float64
	for range 7 {
		start := time.Now()
		s := onScreen(b, vitals)
		s.shows(b, `[1-9]\d* processes`, 5*time.Second)
		took = append(took, time.Since(start).Seconds()*1e3)
		s.quit()
	}
	reportSpread(b, took, "ms")
}

// BenchmarkExecToScreen is the time from starting a program to its name on screen.
func BenchmarkExecToScreen(b *testing.B) {
	vitals := benchBinary(b, "vitals", ".")
	s := onScreen(b, vitals)
	s.shows(b, "Overview", 5*time.Second)
	time.Sleep(time.Second)
	s.master.WriteString("2")
	time.Sleep(200 * time.Millisecond)
	s.master.WriteString("/name:zz\r")
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		b.Fatal(err)
	}
	var took []float64
	for i := range 9 {
		time.Sleep(1100 * time.Millisecond)
		name := filepath.Join(b.TempDir(), fmt.Sprintf("zz%dnew", i))
		os.WriteFile(name, sleep, 0o755)
		s.forget()
		start := time.Now()
		cmd := exec.Command(name, "30")
		cmd.Start()
		s.shows(b, fmt.Sprintf("zz%dnew", i), 5*time.Second)
		took = append(took, time.Since(start).Seconds()*1e3)
		cmd.Process.Kill()
		cmd.Wait()
	}
	reportSpread(b, took, "ms")
}

// BenchmarkIdle is what the program costs with 2,000 idle processes, with the
// dashboard at 1 Hz and headless.
func BenchmarkIdle(b *testing.B) {
	vitals := benchBinary(b, "vitals", ".")
	var idle []*exec.Cmd
	for range 2000 {
		c := exec.Command("/bin/sleep", "3600")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		idle = append(idle, c)
	}
	b.Cleanup(func() {
		for _, c := range idle {
			c.Process.Kill()
			c.Wait()
		}
	})
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"dashboard", nil},
		{"headless", []string{"--push", "http://127.0.0.1:1", "--interval", "15s"}},
	} {
		b.Run(mode.name, func(b *testing.B) {
			s := onScreen(b, vitals, mode.args...)
			time.Sleep(20 * time.Second)
			s.mu.Lock()
			wrote := s.bytes
			s.mu.Unlock()
			before := cpuSeconds(b, s.Process.Pid)
			const d = 30 * time.Second
			time.Sleep(d)
			b.ReportMetric((cpuSeconds(b, s.Process.Pid)-before)*float64(time.Minute)/float64(d), "cpu-s/min")
			s.mu.Lock()
			b.ReportMetric(float64(s.bytes-wrote)/1024*float64(time.Minute)/float64(d), "KiB/min")
			s.mu.Unlock()
			b.ReportMetric(rss(b, s.Process.Pid), "MiB-rss")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func reportSpread(b *testing.B, v []float64, unit string) {
	sort.Float64s(v)
	b.ReportMetric(v[len(v)/2], unit)
	b.ReportMetric(0, "ns/op")
	b.Logf("%s: median %.2f, min %.2f, max %.2f, n %d", unit, v[len(v)/2], v[0], v[len(v)-1], len(v))
}

func schedstat(b *testing.B, pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	n, _ := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	return n
}

// cpuSeconds adds up all threads, in nanoseconds' precision.
func cpuSeconds(b *testing.B, pid int) float64 {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var total float64
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		n, _ := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
		total += n / 1e9
	}
	if total == 0 {
		b.Fatalf("process %d is gone", pid)
	}
	return total
}

func rss(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	n, _ := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	return n * float64(os.Getpagesize()) / (1 << 20)
}
