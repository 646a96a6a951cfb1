package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/discover"
	"vitals/core/engine"
	"vitals/core/supervisor"
	"vitals/probes"
)

// The tests in this file watch real processes through the real kernel: the
// lifecycle probe, run by the supervisor, feeds discovery.

// watched is discovery on the kernel's stream, with what the kernel said and
// what discovery made of it.
type watched struct {
	t    *testing.T
	d    *discover.Discover
	s    *supervisor.Supervisor
	set  *probes.Set
	stop func()

	mu   sync.Mutex
	raw  map[int32][]core.ProcessEvent
	told map[core.ProcKey][]string
	last map[core.ProcKey]*core.Process
	ends map[core.ProcKey]core.Exit
}

func (w *watched) note(k core.ProcKey, what string, p *core.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[k] = append(w.told[k], what)
	if p != nil {
		w.last[k] = p
	}
}

func (w *watched) ProcessUp(p *core.Process)      { w.note(p.ProcKey, "up", p) }
func (w *watched) ProcessChanged(p *core.Process) { w.note(p.ProcKey, "changed", p) }
func (w *watched) ProcessDown(k core.ProcKey, x core.Exit, _ time.Time) {
	w.note(k, "down", nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[k] = x
}

// Process events as the kernel tells them, in words: "fork exec exit".
func (w *watched) kernel(pid int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[core.ProcessEventKind]string{core.ProcessFork: "fork", core.ProcessExec: "exec", core.ProcessExit: "exit"}
	var words []string
	for _, e := range w.raw[int32(pid)] {
		words = append(words, names[e.Kind])
	}
	return strings.Join(words, " ")
}

// lives returns the lives that a pid had, oldest first.
func (w *watched) lives(pid int) []core.ProcKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []core.ProcKey
	for k := range w.told {
		if int(k.PID) == pid {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b core.ProcKey) int { return int(a.Birth) - int(b.Birth) })
	return keys
}

// ended waits for the end of the n-th life of a pid and returns its exit.
func (w *watched) ended(pid, n int) core.Exit {
	w.t.Helper()
	var x core.Exit
	until(w.t, 20*time.Second, fmt.Sprintf("end of life %d of process %d", n, pid), func() bool {
		keys := w.lives(pid)
		if len(keys) < n {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		e, ok := w.ends[keys[n-1]]
		x = e
		return ok
	})
	return x
}

func watchLives(t *testing.T) *watched {
	t.Helper()
	needRoot(t)
	w := &watched{t: t, raw: map[int32][]core.ProcessEvent{}, told: map[core.ProcKey][]string{}, last: map[core.ProcKey]*core.Process{}, ends: map[core.ProcKey]core.Exit{}}
	goroutines, objects := runtime.NumGoroutine(), ourObjects(t)
	sink := engine.New(engine.Config{})
	w.set = probes.New(probes.Env{Sink: sink, Processes: func(list []core.ProcessEvent) {
		w.mu.Lock()
		for _, e := range list {
			w.raw[e.PID] = append(w.raw[e.PID], e)
		}
		w.mu.Unlock()
		w.d.Feed(list)
	}})
	specs := slices.DeleteFunc(slices.Clone(w.set.Specs()), func(s core.Spec) bool { return s.Kind != "lifecycle" })
	w.s = supervisor.New(supervisor.Config{Specs: specs})
	var err error
	if w.d, err = discover.New(discover.Config{Handler: w, Self: 1 << 30, Kernel: func() bool { return true }}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{sink.Run, w.s.Run, w.d.Run, w.set.Run} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("a part ended: %v", err)
			}
		})
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		until(t, 10*time.Second, "goroutines and kernel objects back at the baseline", func() bool {
			return runtime.NumGoroutine() <= goroutines && ourObjects(t) <= objects
		})
	})
	t.Cleanup(w.stop)
	until(t, 20*time.Second, "lifecycle is attached", func() bool { return w.s.Settled() && w.d.Ready() })
	if s := w.s.Stats(); s.Attached != 1 {
		t.Fatalf("not attached: %+v", s)
	}
	return w
}

// ourObjects counts the programs, maps and links that this process holds.
func ourObjects(t *testing.T) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "anon_inode:bpf") {
			n++
		}
	}
	return n
}

var life struct {
	sync.Once
	path string
	err  error
}

