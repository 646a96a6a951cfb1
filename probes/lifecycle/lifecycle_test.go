package lifecycle

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// TestMain also plays the processes that the tests watch.
func TestMain(m *testing.M) {
	switch os.Getenv("LIFECYCLE_PLAY") {
	case "":
		os.Exit(m.Run())
	case "thread-exec":
		execFromThread()
	case "threads-exit":
		exitThreadByThread()
	}
	os.Exit(99)
}

// execFromThread replaces the process from a thread that is not its first.
func execFromThread() {
	for range 8 {
		go func() {
			runtime.LockOSThread()
			if unix.Gettid() != os.Getpid() {
				_ = syscall.Exec("/bin/sh", []string{"sh", "-c", "exit 7"}, nil)
			}
			select {}
		}()
	}
	time.Sleep(10 * time.Second)
}

// exitThreadByThread ends every thread by itself: none of them ends the group.
func exitThreadByThread() {
	for range 6 {
		go func() {
			runtime.LockOSThread()
			unix.Syscall(unix.SYS_EXIT, 5, 0, 0)
		}()
	}
	time.Sleep(20 * time.Millisecond)
	os.Exit(5)
}

// recorder keeps the events of the processes that a test asks for.
type recorder struct {
	mu     sync.Mutex
	events []core.ProcessEvent
}

func (r *recorder) add(list []core.ProcessEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, list...)
}

func (r *recorder) of(pid int) []core.ProcessEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []core.ProcessEvent
	for _, e := range r.events {
		if int(e.PID) == pid {
			list = append(list, e)
		}
	}
	return list
}

// ended waits for the end of a process and returns its events.
func (r *recorder) ended(t *testing.T, pid int) []core.ProcessEvent {
	t.Helper()
	kerntest.Until(t, "the end of process "+strconv.Itoa(pid), func() bool {
		list := r.of(pid)
		return len(list) > 0 && list[len(list)-1].Kind == core.ProcessExit
	})
	return r.of(pid)
}

func watch(t *testing.T, ring uint32) (*recorder, *kerntest.Sink, func()) {
	t.Helper()
	kerntest.NeedRoot(t)
	r, sink := &recorder{}, &kerntest.Sink{}
	env := kern.Env{Sink: sink, Processes: r.add, Log: slog.New(slog.DiscardHandler), Meter: kern.NewMeter()}
	_, stop := kerntest.Run(t, spec(env, ring))
	return r, sink, stop
}

func kinds(list []core.ProcessEvent) string {
	names := map[core.ProcessEventKind]string{core.ProcessFork: "fork", core.ProcessExec: "exec", core.ProcessExit: "exit"}
	var out []string
	for _, e := range list {
		out = append(out, names[e.Kind])
	}
	return strings.Join(out, " ")
}

func TestEndsAndHowTheyAreTold(t *testing.T) {
	r, _, _ := watch(t, 0)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		argv []string
		env  string
		want string
		comm string
		exit core.Exit
	}{
		{"success", []string{"/bin/sh", "-c", "exit 0"}, "", "fork exec exit", "sh", core.Exit{Known: true}},
		{"code", []string{"/bin/sh", "-c", "exit 42"}, "", "fork exec exit", "sh", core.Exit{Known: true, Code: 42}},
		{"signal", []string{"/bin/sh", "-c", "kill -TERM $$"}, "", "fork exec exit", "sh", core.Exit{Known: true, Signal: 15}},
		{"two programs", []string{"/bin/sh", "-c", "exec /bin/sleep 0"}, "", "fork exec exec exit", "sleep", core.Exit{Known: true}},
		{"failed exec", []string{"/bin/sh", "-c", "exec /nowhere/at/all 2>/dev/null"}, "", "fork exec exit", "sh", core.Exit{Known: true, Code: 127}},
		{"exec by a thread", []string{self}, "thread-exec", "fork exec exec exit", "sh", core.Exit{Known: true, Code: 7}},
		{"end of many threads", []string{self}, "threads-exit", "fork exec exit", "", core.Exit{Known: true, Code: 5}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(test.argv[0], test.argv[1:]...)
			cmd.Env = append(os.Environ(), "LIFECYCLE_PLAY="+test.env, "GORACE=atexit_sleep_ms=0")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			birth := birthOf(t, cmd.Process.Pid)
			_ = cmd.Wait() // the exit status is what the probe is asked for
			list := r.ended(t, cmd.Process.Pid)
			if got := kinds(list); got != test.want {
				t.Fatalf("events: %s, want %s", got, test.want)
			}
			last := list[len(list)-1]
			if last.Exit != test.exit {
				t.Errorf("exit %+v, want %+v", last.Exit, test.exit)
			}
			if test.comm != "" && last.Comm != test.comm {
				t.Errorf("comm %q, want %q", last.Comm, test.comm)
			}
			at := int64(0)
			for _, e := range list {
				if e.Birth != birth || int(e.PPID) != os.Getpid() || e.At <= at {
					t.Errorf("event %+v: want birth %d, parent %d, a time after %d", e, birth, os.Getpid(), at)
				}
				at = e.At
			}
		})
	}
}

