package discover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vitals/core"
)

// fakeProc is a /proc with the processes that a test puts there.
type fakeProc struct {
	t    *testing.T
	root string
}

func newFakeProc(t *testing.T) *fakeProc {
	p := &fakeProc{t: t, root: t.TempDir()}
	p.put(1, 1, 0, "init", "/sbin/init")
	return p
}

func (p *fakeProc) put(pid int32, birth uint64, ppid int32, comm string, args ...string) core.ProcKey {
	p.t.Helper()
	final := filepath.Join(p.root, fmt.Sprint(pid))
	folder := filepath.Join(p.root, fmt.Sprintf("new%d", pid))
	if err := os.MkdirAll(filepath.Join(folder, "ns"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	write("stat", fmt.Sprintf("%d (%s) %s", pid, comm, statRest("S", fmt.Sprint(ppid), "0", "1", fmt.Sprint(birth), "0")))
	write("status", fmt.Sprintf("Name:\t%s\nUid:\t0\t0\t0\t0\nNSpid:\t%d\n", comm, pid))
	write("cmdline", strings.Join(args, "\x00")+"\x00")
	write("environ", "")
	write("cgroup", "0::/system.slice/"+comm+".service\n")
	_ = os.Symlink("/usr/bin/"+comm, filepath.Join(folder, "exe"))
	_ = os.Symlink("net:[4026531840]", filepath.Join(folder, "ns/net"))
	old := final + ".old"
	_ = os.Rename(final, old) // the new one is made first, so that it has another inode
	if err := os.Rename(folder, final); err != nil {
		p.t.Fatal(err)
	}
	_ = os.RemoveAll(old)
	return core.ProcKey{PID: pid, Birth: birth}
}

func (p *fakeProc) remove(pid int32) { _ = os.RemoveAll(filepath.Join(p.root, fmt.Sprint(pid))) }

func event(kind core.ProcessEventKind, key core.ProcKey, ppid int32, comm string) core.ProcessEvent {
	return core.ProcessEvent{Kind: kind, ProcKey: key, PPID: ppid, Comm: comm}
}

func TestForkIsACopyAndExecAnotherProgram(t *testing.T) {
	p := newFakeProc(t)
	parent := p.put(100, 50, 1, "shop", "shop", "--serve")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "profile of the parent", func() bool { q := r.get(parent); return q != nil && q.Unit == "shop.service" })

	child := core.ProcKey{PID: 101, Birth: 60} // not readable in /proc: what it is comes from its parent
	d.Feed([]core.ProcessEvent{event(core.ProcessFork, child, 100, "shop")})
	eventually(t, "fork", func() bool { return r.get(child) != nil })
	if q := r.get(child); q.Exe != "/usr/bin/shop" || q.Cmdline != "shop --serve" || q.Unit != "shop.service" || q.Service != "shop" || q.PPID != 100 || q.NSPID != 101 {
		t.Errorf("child %+v", q)
	}
	p.put(101, 60, 100, "mail", "mail", "x\x1b[2J")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, child, 100, "mail")})
	eventually(t, "exec", func() bool {
		q := r.get(child)
		return q.Comm == "mail" && q.Exe == "/usr/bin/mail" && q.Unit == "mail.service"
	})
	if q := r.get(child); q.Cmdline != "mail x·[2J" {
		t.Errorf("command line %q", q.Cmdline)
	}
	end := core.Exit{Code: 3, Known: true}
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: child, Exit: end, Comm: "mail"}})
	eventually(t, "exit", func() bool { e, ok := r.exit(child); return ok && e == end })
	if h := r.history(child); !strings.HasPrefix(h, "up shop, changed mail") || !strings.HasSuffix(h, ", down") {
		t.Errorf("history: %s", h)
	}
}

func TestEndedBeforeItCouldBeRead(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	key := core.ProcKey{PID: 500, Birth: 70}
	late := core.ProcKey{PID: 501, Birth: 71}
	d.Feed([]core.ProcessEvent{
		event(core.ProcessExec, key, 1, "true"),
		{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Known: true}},
		{Kind: core.ProcessExit, ProcKey: late, Comm: "cp", Exit: core.Exit{Signal: 9, Known: true}},
	})
	eventually(t, "both ends", func() bool {
		_, a := r.exit(key)
		e, b := r.exit(late)
		return a && b && e.Signal == 9
	})
	if h := r.history(key); !strings.HasPrefix(h, "up true") || !strings.HasSuffix(h, "down") {
		t.Errorf("history: %s", h)
	}
	if h := r.history(late); h != "up cp, down" {
		t.Errorf("history: %s", h)
	}
	if d.Stats().ShortLived < 2 {
		t.Error("what was not profiled must be counted")
	}
}