// play starts testdata/life in a mode and returns the pids that it prints.
func play(t *testing.T, mode ...string) (cmd *exec.Cmd, pids []int, all int) {
	t.Helper()
	life.Do(func() {
		binary(t, "truth") // makes the folder, which TestMain removes
		life.path = filepath.Join(built.dir, "life")
		if out, err := exec.Command("go", "build", "-o", life.path, "./testdata/life").CombinedOutput(); err != nil {
			life.err = fmt.Errorf("build testdata/life: %w\n%s", err, out)
		}
	})
	if life.err != nil {
		t.Fatal(life.err)
	}
	cmd = exec.Command(life.path, mode...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan(); {
		if n, ok := strings.CutPrefix(s.Text(), "all "); ok {
			all, _ = strconv.Atoi(n)
		} else if pid, err := strconv.Atoi(s.Text()); err == nil {
			pids = append(pids, pid)
		}
	}
	_ = cmd.Wait() // how it ended is what discovery is asked for
	if code := cmd.ProcessState.ExitCode(); code >= 97 {
		t.Fatalf("life %v ended with %d", mode, code)
	}
	return cmd, pids, all
}

func TestW01_ExecThenExitInOrder(t *testing.T) {
	w := watchLives(t)
	for script, want := range map[string]core.Exit{
		"exit 0":        {Known: true},
		"exit 42":       {Known: true, Code: 42},
		"kill -TERM $$": {Known: true, Signal: 15},
		"kill -KILL $$": {Known: true, Signal: 9},
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		_ = cmd.Run()
		pid := cmd.Process.Pid
		if x := w.ended(pid, 1); x != want {
			t.Errorf("%s: exit %+v, want %+v", script, x, want)
		}
		if got := w.kernel(pid); got != "fork exec exit" {
			t.Errorf("%s: the kernel told %s", script, got)
		}
		w.mu.Lock()
		told := w.told[core.ProcKey{PID: int32(pid), Birth: w.raw[int32(pid)][0].Birth}]
		w.mu.Unlock()
		if told[0] != "up" || told[len(told)-1] != "down" || strings.Count(strings.Join(told, " "), "down") != 1 {
			t.Errorf("%s: told %v", script, told)
		}
	}
}

// A thread that is not the first executes: the process goes on under its pid
// with the new program, and ends once.
func TestW09_ExecByAThread(t *testing.T) {
	w := watchLives(t)
	cmd, _, _ := play(t, "thread-exec")
	pid := cmd.Process.Pid
	if x := w.ended(pid, 1); x != (core.Exit{Known: true, Code: 7}) {
		t.Errorf("exit %+v", x)
	}
	if got := w.kernel(pid); got != "fork exec exec exit" || len(w.lives(pid)) != 1 {
		t.Errorf("the kernel told %s in %d lives", got, len(w.lives(pid)))
	}
}

func TestW10_ForkByAThread(t *testing.T) {
	w := watchLives(t)
	cmd, pids, _ := play(t, "thread-fork")
	forked(t, w, cmd.Process.Pid, pids)
}

func TestW11_ForkAfterASignal(t *testing.T) {
	w := watchLives(t)
	cmd, pids, _ := play(t, "signal-fork")
	forked(t, w, cmd.Process.Pid, pids)
}

// forked checks a child that exits with 5 and its parent that exits with 6.
func forked(t *testing.T, w *watched, parent int, pids []int) {
	t.Helper()
	if len(pids) != 1 {
		t.Fatalf("children %v", pids)
	}
	if a, b := w.ended(pids[0], 1), w.ended(parent, 1); a.Code != 5 || b.Code != 6 {
		t.Errorf("child %+v, parent %+v", a, b)
	}
	if got := w.kernel(pids[0]); got != "fork exit" {
		t.Errorf("of the child the kernel told %s", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.raw[int32(pids[0])][0]; int(e.PPID) != parent {
		t.Errorf("the parent is %d, want the process %d and not its thread", e.PPID, parent)
	}
}

func TestW14_FailedExecTellsNothing(t *testing.T) {
	w := watchLives(t)
	cmd := exec.Command("/bin/sh", "-c", "exec /nowhere/at/all 2>/dev/null")
	_ = cmd.Run()
	if x := w.ended(cmd.Process.Pid, 1); x.Code != 127 && x.Code != 126 {
		t.Errorf("exit %+v", x)
	}
	if got := w.kernel(cmd.Process.Pid); got != "fork exec exit" {
		t.Errorf("the kernel told %s", got)
	}
}

// The kernel itself gives a pid to another process: two lives, two ends.
func TestI25_ReusedPIDOnTheKernel(t *testing.T) {
	w := watchLives(t)
	_, pids, _ := play(t, "reuse")
	if len(pids) != 2 || pids[0] != pids[1] {
		t.Fatalf("pids %v: the kernel did not reuse one", pids)
	}
	first, second := w.ended(pids[0], 1), w.ended(pids[0], 2)
	if first.Code != 1 || second.Code != 2 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if n := len(w.lives(pids[0])); n != 2 {
		t.Errorf("%d lives", n)
	}
}

// Threads come and go without being taken for processes.
func TestI32_ThreadsAreNoProcesses(t *testing.T) {
	w := watchLives(t)
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
	w.ended(marker.Process.Pid, 1)
	if got := w.kernel(thread); thread == os.Getpid() || got != "" || len(w.lives(thread)) != 0 {
		t.Errorf("thread %d: the kernel told %q", thread, got)
	}
}

func TestI33_OwnPIDNamespaceOnTheKernel(t *testing.T) {
	w := watchLives(t)
	cmd := exec.Command(need(t, "unshare"), "--fork", "--pid", "--mount-proc", "sh", "-c", "read x; exit 9")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var inner core.ProcKey
	until(t, 20*time.Second, "the process inside", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for k, p := range w.last {
			if int(p.PPID) == cmd.Process.Pid && p.NSPID == 1 && p.Exe != "" && p.PID != 1 && strings.HasPrefix(p.Cmdline, "sh -c") {
				inner = k
				return true
			}
		}
		return false
	})
	in.Close()
	_ = cmd.Wait()
	if x := w.ended(int(inner.PID), 1); x.Code != 9 {
		t.Errorf("exit %+v", x)
	}
}

// Attaching fails at each of its steps, for want of descriptors: nothing stays.
func TestI19_AttachThatFailsHalfWayLeavesNothing(t *testing.T) {
	needRoot(t)
	sink := engine.New(engine.Config{})
	set := probes.New(probes.Env{Sink: sink})
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
	for _, spec := range set.Specs() {
		failed, before := 0, ourObjects(t)
		for more := uint64(1); ; more++ {
			unit, err := spec.Make()
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: roomFor(t, more), Max: limit.Max})
			_, err = unit.Attach(context.Background())
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			if err == nil {
				if err := unit.Detach(context.Background()); err != nil {
					t.Errorf("%s: detach: %v", spec.Kind, err)
				}
				break
			}
			failed++
			if n := ourObjects(t); n > before {
				t.Fatalf("%s: attempt %d failed (%v) and left %d objects", spec.Kind, failed, err, n-before)
			}
			if failed > 200 {
				t.Fatalf("%s: never attached: %v", spec.Kind, err)
			}
		}
		until(t, 10*time.Second, spec.Kind+" is out", func() bool { return ourObjects(t) <= before })
		if failed < 3 {
			t.Errorf("%s: only %d attempts failed: the test did not test", spec.Kind, failed)
		}
	}
}

