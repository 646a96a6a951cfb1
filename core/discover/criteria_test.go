package discover

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

// The same pid with another program is evaluated anew: what the old program
// said of itself is forgotten, where the process belongs stays.
func TestI27_ExecIsEvaluatedAnew(t *testing.T) {
	p := newFakeProc(t)
	key := p.put(100, 50, 1, "bash", "bash", "-c", "exec node")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, Selection: Selection{
		Groups: []Group{{Name: "web", Select: []string{"name=node"}}},
	}})
	eventually(t, "the shell", func() bool { q := r.get(key); return q != nil && q.Unit == "bash.service" })
	p.put(100, 50, 1, "node", "node", "shop.js")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "node")})
	eventually(t, "the program that replaced it", func() bool {
		q := r.get(key)
		return q.Comm == "node" && q.Exe == "/usr/bin/node" && q.Cmdline == "node shop.js" && q.Group == "web" && q.Unit == "node.service"
	})
	if _, ended := r.exit(key); ended {
		t.Error("an exec is not the end of the process")
	}
}

// A shell that is not meant is skipped without a word, and not looked at again,
// until it executes what is meant.
func TestI30_SkippedQuietlyAndOnce(t *testing.T) {
	p := newFakeProc(t)
	key := p.put(100, 50, 1, "sh", "sh", "run.sh")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, Selection: Selection{Include: []string{"name=mail"}}})
	eventually(t, "skipped", func() bool {
		q := r.get(key)
		return q != nil && q.Skip == "not included by any rule" && q.Unit != "" && d.Stats().Profiled == 2
	})
	before, profiled := r.history(key), d.Stats().Profiled
	time.Sleep(100 * time.Millisecond)
	if r.history(key) != before || d.Stats().Profiled != profiled {
		t.Errorf("it is looked at again and again: %s", r.history(key))
	}
}

func TestI31_SkippedUntilItExecutesWhatIsMeant(t *testing.T) {
	p := newFakeProc(t)
	key := p.put(100, 50, 1, "sh", "sh", "run.sh")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always, Selection: Selection{Include: []string{"name=mail"}}})
	eventually(t, "skipped", func() bool { q := r.get(key); return q != nil && q.Skip != "" })
	p.put(100, 50, 1, "mail", "mail")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, key, 1, "mail")})
	eventually(t, "no longer skipped", func() bool { return r.get(key).Skip == "" })
}

