package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// The tests run in bubbles of synctest: time is fake and jumps only when every
// goroutine waits, so they are exact and take no time; and a goroutine that is
// left over when a test ends fails it.

// witness is a Reporter that remembers.
type witness struct {
	mu      sync.Mutex
	rows    map[string]core.UnitRow
	gone    []string
	events  []core.Event
	toggles *core.Toggles
	hold    chan struct{} // when set, every call waits for it
	panics  bool
}

func (w *witness) enter() func() {
	if w.hold != nil {
		<-w.hold
	}
	if w.panics {
		panic("reporter")
	}
	w.mu.Lock()
	return w.mu.Unlock
}

func (w *witness) Unit(r core.UnitRow) {
	defer w.enter()()
	if w.rows == nil {
		w.rows = make(map[string]core.UnitRow)
	}
	w.rows[r.ID] = r
}
func (w *witness) UnitGone(id string) {
	defer w.enter()()
	delete(w.rows, id)
	w.gone = append(w.gone, id)
}
func (w *witness) Event(e core.Event) {
	defer w.enter()()
	w.events = append(w.events, e)
}
func (w *witness) Toggles(t *core.Toggles) {
	defer w.enter()()
	w.toggles = t
}

func (w *witness) row(id string) core.UnitRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows[id]
}

// path returns the phases a unit went through, joined by spaces.
func (w *witness) path(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var phases []string
	for _, e := range w.events {
		if e.Unit == id && e.From != e.To {
			phases = append(phases, e.To)
		}
	}
	return strings.Join(phases, " ")
}

// last returns the newest event that ok accepts.
func (w *witness) last(ok func(core.Event) bool) (core.Event, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range slices.Backward(w.events) {
		if ok(e) {
			return e, true
		}
	}
	return core.Event{}, false
}

func (w *witness) notices() (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == core.EventNotice {
			texts = append(texts, e.Reason+": "+e.Error)
		}
	}
	return texts
}

// plant makes units of one spec and remembers what was done to them. Its hooks
// replace what a good unit does.
type plant struct {
	mu       sync.Mutex
	calls    []string
	now, max int // attached at the moment, and at most
	lastUnit *plantUnit

	make   func(n int) error
	attach func(ctx context.Context, n int) (core.Parts, error)
	serve  func(ctx context.Context, n int, ready func()) error
	detach func(ctx context.Context, n int) error
	choose func(core.Selection) error
}

func (p *plant) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

func (p *plant) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.calls, " ")
}

func (p *plant) count(call string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (p *plant) attached() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *plant) unit() *plantUnit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastUnit
}

// spec gives the recipe of a probe of its kind that selects processes.
func (p *plant) spec(kind string) core.Spec {
	made := 0
	return core.Spec{ID: "instrumentation/" + kind, Class: core.ClassInstrumentation, Kind: kind, Title: kind,
		Default: true, PerProcess: true,
		Make: func() (core.Unit, error) {
			made++
			p.note("make")
			if p.make != nil {
				if err := p.make(made); err != nil {
					return nil, err
				}
			}
			u := &plantUnit{p: p, n: made, exc: make(map[core.ProcKey]bool)}
			p.mu.Lock()
			p.lastUnit = u
			p.mu.Unlock()
			return u, nil
		}}
}

// machineWide gives the recipe of a probe that does not select.
func (p *plant) machineWide(kind string) core.Spec {
	s := p.spec(kind)
	s.PerProcess = false
	return s
}

func (p *plant) destination(kind string) core.Spec {
	s := p.machineWide(kind)
	s.ID, s.Class, s.Default = "destination/"+kind, core.ClassDestination, false
	return s
}

// plantUnit behaves like a probe: what it observes is a default and exceptions.
type plantUnit struct {
	p  *plant
	n  int
	in bool // attached

	mu  sync.Mutex
	def bool
	exc map[core.ProcKey]bool
}

func (u *plantUnit) Attach(ctx context.Context) (parts core.Parts, err error) {
	u.p.note("attach")
	if u.p.attach != nil {
		if parts, err = u.p.attach(ctx, u.n); err != nil {
			return nil, err
		}
	}
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	u.in = true
	u.p.now++
	u.p.max = max(u.p.max, u.p.now)
	return parts, nil
}

