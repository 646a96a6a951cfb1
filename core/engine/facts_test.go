package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

func (b *bench) young(pid int32, service string) *core.Process {
	p := proc(pid, service)
	p.Started = b.state.cfg.Now()
	return p
}

func TestProcessEventsInWords(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(&core.Process{ProcKey: core.ProcKey{PID: 1, Birth: 1}, Comm: "systemd", Exe: "/sbin/init", Cmdline: "/sbin/init", Started: begin.Add(-time.Hour)})
	b.drain()
	if s := b.look(); len(s.Events) != 0 {
		t.Fatalf("a process that was there already is an event: %+v", s.Events)
	}
	b.pass(time.Second)
	p := b.young(50, "app")
	p.Cmdline = "/usr/bin/python3 app.py"
	b.ProcessUp(p)
	b.drain()
	fork := *p
	fork.ProcKey, fork.PPID = key(51), 50
	b.ProcessUp(&fork)
	b.look()
	short := *p
	short.ProcKey, short.PPID = key(52), 50
	b.ProcessUp(&short) // its exec tells it better
	execed := short
	execed.Cmdline = "ls"
	b.ProcessChanged(&execed)
	again := *p
	again.Exe, again.Cmdline = "/bin/sh", "sh -c true"
	b.ProcessChanged(&again)
	for i, x := range []core.Exit{{Known: true}, {Known: true, Signal: 9}, {Known: true, Signal: 11, Core: true}, {Known: true, Code: 3}, {}} {
		b.ProcessUp(proc(int32(60+i), "job"))
		b.ProcessDown(key(int32(60+i)), x, b.state.cfg.Now())
	}
	s := b.look()
	var got []string
	for i, e := range s.Events {
		if e.Seq != uint64(i+1) || e.At.IsZero() || e.Proc.PID == 0 || e.Service == "" {
			t.Errorf("%+v", e)
		}
		got = append(got, string(e.Kind)+": "+e.Reason)
	}
	want := []string{
		"exec: exec python3 app.py, parent systemd(1)",
		"fork: fork of app(50)",
		"exec: exec ls, parent app(50)",
		"exec: exec sh -c true, parent systemd(1)",
		"exit: exit 0, job -d",
		"exit: exit 137, killed by SIGKILL, job -d",
		"exit: exit 139, killed by SIGSEGV, core dumped, job -d",
		"exit: exit 3, job -d",
		"exit: exit, how is not known, job -d",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A storm of short-lived processes is told in one event a second and leaves
// nothing behind.
func TestStormIsSummarisedAndBounded(t *testing.T) {
	b := newBench(t)
	b.pass(time.Second)
	const storm = 20000
	for pid := int32(100); pid < 100+storm; pid++ {
		b.ProcessUp(b.young(pid, fmt.Sprintf("job%d", pid)))
		b.Usage([]core.Usage{usageOf(pid, 1e6)})
		b.ProcessDown(key(pid), core.Exit{Known: true}, b.state.cfg.Now())
		b.drain()
	}
	s := b.wait(time.Second)
	if len(s.Processes) != 0 || len(b.state.procs) != 0 || len(b.state.services) != 0 || len(b.state.gone.byKey) > maxGraves || len(b.state.live) != 0 {
		t.Errorf("left: %d rows, %d processes, %d services, %d graves", len(s.Processes), len(b.state.procs), len(b.state.services), len(b.state.gone.byKey))
	}
	last := s.Events[len(s.Events)-1]
	if len(s.Events) != 51 || last.Kind != core.EventNotice || !strings.Contains(last.Reason, fmt.Sprintf("%d exec", storm-25)) || !strings.Contains(last.Reason, fmt.Sprintf("%d exit", storm-25)) {
		t.Errorf("%d events, the last: %s", len(s.Events), last.Reason)
	}
	b.wait(40 * time.Second)
	if len(b.state.gone.byKey) != 0 {
		t.Errorf("%d graves stay", len(b.state.gone.byKey))
	}
}

func TestEventsAreNumberedAndBounded(t *testing.T) {
	b := newBench(t)
	var early *core.Snapshot
	for i := range 5000 {
		b.Event(core.Event{Kind: core.EventNotice, Reason: fmt.Sprint(i)})
		b.drain()
		if i == 1500 {
			early = b.look()
		}
	}
	s := b.look()
	if len(s.Events) != core.MaxEvents || s.Events[0].Seq != 4001 || s.Events[999].Reason != "4999" {
		t.Errorf("%d events from %d", len(s.Events), s.Events[0].Seq)
	}
	if early.Events[0].Seq != 502 || early.Events[999].Reason != "1500" {
		t.Error("a published snapshot changed")
	}
}

func TestInstrumentationFollowsTogglesAndUnits(t *testing.T) {
	b := newBench(t)
	defaults := map[string]bool{"requests": true, "usage": true}
	b.ProcessUp(proc(7, "web"))
	b.ProcessUp(proc(8, "db"))
	kernel := proc(9, "")
	kernel.Skip = "kernel thread"
	b.ProcessUp(kernel)
	b.Toggles(&core.Toggles{Defaults: defaults})
	b.Unit(core.UnitRow{ID: "instrumentation/requests", Class: core.ClassInstrumentation, Kind: "requests", Phase: core.PhaseAttaching, Health: core.HealthStarting})
	s := b.look()
	if in := processOf(t, s, 7).Instr; in[0].Phase != core.PhaseAttaching || !in[0].On || in[1].Phase != core.PhaseNew {
		t.Errorf("%+v", in)
	}
	if s.Totals.Attaching != 2 || s.Totals.Instrumented != 0 || s.Totals.Processes != 3 {
		t.Errorf("%+v", s.Totals)
	}
	b.pass(time.Second)
	b.Unit(core.UnitRow{ID: "instrumentation/requests", Class: core.ClassInstrumentation, Kind: "requests", Phase: core.PhaseRunning, Health: core.HealthOK})
	s = b.look()
	since := processOf(t, s, 7).Instr[0].Since
	if s.Totals.Instrumented != 2 || !serviceOf(t, s, "web").On || !since.Equal(begin.Add(time.Second)) {
		t.Errorf("%+v since %v", s.Totals, since)
	}
	if in := processOf(t, s, 9).Instr[0]; in.On || in.Reason != "kernel thread" {
		t.Errorf("%+v", in)
	}
	b.pass(time.Second)
	b.Toggles(&core.Toggles{Defaults: defaults, Choices: map[core.ToggleKey]core.Choice{{Kind: "requests", Scope: core.ScopeService, Target: "db"}: core.Off}})
	before := processOf(t, s, 7)
	s = b.look()
	if in := processOf(t, s, 8).Instr[0]; in.On || in.Phase != core.PhaseOff || in.Reason != "off for service db" {
		t.Errorf("%+v", in)
	}
	if processOf(t, s, 7) != before || serviceOf(t, s, "db").On || s.Totals.Instrumented != 1 {
		t.Error("a toggle of one service changes others")
	}
	b.Unit(core.UnitRow{ID: "instrumentation/requests", Class: core.ClassInstrumentation, Kind: "requests", Phase: core.PhaseUnsupp, Message: "needs kernel 6.3"})
	s = b.look()
	if in := processOf(t, s, 7).Instr[0]; in.Phase != core.PhaseUnsupp || in.Reason != "needs kernel 6.3" {
		t.Errorf("%+v", in)
	}
	b.UnitGone("instrumentation/requests")
	if s = b.look(); len(s.Units) != 0 {
		t.Error("the unit is still there")
	}
}

func TestEdgesFindLocalServices(t *testing.T) {
	b := newBench(t)
	db := proc(20, "db")
	db.Listeners = []core.Listener{{Network: "tcp", Address: "0.0.0.0:5000"}}
	b.ProcessUp(proc(10, "web"))
	call := func(peer string, n int) {
		for range n {
			r := b.request(10, "/q", 200, time.Millisecond)
			r.Role, r.Peer = core.RoleClient, peer
			b.Requests([]core.Request{r})
		}
	}
	call("localhost:5000", 3)
	call("api.example.com", 2)
	for range 4 {
		b.Requests([]core.Request{b.request(10, "/in", 200, time.Millisecond)})
	}
	s := b.wait(time.Second)
	edges := func(s *core.Snapshot) string {
		var l []string
		for _, e := range s.Edges {
			l = append(l, fmt.Sprintf("%s>%s:%d", e.From, e.To, e.Count))
		}
		return strings.Join(l, " ")
	}
	if got := edges(s); got != "outside>web:4 web>api.example.com:2 web>localhost:5000:3" {
		t.Errorf("%s", got)
	}
	b.ProcessUp(db) // discovered later: what was asked of its address was asked of it
	call("127.0.0.1:5000", 1)
	call("box:5000", 1)
	for range 5 {
		b.Requests([]core.Request{b.request(20, "/q", 200, time.Millisecond)})
	}
	s = b.wait(time.Second)
	if got := edges(s); got != "outside>web:4 web>api.example.com:2 web>db:5" {
		t.Errorf("%s", got)
	}
	db = proc(20, "db")
	b.ProcessChanged(db) // listens no more
	if got := edges(b.wait(time.Second)); got != "outside>db:5 outside>web:4 web>127.0.0.1:5000:1 web>api.example.com:2 web>box:5000:1 web>localhost:5000:3" {
		t.Errorf("%s", got)
	}
}

func TestSplitPeer(t *testing.T) {
	for _, c := range []struct {
		peer string
		tls  bool
		host string
		port uint16
	}{
		{"a.b", false, "a.b", 80}, {"a.b", true, "a.b", 443}, {"a.b:81", false, "a.b", 81}, {"[::1]:9", false, "::1", 9},
		{"::1", false, "::1", 80}, {"[::1]", false, "::1", 80}, {"a:b:c", false, "a:b:c", 80}, {":", false, ":", 80}, {"x:99999", false, "x:99999", 80},
	} {
		if h, p := splitPeer(c.peer, c.tls); h != c.host || p != c.port {
			t.Errorf("%q: %q %d", c.peer, h, p)
		}
	}
}

func TestHealthComparesWithTheUsual(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	serve := func(seconds int, took time.Duration, failing int) (s *core.Snapshot) {
		for range seconds {
			for i := range 20 {
				status := 200
				if i < failing {
					status = 503
				}
				b.Requests([]core.Request{b.request(7, "/", status, took)})
			}
			s = b.wait(time.Second)
		}
		return s
	}
	if w := serviceOf(t, serve(60, 20*time.Millisecond, 0), "web"); w.Health != core.HealthOK || w.Message != "" {
		t.Errorf("usual: %v %s", w.Health, w.Message)
	}
	if w := serviceOf(t, serve(10, 100*time.Millisecond, 0), "web"); w.Health != core.HealthDegraded || w.Message != "p99 100ms, 5.0x its 5-min median" {
		t.Errorf("slow: %v %q", w.Health, w.Message)
	}
	if w := serviceOf(t, serve(20, 20*time.Millisecond, 0), "web"); w.Health != core.HealthOK {
		t.Errorf("well again: %v %q", w.Health, w.Message)
	}
	if w := serviceOf(t, serve(6, 20*time.Millisecond, 5), "web"); w.Health != core.HealthDegraded || w.Message != "25% of requests fail, its 5-min median is 0.0%" {
		t.Errorf("failing: %v %q", w.Health, w.Message)
	}
	if w := serviceOf(t, b.wait(15*time.Second), "web"); w.Health != core.HealthOK {
		t.Errorf("idle: %v %q", w.Health, w.Message)
	}
}
