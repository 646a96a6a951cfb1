package discover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
)

// nobody is a pid that does not exist, for tests whose children are to be seen.
const nobody = 1 << 30

// recorder is a Handler that keeps everything and checks the order of calls.
type recorder struct {
	t    *testing.T
	mu   sync.Mutex
	live map[core.ProcKey]*core.Process
	down map[core.ProcKey]core.Exit
	log  map[core.ProcKey][]string
	ups  int
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, live: map[core.ProcKey]*core.Process{}, down: map[core.ProcKey]core.Exit{}, log: map[core.ProcKey][]string{}}
}

func (r *recorder) ProcessUp(p *core.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[p.ProcKey] != nil {
		r.t.Errorf("%v is told twice", p.ProcKey)
	}
	if _, ended := r.down[p.ProcKey]; ended {
		r.t.Errorf("%v comes back", p.ProcKey)
	}
	for key := range r.live {
		if key.PID == p.PID {
			r.t.Errorf("%v and %v live at the same time", key, p.ProcKey)
		}
	}
	r.ups++
	r.live[p.ProcKey] = p
	r.log[p.ProcKey] = append(r.log[p.ProcKey], "up "+p.Comm)
}

func (r *recorder) ProcessChanged(p *core.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[p.ProcKey] == nil {
		r.t.Errorf("%v changed without being up", p.ProcKey)
	}
	r.live[p.ProcKey] = p
	r.log[p.ProcKey] = append(r.log[p.ProcKey], "changed "+p.Comm)
}

func (r *recorder) ProcessDown(key core.ProcKey, exit core.Exit, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[key] == nil {
		r.t.Errorf("%v is down without being up", key)
	}
	if at.IsZero() || time.Since(at) > time.Minute || time.Until(at) > time.Second {
		r.t.Errorf("%v ended at %v", key, at)
	}
	delete(r.live, key)
	r.down[key] = exit
	r.log[key] = append(r.log[key], "down")
}

func (r *recorder) get(key core.ProcKey) *core.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[key]
}

func (r *recorder) pid(pid int) *core.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, p := range r.live {
		if key.PID == int32(pid) {
			return p
		}
	}
	return nil
}

func (r *recorder) exit(key core.ProcKey) (core.Exit, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.down[key]
	return e, ok
}

func (r *recorder) history(key core.ProcKey) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log[key], ", ")
}

// start runs discovery until the test ends and checks that nothing leaks.
func start(t *testing.T, cfg Config) (*Discover, *recorder) {
	t.Helper()
	r := newRecorder(t)
	cfg.Handler = r
	if cfg.Self == 0 {
		cfg.Self = nobody
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	goroutines, fds := runtime.NumGoroutine(), openFDs(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := wait(func() bool { return runtime.NumGoroutine() <= goroutines }); !n {
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
		if !wait(func() bool { return openFDs(t) <= fds }) {
			t.Errorf("%d descriptors, %d before", openFDs(t), fds)
		}
	})
	return d, r
}

// settle returns when everything that was fed has been told.
func settle(t *testing.T, d *Discover) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if d.Settle(ctx); ctx.Err() != nil {
		t.Fatalf("not settled within %v", patience)
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list { // what the children of other tests hold open is not ours
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "/proc") {
			n++
		}
	}
	return n
}

// patience is how long something may take on a machine that is busy or stands
// still for seconds. A wait ends as soon as it is fulfilled.
const patience = 30 * time.Second

func wait(ok func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !wait(ok) {
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// spawn starts a program that is ended with the test.
func spawn(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

func keyOf(t *testing.T, pid int) core.ProcKey {
	t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := parseStat(line, 4096)
	if !ok {
		t.Fatalf("stat %q", line)
	}
	return core.ProcKey{PID: s.pid, Birth: s.birth}
}

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("%s is not installed: make test installs it", program)
		}
		t.Skipf("needs %s", program)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func always() bool { return true }