func (u *plantUnit) Serve(ctx context.Context, ready func()) error {
	u.p.note("serve")
	defer u.p.note("served")
	if u.p.serve != nil {
		return u.p.serve(ctx, u.n, ready)
	}
	ready()
	<-ctx.Done()
	return ctx.Err()
}

func (u *plantUnit) Detach(ctx context.Context) error {
	u.p.note("detach")
	if ctx.Err() != nil {
		u.p.note("DEAD-CONTEXT")
	}
	if u.p.detach != nil {
		if err := u.p.detach(ctx, u.n); err != nil {
			return err
		}
	}
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	if u.in {
		u.in = false
		u.p.now--
	}
	return nil
}

func (u *plantUnit) Select(s core.Selection) error {
	u.p.note("select")
	if u.p.choose != nil {
		if err := u.p.choose(s); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.def = s.Default
	for key, on := range s.Set {
		u.exc[key] = on
	}
	for _, key := range s.Clear {
		delete(u.exc, key)
	}
	return nil
}

// observes says whether the unit takes notice of a process.
func (u *plantUnit) observes(key core.ProcKey) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if on, ok := u.exc[key]; ok {
		return on
	}
	return u.def
}

// lab is a running supervisor with its witness.
type lab struct {
	*Supervisor
	*witness
	t      *testing.T
	cancel context.CancelFunc
	result chan error
}

// bench runs a test in a bubble with a supervisor that the test has not stopped.
func inLab(t *testing.T, cfg Config, f func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, cfg)
		f(l)
		if err := l.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func open(t *testing.T, cfg Config) *lab {
	w, _ := cfg.Reporter.(*witness)
	if w == nil {
		w = &witness{}
		cfg.Reporter = w
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func() float64 { return 0 }
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &lab{Supervisor: New(cfg), witness: w, t: t, cancel: cancel, result: make(chan error, 1)}
	go func() { l.result <- l.Run(ctx) }()
	synctest.Wait()
	return l
}

func (l *lab) stop() error {
	l.cancel()
	return <-l.result
}

// up tells of processes of service "web", pids as given.
func (l *lab) up(pids ...int32) {
	for _, pid := range pids {
		l.ProcessUp(proc(pid, "web"))
	}
	synctest.Wait()
}

func (l *lab) down(pids ...int32) {
	for _, pid := range pids {
		l.ProcessDown(key(pid), core.Exit{}, time.Now())
	}
	synctest.Wait()
}

func (l *lab) submit(i core.Intent) {
	l.t.Helper()
	if !l.Submit(i) {
		l.t.Fatalf("intent %v was refused", i)
	}
	synctest.Wait()
}

func (l *lab) toggle(kind string, scope core.Scope, target string, pid int32, to core.Choice) {
	l.t.Helper()
	k := core.ToggleKey{Kind: kind, Scope: scope, Target: target}
	if pid != 0 {
		k.Proc = key(pid)
	}
	l.submit(core.Intent{Op: core.IntentToggle, Key: k, Choice: to})
}

func (l *lab) wantPhase(id string, want core.Phase) core.UnitRow {
	l.t.Helper()
	r := l.row(id)
	if r.Phase != want {
		l.t.Fatalf("%s is %q, want %q; path: %s; message: %s", id, r.Phase, want, l.path(id), r.Message)
	}
	return r
}

func (l *lab) wantPath(id, want string) {
	l.t.Helper()
	if got := l.path(id); got != want {
		l.t.Errorf("path of %s\n got %s\nwant %s", id, got, want)
	}
}

func key(pid int32) core.ProcKey { return core.ProcKey{PID: pid, Birth: uint64(pid) * 100} }

func proc(pid int32, service string) *core.Process {
	return &core.Process{ProcKey: key(pid), PPID: 1, Comm: "app", Exe: "/bin/app", Service: service}
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var errFlaky = errors.New("flaky")

const (
	req = "instrumentation/requests"
	net = "instrumentation/network"
)