// roomFor returns the limit under which exactly n more descriptors can be opened.
func roomFor(t *testing.T, n uint64) uint64 {
	t.Helper()
	for fd := uint64(0); ; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			continue
		}
		if n--; n == 0 {
			return fd + 1
		}
	}
}

// This kernel does not count maps against the limit on locked memory: it is
// left as it was.
func TestI66_LimitOnLockedMemoryIsRaisedOnlyWhereNeeded(t *testing.T) {
	needRoot(t)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	small := unix.Rlimit{Cur: 64 << 10, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &small); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old) }()
	w := watchLives(t)
	w.stop()
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &now); err != nil || now != small {
		t.Errorf("limit %+v, was %+v, %v", now, small, err)
	}
}

// Without any privilege what needs none works, and the rest says what it lacks.
func TestI67_WithoutPrivilegeTheRestWorks(t *testing.T) {
	needRoot(t)
	home := t.TempDir()
	for dir := home; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o777)
	}
	cmd := exec.Command(binary(t, "vitals"), "snapshot", "--for", "300ms", "-o", "json")
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		Self      struct{ Privileged bool }
		Processes []struct{ PID int32 }
		Units     []struct{ ID, Phase, Message string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Self.Privileged || !slices.ContainsFunc(got.Processes, func(p struct{ PID int32 }) bool { return int(p.PID) == os.Getpid() }) {
		t.Errorf("privileged %v, %d processes", got.Self.Privileged, len(got.Processes))
	}
	for _, u := range got.Units {
		if u.Phase == "running" || u.Message == "" {
			t.Errorf("unit %+v does not say what it lacks", u)
		}
	}
	if len(got.Units) == 0 {
		t.Error("no units")
	}
}

