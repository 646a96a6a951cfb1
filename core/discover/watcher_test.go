package discover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
)

// Rules on what the environment says hold for those that fail them, too: they
// are told as skipped, never instrumented.
func TestW02_ProcessesThatFailARuleAreSkipped(t *testing.T) {
	pid := spawn(t, []string{"OTEL_RESOURCE_ATTRIBUTES=team=red"}, "sleep", "60").Process.Pid
	other := spawn(t, []string{"OTEL_RESOURCE_ATTRIBUTES=team=blue"}, "sleep", "60").Process.Pid
	_, r := start(t, Config{Selection: Selection{Include: []string{"attr.team=r*"}}})
	eventually(t, "one meant, one not", func() bool {
		a, b := r.pid(pid), r.pid(other)
		return a != nil && b != nil && a.Skip == "" && a.Attributes["team"] == "red" && b.Skip == "not included by any rule" && b.Attributes["team"] == "blue"
	})
}

func TestW03_MoreThanAThousandVariables(t *testing.T) {
	many := func(name string) []string {
		var env []string
		for i := range 1500 {
			env = append(env, fmt.Sprintf("FILLER_%04d=%d", i, i))
		}
		return append(env, "OTEL_SERVICE_NAME="+name)
	}
	run := func(name string) int {
		cmd := exec.Command("sleep", "60")
		cmd.Env = many(name)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd.Process.Pid
	}
	meant, other := run("shop-api"), run("mail-api")
	_, r := start(t, Config{Selection: Selection{Include: []string{"service=shop-*"}}})
	eventually(t, "both ways", func() bool {
		a, b := r.pid(meant), r.pid(other)
		return a != nil && b != nil && a.Service == "shop-api" && a.Skip == "" && b.Service == "mail-api" && b.Skip != ""
	})
}

// lives feeds the lives of processes that end at once and of one that stays.
func lives(t *testing.T, minAge time.Duration) (*Discover, *recorder, core.ProcKey, core.ProcKey) {
	t.Helper()
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, MinAge: minAge})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	short, stays := core.ProcKey{PID: 500, Birth: 70}, p.put(501, 71, 1, "stays", "stays")
	d.Feed([]core.ProcessEvent{
		event(core.ProcessFork, short, 1, "sh"), event(core.ProcessExec, short, 1, "true"),
		event(core.ProcessFork, stays, 1, "sh"), event(core.ProcessExec, stays, 1, "stays"),
		{Kind: core.ProcessExit, ProcKey: short, Exit: core.Exit{Known: true}},
	})
	return d, r, short, stays
}

func TestW04_ShortLivedProcessesCanBeHidden(t *testing.T) {
	d, r, short, stays := lives(t, 200*time.Millisecond)
	eventually(t, "the one that stays", func() bool { q := r.get(stays); return q != nil && q.Comm == "stays" })
	if h := r.history(short); h != "" || d.Stats().Filtered != 1 {
		t.Errorf("history %q, %+v", h, d.Stats())
	}
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: stays, Exit: core.Exit{Code: 3, Known: true}}})
	eventually(t, "its end", func() bool { e, ok := r.exit(stays); return ok && e.Code == 3 })
}

func TestW05_ShortLivedProcessesAreToldByDefault(t *testing.T) {
	d, r, short, stays := lives(t, 0)
	eventually(t, "both", func() bool { _, ended := r.exit(short); return ended && r.get(stays) != nil })
	if h := r.history(short); !strings.HasPrefix(h, "up sh") || !strings.HasSuffix(h, "down") || d.Stats().Filtered != 0 {
		t.Errorf("history %q, %+v", h, d.Stats())
	}
}

