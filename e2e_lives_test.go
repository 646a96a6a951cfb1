package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/discover"
	"vitals/core/engine"
	"vitals/core/supervisor"
	"vitals/probes"
)

// The tests of lives watch real processes through the real kernel: the
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
	until(w.t, fmt.Sprintf("end of life %d of process %d", n, pid), func() bool {
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
		until(t, "goroutines and kernel objects back at the baseline", func() bool {
			return runtime.NumGoroutine() <= goroutines && ourObjects(t) <= objects
		})
	})
	t.Cleanup(w.stop)
	until(t, "lifecycle is attached", func() bool { return w.s.Settled() && w.d.Ready() })
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