// What the kernel programs cost, and how often they ran, is known.
func TestW22_CostOfEventsIsKnown(t *testing.T) {
	w := watchLives(t)
	names := map[string]bool{}
	until(t, 40*time.Second, "runs are measured", func() bool {
		_ = exec.Command("/bin/true").Run()
		measured := 0
		for _, p := range w.set.Programs() {
			names[p.Attached] = true
			if p.Measured > 0 && p.Runs > 0 && p.RunTime > 0 {
				measured++
			}
		}
		return measured == 3
	})
	if len(names) != 3 {
		t.Errorf("programs %v", slices.Sorted(maps.Keys(names)))
	}
}

// VITALS_SOAK is how long the soak lasts; 2 s are enough to see a leak of one
// in a hundred.
func TestI48_StormOnTheKernel(t *testing.T) {
	length := 2 * time.Second
	if text := os.Getenv("VITALS_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	w := watchLives(t)
	w.forgetRaw()
	goroutines := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cmd, long, all := play(t, "storm", length.String())
	w.ended(cmd.Process.Pid, 1)
	if n := runtime.NumGoroutine(); n > goroutines+20 {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	told := map[int]bool{} // who ended as those do that live longer
	w.mu.Lock()
	for k, x := range w.ends {
		if x == (core.Exit{Known: true, Code: 3}) {
			told[int(k.PID)] = true
		}
	}
	w.mu.Unlock()
	missed := 0
	for _, pid := range long {
		if !told[pid] {
			missed++
		}
	}
	s := w.d.Stats()
	if missed > 0 && s.KernelLost+s.QueueLost == 0 {
		t.Errorf("%d of %d that lived for 100 ms were missed without a loss", missed, len(long))
	}
	if missed > len(long)/100 {
		t.Errorf("%d of %d that lived for 100 ms were missed", missed, len(long))
	}
	w.mu.Lock()
	w.told, w.last, w.ends, w.raw = map[core.ProcKey][]string{}, map[core.ProcKey]*core.Process{}, map[core.ProcKey]core.Exit{}, map[int32][]core.ProcessEvent{}
	w.mu.Unlock()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("%d MiB more than before", grown>>20)
	}
	t.Logf("%.0f processes a second for %v, %d lived for 100 ms, missed %d; kernel lost %d, queue lost %d, known now %d",
		float64(all)/length.Seconds(), length, len(long), missed, s.KernelLost, s.QueueLost, s.Known)
}

func (w *watched) forgetRaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.raw)
}

// Why tells the rule, what is attached and what would change it; a dry run
// attaches nothing.
func TestWhyOfARealProcess(t *testing.T) {
	needRoot(t)
	sleeper := start(t, []string{"OTEL_SERVICE_NAME=quiet-shop"}, "/bin/sleep", "60")
	ask := func(args ...string) string {
		p := start(t, nil, binary(t, "vitals"), append([]string{"why"}, args...)...)
		p.wait(30 * time.Second)
		return p.stdout() + p.stderr()
	}
	config := writeConfig(t, "services: {quiet-shop: {network: off}}\n")
	got := ask("quiet-shop", "--config", config)
	for _, want := range []string{
		fmt.Sprintf("sleep (%d), service quiet-shop", sleeper.Process.Pid), "runs /", "requests     running, on by default",
		"network      off, off for service quiet-shop", `take the choice "off for service quiet-shop" back`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := ask(strconv.Itoa(sleeper.Process.Pid), "--exclude", "name=sleep"); !strings.Contains(got, "never instrumented: excluded by rule name=sleep") {
		t.Error(got)
	}
	if got := ask("nobody-is-called-this"); !strings.Contains(got, "there is no process and no service") {
		t.Error(got)
	}
	dry := ask(strconv.Itoa(sleeper.Process.Pid), "--dry-run", "-o", "json")
	var report struct {
		Processes []struct {
			Kinds []struct {
				Kind, State string
				On          bool
			}
		}
	}
	if err := json.Unmarshal([]byte(dry), &report); err != nil || len(report.Processes) != 1 || len(report.Processes[0].Kinds) == 0 {
		t.Fatalf("%v\n%s", err, dry)
	}
	for _, k := range report.Processes[0].Kinds {
		if k.State != "off" || !k.On {
			t.Errorf("%+v", k)
		}
	}
}