func TestW06_ExcludedExecutables(t *testing.T) {
	sleep, err := filepath.EvalSymlinks(need(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	pid := spawn(t, nil, "sleep", "60").Process.Pid
	other := spawn(t, nil, "tail", "-f", "/dev/null").Process.Pid
	_, r := start(t, Config{Selection: Selection{Exclude: []string{"exe=" + sleep}}})
	eventually(t, "one excluded", func() bool {
		a, b := r.pid(pid), r.pid(other)
		return a != nil && b != nil && a.Skip == "excluded by rule exe="+sleep && b.Skip == ""
	})
}

// A script is run by its interpreter: a rule about that executable reaches it.
func TestW07_ScriptsOfExcludedExecutables(t *testing.T) {
	shell, err := filepath.EvalSymlinks(need(t, "sh"))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(script, []byte("#!"+shell+"\nwhile :; do read x; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script)
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = in.Close() })
	_, r := start(t, Config{Selection: Selection{Exclude: []string{"exe=" + shell}}})
	eventually(t, "the script is excluded", func() bool {
		q := r.pid(cmd.Process.Pid)
		return q != nil && q.Exe == shell && strings.HasPrefix(q.Skip, "excluded by rule") && strings.Contains(q.Cmdline, "backup")
	})
}

// What runs already when discovery starts is reported by its first look.
func TestW12_FirstLookTellsWhatRunsAlready(t *testing.T) {
	var many []string
	for i := range 1200 {
		many = append(many, fmt.Sprintf("V%d=%d", i, i))
	}
	bare := exec.Command("sleep", "60")
	bare.Env = []string{}
	if err := bare.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bare.Process.Kill(); _ = bare.Wait() })
	pids := map[string]int{
		"with a variable": spawn(t, []string{"OTEL_SERVICE_NAME=early"}, "sleep", "60").Process.Pid,
		"without any":     bare.Process.Pid,
		"with many":       spawn(t, append(many, "OTEL_SERVICE_NAME=early"), "sleep", "60").Process.Pid,
	}
	d, r := start(t, Config{Kernel: always})
	for what, pid := range pids {
		eventually(t, what, func() bool {
			q := r.pid(pid)
			return q != nil && q.Skip == "" && (q.Service == "early") == strings.HasPrefix(what, "with ")
		})
	}
	if n := d.Stats().Looks; n != 1 {
		t.Errorf("%d looks", n)
	}
}

// What is told before Run is kept, also of processes that a rule leaves out.
func TestW13_EventsBeforeRunAreKept(t *testing.T) {
	p := newFakeProc(t)
	r := newRecorder(t)
	d, err := New(Config{Handler: r, ProcRoot: p.root, Kernel: always, Self: nobody, Selection: Selection{Include: []string{"name=else"}}})
	if err != nil {
		t.Fatal(err)
	}
	key := core.ProcKey{PID: 400, Birth: 70}
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "early"), {Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Code: 9, Known: true}}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	eventually(t, "its end", func() bool { e, ok := r.exit(key); return ok && e.Code == 9 })
	cancel()
	if err := <-done; err != nil { // W-15: the end of the context is not an error
		t.Error(err)
	}
}

func TestW15_TheEndOfTheContextIsNoErrorAndEndsTheTelling(t *testing.T) {
	p := newFakeProc(t)
	r := newRecorder(t)
	d, err := New(Config{Handler: r, ProcRoot: p.root, Kernel: always, Self: nobody})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	key := core.ProcKey{PID: 400, Birth: 70}
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "late")})
	time.Sleep(20 * time.Millisecond)
	if r.history(key) != "" {
		t.Error("told after Run returned")
	}
}

// A process that is gone before it can be read is told with what is known, and
// costs no more than a look.
func TestW16_GoneBeforeItCouldBeRead(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	key := core.ProcKey{PID: 700, Birth: 70}
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "gone")})
	eventually(t, "told all the same", func() bool { q := r.get(key); return q != nil && q.Comm == "gone" })
	time.Sleep(100 * time.Millisecond) // its reading was tried and came to nothing
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Code: 1, Known: true}}})
	eventually(t, "its end", func() bool { e, ok := r.exit(key); return ok && e.Code == 1 })
	if s := d.Stats(); s.ShortLived != 1 {
		t.Errorf("%+v", s)
	}
}

