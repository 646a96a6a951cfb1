package usage

import (
	"bufio"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// TestMain also plays the process that the tests watch.
func TestMain(m *testing.M) {
	if os.Getenv("USAGE_PLAY") == "" {
		os.Exit(m.Run())
	}
	play()
}

// play burns time in threads that end and in threads that stay, holds files,
// reads and writes, and says when it is done.
func play() {
	burn := func(d time.Duration) {
		for end := threadCPU() + d; threadCPU() < end; {
			unix.Getppid()
		}
	}
	done := make(chan bool)
	for range 3 {
		go func() {
			runtime.LockOSThread() // ends with the goroutine, and the thread with it
			burn(60 * time.Millisecond)
			done <- true
		}()
	}
	for range 2 {
		go func() {
			runtime.LockOSThread()
			burn(60 * time.Millisecond)
			done <- true
			select {}
		}()
	}
	for range 5 {
		<-done
	}
	touched := make([]byte, 32<<20)
	for i := 0; i < len(touched); i += 4096 {
		touched[i] = 1
	}
	f, err := os.CreateTemp(os.Getenv("USAGE_PLAY"), "")
	if err != nil {
		os.Exit(1)
	}
	_, _ = f.Write(make([]byte, 1<<20))
	_ = f.Sync()
	for range 100 {
		if _, err := os.Open("/dev/null"); err != nil {
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
	runtime.KeepAlive(touched)
}

func threadCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

func start(t *testing.T, tick time.Duration) *kerntest.Sink {
	t.Helper()
	kerntest.NeedRoot(t)
	sink := &kerntest.Sink{}
	env := kern.Env{Sink: sink, Log: slog.New(slog.DiscardHandler), Tick: tick, Meter: kern.NewMeter()}
	kerntest.Run(t, Spec(env))
	return sink
}

// next waits for a look that begins after the call.
func next(t *testing.T, sink *kerntest.Sink) map[int32]core.Usage {
	t.Helper()
	sink.Lock()
	want := sink.Looks + 2
	sink.Unlock()
	kerntest.Until(t, "a new look", func() bool { sink.Lock(); defer sink.Unlock(); return sink.Looks >= want })
	sink.Lock()
	defer sink.Unlock()
	byPID := map[int32]core.Usage{}
	for _, u := range sink.UsageSeen {
		if _, twice := byPID[u.PID]; twice {
			t.Errorf("process %d is there twice", u.PID)
		}
		byPID[u.PID] = u
	}
	return byPID
}

func TestAgreesWithProc(t *testing.T) {
	sink := start(t, 20*time.Millisecond)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "USAGE_PLAY="+t.TempDir(), "GOGC=off")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("player said %q, %v", line, err)
	}
	// Stopped, nothing of it changes any more.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	kerntest.Until(t, "all threads stopped", func() bool { return allStopped(t, pid) })

	got, ok := next(t, sink)[int32(pid)]
	if !ok {
		t.Fatal("the process is not there")
	}
	// How its time divides depends on when that was looked at; who looks for the
	// first time now says what /proc does.
	now := next(t, start(t, 20*time.Millisecond))[int32(pid)]
	stat := statOf(t, pid)
	ticks := func(ns int64) float64 { return float64(ns) / 1e7 }
	for _, c := range []struct {
		name       string
		got, want  float64
		difference float64
	}{
		{"birth", float64(got.Birth), stat[22], 0},
		{"CPU of all threads in ticks", ticks(got.CPUUser + got.CPUSystem), stat[14] + stat[15], 2},
		{"user", ticks(now.CPUUser), stat[14], 2},
		{"system", ticks(now.CPUSystem), stat[15], 2},
		{"RSS", float64(got.RSS), stat[24] * float64(os.Getpagesize()), 0},
		{"VSize", float64(got.VSize), stat[23], 0},
		{"threads", float64(got.Threads), stat[20], 0},
		{"minor faults", float64(got.MinorFaults), stat[10], 0},
		{"major faults", float64(got.MajorFaults), stat[12], 0},
		{"written", float64(got.WriteBytes), ioOf(t, pid, "write_bytes"), 0},
		{"read", float64(got.ReadBytes), ioOf(t, pid, "read_bytes"), 0},
		{"descriptors", float64(got.FDs), float64(entries(t, pid, "fd")), 0},
	} {
		if math.Abs(c.got-c.want) > c.difference {
			t.Errorf("%s: %v, /proc says %v", c.name, c.got, c.want)
		}
	}
	if stat[14]+stat[15] < 20 || got.RSS < 32<<20 || got.FDs < 100 || got.WriteBytes < 1<<20 {
		t.Errorf("the player has done too little to prove anything: %+v, stat %v", got, stat)
	}
	var voluntary, involuntary float64
	eachThread(t, pid, func(dir string) {
		voluntary += number(t, dir+"/status", "voluntary_ctxt_switches:")
		involuntary += number(t, dir+"/status", "nonvoluntary_ctxt_switches:")
	})
	// The threads that have ended are in ours, and /proc has forgotten them.
	if float64(got.VoluntarySw) < voluntary || float64(got.InvoluntarySw) < involuntary {
		t.Errorf("switches %d and %d, living threads alone have %v and %v", got.VoluntarySw, got.InvoluntarySw, voluntary, involuntary)
	}
}

func TestEveryProcessAndNoKernelThread(t *testing.T) {
	sink := start(t, 20*time.Millisecond)
	usage := next(t, sink)
	if len(usage) == 0 {
		t.Fatal("no processes")
	}
	if _, ok := usage[2]; ok && strings.Contains(read(t, "/proc/2/comm"), "kthreadd") {
		t.Error("kthreadd is there")
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if cmdline, err := os.ReadFile(dir + "/cmdline"); err != nil || len(cmdline) == 0 {
			continue // a kernel thread, a zombie, or gone
		}
		if pid == 1 {
			continue // kernels of some virtual machines hide their init from iterators
		}
		if _, ok := usage[int32(pid)]; ok {
			seen++
			continue
		}
		// Born after the look, or gone by now: only what lives on and was there is missing.
		if next(t, sink)[int32(pid)].PID == 0 && processLives(pid) {
			t.Errorf("process %d is missing", pid)
		}
	}
	if seen == 0 {
		t.Error("none of /proc was seen")
	}
}

// A zombie has no memory and no files, but it has its time.
func TestZombie(t *testing.T) {
	sink := start(t, 20*time.Millisecond)
	cmd := exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	kerntest.Until(t, "a zombie", func() bool {
		return strings.Contains(read(t, fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid)), ") Z ")
	})
	u := next(t, sink)[int32(cmd.Process.Pid)]
	if u.RSS != 0 || u.VSize != 0 || u.FDs != 0 || u.CPUUser+u.CPUSystem == 0 {
		t.Errorf("got %+v", u)
	}
}