// I-25: a reused pid is another process, whether an event or a look shows it.
func TestI25_ReusedPIDIsAnotherProcess(t *testing.T) {
	p := newFakeProc(t)
	first := p.put(100, 50, 1, "old", "old")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "first", func() bool { return r.get(first) != nil })

	second := p.put(100, 90, 1, "new", "new")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, second, 1, "new")})
	eventually(t, "second, by its exec", func() bool { return r.get(second) != nil })
	if e, ok := r.exit(first); !ok || e.Known {
		t.Errorf("the first: %+v %v", e, ok)
	}
	third := p.put(100, 95, 1, "third", "third")
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessLost, N: 7}})
	eventually(t, "third, by a look", func() bool { q := r.get(third); return q != nil && q.Exe == "/usr/bin/third" })
	d.Feed([]core.ProcessEvent{ // late words of lives that are over
		event(core.ProcessExec, first, 1, "old"),
		{Kind: core.ProcessExit, ProcKey: second, Exit: core.Exit{Known: true}},
	})
	settle(t, d)
	if r.get(third) == nil || r.get(first) != nil || r.get(second) != nil {
		t.Error("late words changed the living")
	}
	if s := d.Stats(); s.KernelLost != 7 || s.Synthetic < 2 {
		t.Errorf("%+v", s)
	}
}

func TestPollingSeesAReusedPID(t *testing.T) {
	p := newFakeProc(t)
	first := p.put(100, 50, 1, "old", "old")
	d, r := start(t, Config{ProcRoot: p.root})
	eventually(t, "first", func() bool { return r.get(first) != nil })
	second := p.put(100, 90, 1, "new", "new")
	eventually(t, "second", func() bool { return r.get(second) != nil })
	p.remove(100)
	eventually(t, "its end", func() bool { e, ok := r.exit(second); return ok && !e.Known })
	if d.Stats().Synthetic < 3 {
		t.Errorf("%+v", d.Stats())
	}
}

// I-26, W-20: what the kernel could not tell is found by looking.
func TestI26_W20_LossIsCountedAndMadeUpFor(t *testing.T) {
	p := newFakeProc(t)
	gone := p.put(100, 50, 1, "gone", "gone")
	var lost atomic.Uint64
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, Lost: func(stage, reason string, n uint64) {
		if stage != "discover" || reason != "queue_full" {
			t.Errorf("lost at %s/%s", stage, reason)
		}
		lost.Add(n)
	}})
	eventually(t, "first", func() bool { return r.get(gone) != nil })
	p.remove(100)
	fresh := p.put(200, 60, 1, "fresh", "fresh")
	d.Feed(make([]core.ProcessEvent, maxQueue+11)) // without pid: nothing but too many
	eventually(t, "what began meanwhile", func() bool { return r.get(fresh) != nil })
	eventually(t, "what ended meanwhile", func() bool { e, ok := r.exit(gone); return ok && !e.Known })
	if lost.Load() != 11 || d.Stats().QueueLost != 11 {
		t.Errorf("%d lost, %+v", lost.Load(), d.Stats())
	}
}

func TestTheKernelsStreamMayComeAndGo(t *testing.T) {
	p := newFakeProc(t)
	var on atomic.Bool
	on.Store(true)
	_, r := start(t, Config{ProcRoot: p.root, Kernel: on.Load})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	key := p.put(300, 60, 1, "quiet", "quiet")
	time.Sleep(700 * time.Millisecond)
	if r.get(key) != nil {
		t.Error("polled although the kernel's stream is on")
	}
	on.Store(false)
	eventually(t, "found by polling", func() bool { return r.get(key) != nil })
}