func TestI32_ZombiesAndKernelThreadsAreNotForInstrumentation(t *testing.T) {
	p := newFakeProc(t)
	zombie := p.put(100, 50, 1, "dead", "dead")
	thread := p.put(101, 51, 2, "kworker", "")
	for pid, line := range map[int]string{
		100: "100 (dead) " + statRest("Z", "1", "0", "1", "50", "0"),
		101: "101 (kworker) " + statRest("S", "2", "2097152", "1", "51", "0"),
	} {
		if err := os.WriteFile(filepath.Join(p.root, fmt.Sprint(pid), "stat"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "both", func() bool { return r.get(zombie) != nil && r.get(thread) != nil })
	if a, b := r.get(zombie).Skip, r.get(thread).Skip; !strings.HasPrefix(a, "zombie") || b != "kernel thread" {
		t.Errorf("zombie %q, kernel thread %q", a, b)
	}
}

// Whatever comes for one process is told in its order, also when a hundred
// others come between.
func TestI49_EventsOfAProcessAreToldInOrder(t *testing.T) {
	p := newFakeProc(t)
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "init", func() bool { return r.pid(1) != nil })
	const n = 200
	var steps [4][]core.ProcessEvent
	for i := range int32(n) {
		key := core.ProcKey{PID: 1000 + i, Birth: 60}
		steps[0] = append(steps[0], event(core.ProcessFork, key, 1, "one"))
		steps[1] = append(steps[1], event(core.ProcessExec, key, 1, "two"))
		steps[2] = append(steps[2], event(core.ProcessExec, key, 1, "three"))
		steps[3] = append(steps[3], core.ProcessEvent{Kind: core.ProcessExit, ProcKey: key, Exit: core.Exit{Code: int(i % 250), Known: true}})
	}
	for _, s := range steps {
		d.Feed(s)
	}
	eventually(t, "all ends", func() bool {
		_, last := r.exit(core.ProcKey{PID: 1000 + n - 1, Birth: 60})
		return last
	})
	for i := range int32(n) {
		key := core.ProcKey{PID: 1000 + i, Birth: 60}
		if h := r.history(key); !strings.HasPrefix(h, "up one") || !strings.HasSuffix(h, "changed three, down") {
			t.Fatalf("process %d: %s", key.PID, h)
		}
		if e, _ := r.exit(key); e.Code != int(i%250) {
			t.Fatalf("process %d: exit %+v", key.PID, e)
		}
	}
}

// Without a /proc nothing can be discovered: Run says so and what to do.
func TestI57_NoProcIsAnErrorWithARemedy(t *testing.T) {
	d, err := New(Config{Handler: newRecorder(t), ProcRoot: "/nowhere/proc"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "/nowhere/proc") || !strings.Contains(err.Error(), "mount") {
		t.Errorf("Run: %v", err)
	}
}

func TestI61_NameOfAServiceInItsOrder(t *testing.T) {
	full := func() *tracked {
		return &tracked{comm: "node", id: &identity{program: "billing"}, profile: &profile{
			place: place{unit: "shop.service", container: id64}, containerName: "shop-1",
			environment: environment{service: "shop-api"},
		}}
	}
	steps := []struct {
		want string
		take func(*tracked)
	}{
		{"shop-api", func(t *tracked) { t.profile.service = "" }},
		{"shop-1", func(t *tracked) { t.profile.containerName = "" }},
		{id64[:12], func(t *tracked) { t.profile.container = "" }},
		{"shop", func(t *tracked) { t.profile.unit = "" }},
		{"billing", func(t *tracked) { t.id = nil }},
		{"node", func(*tracked) {}},
	}
	tr := full()
	for _, s := range steps {
		if got := serviceName(tr); got != s.want {
			t.Errorf("service %q, want %q", got, s.want)
		}
		s.take(tr)
	}
}

// A process that carries an OpenTelemetry SDK says so in its description, and a
// rule can leave such processes alone.
func TestI71_SDKInsideIsToldAndCanBeSkipped(t *testing.T) {
	p := newFakeProc(t)
	agent := p.put(100, 50, 1, "java", "java", "-javaagent:/otel/opentelemetry-javaagent.jar", "-jar", "shop.jar")
	environ := p.put(101, 51, 1, "node", "node", "shop.js")
	if err := os.WriteFile(filepath.Join(p.root, "101/environ"), []byte("NODE_OPTIONS=--require @opentelemetry/auto-instrumentations-node/register\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := p.put(102, 52, 1, "nginx", "nginx")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	sdk := func(k core.ProcKey) string {
		if q := r.get(k); q != nil {
			return q.Runtime.SDK
		}
		return ""
	}
	eventually(t, "the badges", func() bool {
		q := r.get(plain)
		return sdk(agent) == "opentelemetry-java agent" && sdk(environ) == "opentelemetry-js" && q != nil && q.Unit == "nginx.service"
	})
	if err := d.Select(Selection{Exclude: []string{"sdk=*"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "left alone", func() bool { return r.get(agent).Skip == "excluded by rule sdk=*" && r.get(environ).Skip != "" })
	if q := r.get(plain); q.Skip != "" || q.Runtime.SDK != "" {
		t.Errorf("%+v", q)
	}
}

// Service name and attributes of a group are applied live, and taken back.
func TestI73_NameAndAttributesOfAGroupAreAppliedLive(t *testing.T) {
	p := newFakeProc(t)
	key := p.put(100, 50, 1, "shop", "shop")
	d, r := start(t, Config{ProcRoot: p.root, Kernel: always})
	eventually(t, "as it is", func() bool { q := r.get(key); return q != nil && q.Unit == "shop.service" && q.Service == "shop" })
	if err := d.Select(Selection{Groups: []Group{{Name: "web", Select: []string{"unit=shop*"}, Service: "frontend", Attributes: map[string]string{"team": "red"}}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "as the group says", func() bool {
		q := r.get(key)
		return q.Group == "web" && q.Service == "frontend" && q.Attributes["team"] == "red"
	})
	late := p.put(101, 60, 1, "shop2", "shop2")
	d.Feed([]core.ProcessEvent{event(core.ProcessExec, late, 1, "shop2")})
	eventually(t, "a member that came later", func() bool { q := r.get(late); return q != nil && q.Service == "frontend" })
	if err := d.Select(Selection{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "as it was", func() bool { q := r.get(key); return q.Group == "" && q.Service == "shop" && len(q.Attributes) == 0 })
	if h := r.history(key); strings.Contains(h, "down") {
		t.Errorf("history %s", h)
	}
}

// With the kernel's stream on, /proc is compared every 30 s all the same: what
// is gone without a word has ended, what is there without a word has begun.
func TestI26_ReconciledEvery30Seconds(t *testing.T) {
	p := newFakeProc(t)
	gone := p.put(100, 50, 1, "gone", "gone")
	r := newRecorder(t)
	d, err := New(Config{Handler: r, ProcRoot: p.root, Kernel: always, Self: nobody})
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(d) // its loop is played by the test, with a clock of its own
	if w.proc, err = openProc(p.root); err != nil {
		t.Fatal(err)
	}
	defer w.proc.close()
	w.now, w.kernel = time.Now().Add(-31*time.Second), true
	w.kernelAt, w.usageAt = w.now.Add(time.Hour), w.now.Add(time.Hour)
	pass := func(d time.Duration) { w.now = w.now.Add(d); w.onTime() }
	w.starting = false
	w.look(true)
	pass(freshDelay)
	for _, tr := range w.table {
		w.tell(tr)
	}
	p.remove(100)
	fresh := p.put(200, 60, 1, "fresh", "fresh")
	pass(29 * time.Second)
	if r.get(gone) == nil || w.table[200] != nil {
		t.Error("looked before the time")
	}
	pass(time.Second)
	if w.table[200] == nil || w.table[200].key != fresh || r.get(gone) == nil {
		t.Error("not compared after 30 s, or the end told without waiting for the kernel's word")
	}
	pass(graceOfExit)
	if e, ended := r.exit(gone); !ended || e.Known {
		t.Errorf("the end that nobody told: %+v %v", e, ended)
	}
	if s := d.Stats(); s.Looks != 2 || s.Synthetic != 2 {
		t.Errorf("%+v", s)
	}
}