// The end may come at any moment, with events under way and timers armed: no
// send to somebody who has left, and nothing is left behind.
func TestW17_EndInTheMiddleOfEvents(t *testing.T) {
	p := newFakeProc(t)
	for round := range 10 {
		r := newRecorder(t)
		d, err := New(Config{Handler: r, ProcRoot: p.root, Kernel: always, Self: nobody, MinAge: time.Duration(round%3) * 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		var feeders sync.WaitGroup
		stop := make(chan struct{})
		for f := range int32(2) {
			feeders.Go(func() {
				for i := int32(0); ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					key := core.ProcKey{PID: 1000 + f*100_000 + i%50_000, Birth: uint64(100 + i)}
					d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "x")})
					if i%2 == 0 {
						d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Known: true}}})
					}
					time.Sleep(50 * time.Microsecond)
				}
			})
		}
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Run goes on after its context ended")
		}
		d.Feed([]core.ProcessEvent{event(core.ProcessExec, core.ProcKey{PID: 900, Birth: 60}, 1, "late")})
		close(stop) // feeding went on after the end
		feeders.Wait()
	}
}

func TestW18_RunTwiceIsAnErrorAndHarmless(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	for range 3 {
		if err := d.Run(context.Background()); err == nil {
			t.Error("no error")
		}
	}
	key := p.put(300, 60, 1, "still", "still")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "still")})
	eventually(t, "the first one goes on", func() bool { return r.get(key) != nil })
}

// Left out at first and meant after an exec: its end is told, whichever rule
// or age left it out.
func TestW19_FilteredThenMeantIsFollowedToItsEnd(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, MinAge: 50 * time.Millisecond, Selection: Selection{Exclude: []string{"name=sh"}}})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	key := p.put(100, 60, 1, "sh", "sh")
	d.Feed([]core.ProcessEvent{event(core.ProcessFork, key, 1, "sh"), event(core.ProcessExec, key, 1, "sh")})
	eventually(t, "left out", func() bool { q := r.get(key); return q != nil && q.Skip != "" })
	p.put(100, 60, 1, "shop", "shop")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "shop")})
	eventually(t, "meant", func() bool { return r.get(key).Skip == "" })
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Code: 4, Known: true}}})
	eventually(t, "its end", func() bool { e, ok := r.exit(key); return ok && e.Code == 4 })
}

// More processes at once than a table of 16,384 holds are all known, and what
// does not fit the queue is counted.
func TestW21_NoFixedNumberOfProcesses(t *testing.T) {
	p := newFakeProc(t)
	h := &counting{}
	d, err := New(Config{Handler: h, ProcRoot: p.root, Kernel: always, Self: nobody})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	defer func() { cancel(); <-done }()
	eventually(t, "init", func() bool { return h.up.Load() == 1 })
	const n = 20_000
	var batch []core.ProcessEvent
	for i := range int32(n) {
		batch = append(batch, event(core.ProcessFork, core.ProcKey{PID: 1000 + i, Birth: 60}, 1, "sh"))
	}
	for len(batch) > 0 {
		d.Feed(batch[:1000])
		batch = batch[1000:]
	}
	eventually(t, "all of them", func() bool { return d.Stats().Known == n+1 })
	if s := d.Stats(); s.QueueLost != 0 || s.Filtered != 0 {
		t.Errorf("%+v", s)
	}
	d.Feed(make([]core.ProcessEvent, maxQueue+1))
	if s := d.Stats(); s.QueueLost == 0 {
		t.Error("an overflow is not counted")
	}
}

// W-22: what discovery costs per event is a benchmark; that it counts every
// event, so that the cost can be divided, is tested here.
func TestW22_EventsAreCounted(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	for i := range int32(10) {
		d.Feed([]core.ProcessEvent{event(core.ProcessFork, core.ProcKey{PID: 100 + i, Birth: 60}, 1, "sh")})
	}
	eventually(t, "ten events", func() bool { return d.Stats().Events == 10 })
}