// W-09 and friends as they look from here: real processes, events as the kernel sends them.
func TestRealProcessWithEvents(t *testing.T) {
	d, r := start(t, Config{Kernel: always})
	eventually(t, "ourselves", func() bool { return r.pid(os.Getpid()) != nil })
	cmd := exec.Command("sh", "-c", "read x; exec sleep 60")
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	key := keyOf(t, cmd.Process.Pid)
	d.Feed([]core.ProcessEvent{event(core.ProcessFork, key, int32(os.Getpid()), "discover.test"), event(core.ProcessExec, key, int32(os.Getpid()), "sh")})
	eventually(t, "identity", func() bool { q := r.get(key); return q != nil && strings.HasPrefix(q.Cmdline, "sh -c") })
	_, _ = in.Write([]byte("\n"))
	eventually(t, "exec", func() bool { c, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", key.PID)); return string(c) == "sleep\n" })
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, int32(os.Getpid()), "sleep")})
	eventually(t, "profile", func() bool { q := r.get(key); return q.Service == "sleep" && q.Runtime.Language == "c" })
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	d.Feed([]core.ProcessEvent{{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Signal: 15, Known: true}}})
	eventually(t, "exit", func() bool { e, ok := r.exit(key); return ok && e.Signal == 15 })
}

// 5,000 short-lived processes a second are told, not read.
func TestI47_StormOfShortLivesStarvesNobody(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	before := cpuTime(t)
	const batches, each = 100, 50 // in one second
	var batch []core.ProcessEvent
	for i := range batches {
		batch = batch[:0]
		for j := range each {
			key := core.ProcKey{PID: int32(1000 + i*each + j), Birth: uint64(1000 + i)}
			batch = append(batch, event(core.ProcessFork, key, 1, "sh"), event(core.ProcessExec, key, 1, "true"),
				core.ProcessEvent{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Known: true}})
		}
		d.Feed(batch)
		time.Sleep(10 * time.Millisecond)
	}
	eventually(t, "all ends", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.down) == batches*each
	})
	used := cpuTime(t) - before
	settle(t, d) // an end is told before the table forgets the process
	s := d.Stats()
	if s.ShortLived != batches*each || s.QueueLost != 0 || s.Profiled > 5 || s.Known != 1 {
		t.Errorf("%+v", s)
	}
	if reading := cpuOfReading(t, batches*each); used > reading {
		t.Errorf("%v of CPU for %d processes; to read them would take %v", used, batches*each, reading)
	}
}

// cpuOfReading is what it costs, here and now, to read n processes.
func cpuOfReading(t *testing.T, n int) time.Duration {
	t.Helper()
	p, err := openProc("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	stats := &counters{}
	r := newReader(p, &shared{programs: newPrograms(stats), containers: newContainers(), stats: stats})
	key, before := keyOf(t, os.Getpid()), cpuTime(t)
	const some = 500
	for range some {
		r.do(job{kind: jobIdentity, key: key})
		r.do(job{kind: jobProfile, key: key})
	}
	return (cpuTime(t) - before) * time.Duration(n) / some
}

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A process whose memory cannot be read must not keep others from being read.
func TestStuckReaderIsReplaced(t *testing.T) {
	p := newFakeProc(t)
	for pid := int32(100); pid < 103; pid++ { // more than there are readers
		p.put(pid, 50, 1, "trap", "trap")
		line := filepath.Join(p.root, fmt.Sprint(pid), "cmdline")
		_ = os.Remove(line)
		if err := syscall.Mkfifo(line, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := p.put(50, 40, 1, "good", "good")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	t.Cleanup(func() { // let them go, so that no goroutine is left
		for pid := 100; pid < 103; pid++ {
			line := filepath.Join(p.root, fmt.Sprint(pid), "cmdline")
			f, err := os.OpenFile(line, os.O_RDWR|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Error(err)
				continue
			}
			_ = os.Remove(line)
			time.Sleep(20 * time.Millisecond)
			_ = f.Close()
		}
	})
	eventually(t, "the trap, without its arguments", func() bool { q := r.pid(100); return q != nil && q.Comm == "trap" && q.Cmdline == "" })
	eventually(t, "the good one", func() bool { q := r.get(good); return q != nil && q.Exe == "/usr/bin/good" && q.Unit == "good.service" })
	// More than those three when the machine stood still while others were read.
	eventually(t, "three readers are replaced", func() bool { return d.Stats().Stuck >= 3 })
}

func TestI01_WhatIsMissingIsNamed(t *testing.T) {
	d, r := start(t, Config{})
	eventually(t, "ourselves", func() bool { return r.pid(os.Getpid()) != nil })
	if err := d.Run(context.Background()); err == nil {
		t.Error("a second Run must be an error")
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "handler") {
		t.Errorf("what is missing must be named: %v", err)
	}
}