// birthOf is field 22 of /proc/PID/stat, the number that all parts agree on.
func birthOf(t *testing.T, pid int) uint64 {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	birth, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return birth
}

func TestThreadsAreNoProcesses(t *testing.T) {
	r, _, _ := watch(t, 0)
	tid := make(chan int)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		tid <- unix.Gettid()
	}()
	thread := <-tid
	marker := exec.Command("/bin/true")
	if err := marker.Run(); err != nil {
		t.Fatal(err)
	}
	r.ended(t, marker.Process.Pid)
	if list := r.of(thread); len(list) > 0 {
		t.Errorf("a thread was told as a process: %+v", list)
	}
	if list := r.of(os.Getpid()); len(list) > 0 {
		t.Errorf("the end of a thread was told as its process': %+v", list)
	}
}

func TestStormIsCompleteAndInOrder(t *testing.T) {
	r, sink, stop := watch(t, 0)
	const processes = 300
	var pids []int
	for range processes {
		cmd := exec.Command("/bin/true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, cmd.Process.Pid)
	}
	stop()
	for _, pid := range pids {
		if got := kinds(r.of(pid)); got != "fork exec exit" {
			t.Errorf("process %d: %s", pid, got)
		}
	}
	if len(sink.LostSeen) > 0 {
		t.Errorf("lost: %v", sink.LostSeen)
	}
}

// With the smallest ring and a reader that stands still, what was told and what
// was lost is everything there was.
func TestLossIsCounted(t *testing.T) {
	kerntest.NeedRoot(t)
	var mu sync.Mutex
	var told, lost uint64
	block := make(chan struct{})
	mine := int32(os.Getpid())
	env := kern.Env{Sink: &kerntest.Sink{}, Log: slog.New(slog.DiscardHandler), Processes: func(list []core.ProcessEvent) {
		<-block
		mu.Lock()
		defer mu.Unlock()
		for _, e := range list {
			if e.Kind == core.ProcessLost {
				lost += e.N
			} else if e.PPID == mine {
				told++
			}
		}
	}}
	_, stop := kerntest.Run(t, spec(env, uint32(os.Getpagesize())))
	const processes = 150
	for range processes {
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
	}
	close(block)
	kerntest.Until(t, "loss told", func() bool { mu.Lock(); defer mu.Unlock(); return lost > 0 })
	stop()
	sink := env.Sink.(*kerntest.Sink)
	if sink.LostSeen["ring/lifecycle"] != lost {
		t.Errorf("sink was told of %v lost, discovery of %d", sink.LostSeen, lost)
	}
	// Others on this machine may begin and end meanwhile: they only add to what was lost.
	if told+lost < 3*processes || told >= 3*processes {
		t.Errorf("told %d and lost %d of %d", told, lost, 3*processes)
	}
}

func TestTellsWithinAMillisecond(t *testing.T) {
	kerntest.NeedRoot(t)
	var mu sync.Mutex
	var delays []time.Duration
	env := kern.Env{Sink: &kerntest.Sink{}, Log: slog.New(slog.DiscardHandler), Processes: func(list []core.ProcessEvent) {
		now := kern.Mono()
		mu.Lock()
		defer mu.Unlock()
		for _, e := range list {
			delays = append(delays, time.Duration(now-e.At))
		}
	}}
	_, stop := kerntest.Run(t, spec(env, 0))
	for range 20 {
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if len(delays) < 60 {
		t.Fatalf("%d events, want 60", len(delays))
	}
	best := delays[0]
	for _, d := range delays {
		best = min(best, d)
	}
	t.Logf("best delay %v", best)
	// A busy machine may delay every one of them: the bound is loose, the log exact.
	if best > 50*time.Millisecond {
		t.Errorf("best delay %v", best)
	}
}

func TestDetachBeforeAndWithoutServe(t *testing.T) {
	kerntest.NeedRoot(t)
	u, err := Spec(kern.Env{Sink: &kerntest.Sink{}, Processes: func([]core.ProcessEvent) {}}).Make()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := u.Detach(ctx); err != nil {
		t.Fatalf("detach before attach: %v", err)
	}
	if _, err := u.Attach(ctx); err == nil {
		t.Error("attached after detach")
	}
	if err := u.Serve(ctx, func() {}); err != nil {
		t.Errorf("serve after detach: %v", err)
	}
}

func TestHostileRecords(t *testing.T) {
	u := newUnit(kern.Env{}, 0)
	for _, raw := range [][]byte{nil, {}, make([]byte, 10), make([]byte, 48)} {
		u.decode(raw)
	}
	if len(u.events) != 0 || u.bad != 4 {
		t.Errorf("%d events and %d bad records, want 0 and 4", len(u.events), u.bad)
	}
}

func BenchmarkDecode(b *testing.B) {
	u := newUnit(kern.Env{}, 0)
	raw := make([]byte, 48)
	raw[28] = byte(core.ProcessExec)
	copy(raw[32:], "nginx")
	b.ReportAllocs()
	for b.Loop() {
		u.decode(raw)
		u.events = u.events[:0]
	}
}