func processLives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(b) > 0
}

func allStopped(t *testing.T, pid int) bool {
	stopped := true
	eachThread(t, pid, func(dir string) {
		stat := read(t, dir+"/stat")
		stopped = stopped && strings.Contains(stat[strings.LastIndexByte(stat, ')'):], ") T ")
	})
	return stopped
}

func eachThread(t *testing.T, pid int, f func(dir string)) {
	t.Helper()
	dirs, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("threads of %d: %v", pid, err)
	}
	for _, d := range dirs {
		f(d)
	}
}

func entries(t *testing.T, pid int, dir string) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// statOf gives the fields of /proc/PID/stat by the numbers of proc(5).
func statOf(t *testing.T, pid int) []float64 {
	t.Helper()
	text := read(t, fmt.Sprintf("/proc/%d/stat", pid))
	out := make([]float64, 3)
	for _, f := range strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) {
		v, _ := strconv.ParseFloat(f, 64)
		out = append(out, v)
	}
	return out
}

func ioOf(t *testing.T, pid int, field string) float64 {
	return number(t, fmt.Sprintf("/proc/%d/io", pid), field+":")
}

func number(t *testing.T, path, field string) float64 {
	t.Helper()
	for line := range strings.Lines(read(t, path)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("%s has no %s", path, field)
	return 0
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
