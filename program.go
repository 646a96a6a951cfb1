package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/calls"
	"vitals/core/cli"
	"vitals/core/config"
	"vitals/core/discover"
	"vitals/core/engine"
	"vitals/core/instance"
	"vitals/core/integrations"
	"vitals/core/supervisor"
	"vitals/probes"
)

// program is all parts, wired. Facts flow from discovery and probes to the
// engine; what the user wants goes to the supervisor.
type program struct {
	engine     *engine.Engine
	supervisor *supervisor.Supervisor
	servers    *integrations.Manager
	discover   *discover.Discover
	probes     *probes.Set
	deletions  chan string // groups that the gateway shall forget
	log        *slog.Logger
	calls      *calls.Recorder
	pushes     lines

	web     web
	watched phases
	cancel  context.CancelFunc // of everything but the engine
	done    chan error

	// fail ends whoever waits for the program, with the reason; nil for nobody.
	fail context.CancelCauseFunc

	settings     settings                      // as at the start
	newest       atomic.Pointer[config.Loaded] // after a reload
	reloading    sync.Mutex
	rebudget     chan struct{} // the budget may have changed
	announcement *instance.Announcement
}

// settings is what a program is made of.
type settings struct {
	*cli.Options
	push   bool    // with the destinations and the gateway of the configuration
	screen bool    // somebody looks
	others []int32 // other running instances
	log    *slog.Logger
}

// tick is how often levels are read and pictures made. Without a screen nobody
// looks between two pushes.
func (s *settings) tick() time.Duration {
	if !s.screen && s.push {
		tick := 5 * time.Second
		for _, d := range s.Pushes() {
			tick = min(tick, d.Interval)
		}
		return max(s.Refresh, tick)
	}
	return s.Refresh
}

func newProgram(s settings) (*program, error) {
	p := &program{settings: s, calls: calls.New(), deletions: make(chan string, 16), rebudget: make(chan struct{}, 1), log: s.log, done: make(chan error, 1)}
	if !s.Config.Calls {
		p.calls = nil // a nil recorder ignores everything
	}
	p.engine = engine.New(engine.Config{
		Host: host(s), Version: version, Tick: s.tick(),
		Privileged: privileged(), Notice: notice(), Others: s.others,
		Programs: func() []core.Program { return p.probes.Programs() }, Calls: p.calls.Rows,
		Serves: func(k core.ProcKey, protocol string) { p.servers.Serves(k, protocol) },
		Limits: engine.Limits{
			RoutesPerProcess: s.Limits.RoutesPerProcess, SeriesPerProcess: s.Limits.SeriesPerProcess,
			Series: s.Limits.Series, Ended: s.Limits.EndedProcesses,
		},
	})
	p.probes = probes.New(probes.Env{
		Sink: p.engine, Processes: func(e []core.ProcessEvent) { p.discover.Feed(e) },
		Tick: s.tick(), RequestsRing: int(s.Limits.RequestsRing), Log: s.log,
		Floor: floored(),
	})
	p.engine.Kinds(kinds(p.probes.Specs()))
	p.integrate(s)
	specs, err := p.units(s)
	if err != nil {
		return nil, err
	}
	reporter := &reporter{Engine: p.engine, phases: &p.watched, servers: p.servers}
	p.supervisor = supervisor.New(supervisor.Config{
		Specs: specs, Toggles: &core.Toggles{Choices: s.Choices()}, Only: len(s.PIDs) > 0, Reporter: reporter, Log: s.log,
		StatePath: s.Paths.Toggles(), StateOwner: &supervisor.Owner{UID: s.Paths.User.UID, GID: s.Paths.User.GID}, Recorder: p.calls, DryRun: s.Rehearse,
		PushNow: p.pushes.ring,
		Reload:  p.reload,
	})
	p.discover, err = discover.New(discover.Config{
		Handler: fanOut{p.engine, p.supervisor, p.servers, p.probes}, Selection: selection(s.Config), PIDs: s.PIDs,
		Kernel: func() bool { return p.watched.running("lifecycle") },
		Usage:  p.engine.Usage, UsageEvery: max(s.tick(), time.Second),
		KernelUsage: func() bool { return p.watched.running("usage") },
		Lost:        p.engine.Lost, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// units are the recipes of everything that the settings ask for.
func (p *program) units(s settings) ([]core.Spec, error) {
	specs := slices.Clone(p.probes.Specs())
	if s.Rehearse {
		specs = checked(specs)
	}
	specs = append(specs, p.servers.Specs()...)
	if s.push {
		pushes, err := p.pushUnits(s)
		if err != nil {
			return nil, err
		}
		specs = append(specs, pushes...)
		gateway, wanted, err := p.receiver(s)
		if err != nil {
			return nil, err
		}
		if wanted {
			specs = append(specs, gateway)
		}
	}
	return specs, nil
}

// start runs all parts until stop. The engine goes last: a final push and a
// last look need it.
func (p *program) start(ctx context.Context) {
	hurry()
	if len(p.settings.Command) == 0 {
		hurrySession()
	}
	ctx, p.cancel = context.WithCancel(ctx)
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	engineDone := p.run(engineCtx, "engine", p.engine.Run)
	feeders := []<-chan error{
		p.run(ctx, "supervisor", p.supervisor.Run),
		p.run(ctx, "discovery", p.discover.Run),
		p.run(ctx, "integrations", p.servers.Run),
		p.run(ctx, "cost meter", p.probes.Run),
		p.run(ctx, "failing pushes", p.tellFailing),
	}
	if p.settings.screen || p.settings.push { // what lasts
		feeders = append(feeders, p.run(ctx, "configuration", p.watchConfig), p.run(ctx, "budget", p.keepBudget))
	}
	feeders = append(feeders, p.serving(ctx)...)
	go p.giveBack(ctx)
	go func() {
		var errs []error
		for _, f := range feeders {
			errs = append(errs, <-f)
		}
		stopEngine()
		p.done <- errors.Join(append(errs, <-engineDone)...)
	}()
}

// giveBack returns memory to the system that is not needed any more: attaching
// reads the kernel's types and the first look reads every process, tens of MiB
// that the runtime would keep. Each time costs some milliseconds.
func (p *program) giveBack(ctx context.Context) {
	p.attached(ctx)
	for pause := 10 * time.Second; ; pause = time.Minute {
		debug.FreeOSMemory()
		wait(ctx, pause)
		if ctx.Err() != nil {
			return
		}
	}
}

// stop detaches everything and waits for it; the error names what could not be.
func (p *program) stop() error {
	p.cancel()
	return <-p.done
}

// run starts a part. A part that fails is logged and told when the program
// stops; the others go on.
func (p *program) run(ctx context.Context, name string, f func(context.Context) error) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%s: panic: %v", name, r)
				p.log.Error("a part stopped", "part", name, "error", err, "stack", string(debug.Stack()))
				if p.fail != nil {
					p.fail(err)
				}
			}
			done <- err
		}()
		if err = f(ctx); errors.Is(err, context.Canceled) {
			err = nil
		}
		switch {
		case errors.Is(err, core.ErrUnsupported): // a lack of rights is no failure of the run
			p.log.Warn("a part is not to be had here", "part", name, "error", err)
			err = nil
		case err != nil:
			p.log.Error("a part stopped", "part", name, "error", err)
		}
	}()
	return done
}

// settled reports whether the processes are known, all of them, and every probe
// that is wanted runs, or cannot. The first processes may be such that want none.
func (p *program) settled() bool { return p.discover.Ready() && p.supervisor.Settled() }

// attached waits until everything is settled.
func (p *program) attached(ctx context.Context) {
	for !p.settled() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func kinds(specs []core.Spec) []core.KindRow {
	var rows []core.KindRow
	for _, s := range specs {
		rows = append(rows, core.KindRow{Kind: s.Kind, Title: s.Title, Help: s.Help, Default: s.Default, PerProcess: s.PerProcess})
	}
	return rows
}

func selection(c config.Config) discover.Selection {
	s := discover.Selection{Include: c.Include, Exclude: c.Exclude}
	for _, g := range c.Groups {
		s.Groups = append(s.Groups, discover.Group{Name: g.Name, Select: g.Match, Service: g.Service, Attributes: g.Attributes})
	}
	return s
}

// fanOut tells the engine, the supervisor, the manager of integrations and the
// probes of processes, in this order.
type fanOut struct {
	engine     *engine.Engine
	supervisor *supervisor.Supervisor
	servers    *integrations.Manager
	probes     *probes.Set
}

func (f fanOut) ProcessUp(p *core.Process) {
	f.engine.ProcessUp(p)
	f.supervisor.ProcessUp(p)
	f.servers.ProcessUp(p)
	f.probes.Came(p)
}
func (f fanOut) ProcessChanged(p *core.Process) {
	f.engine.ProcessChanged(p)
	f.supervisor.ProcessChanged(p)
	f.servers.ProcessChanged(p)
	f.probes.Came(p)
}
func (f fanOut) ProcessDown(k core.ProcKey, x core.Exit, at time.Time) {
	f.engine.ProcessDown(k, x, at)
	f.supervisor.ProcessDown(k, x, at)
	f.servers.ProcessDown(k, x, at)
	f.probes.Went(k)
}

// reporter hands unit facts to the engine and remembers their phases, so that
// discovery knows whether the kernel tells it.
type reporter struct {
	*engine.Engine
	*phases
	servers *integrations.Manager
}

func (r *reporter) Unit(u core.UnitRow) {
	r.phases.set(u)
	r.Engine.Unit(u)
	r.servers.Unit(u)
}

// phases is the newest phase of each unit.
type phases struct {
	mu sync.Mutex
	by map[string]core.UnitRow
}

func (p *phases) set(u core.UnitRow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]core.UnitRow{}
	}
	if p.by[u.ID] = u; u.Phase == core.PhaseGone {
		delete(p.by, u.ID)
	}
}

func (p *phases) running(kind string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.by {
		if u.Kind == kind && u.Class == core.ClassInstrumentation {
			return u.Phase == core.PhaseRunning
		}
	}
	return false
}

func host(s settings) core.Host {
	h := core.Host{Name: s.InstanceName(), Instance: s.InstanceName(), CPUs: runtime.NumCPU()}
	if name, err := os.Hostname(); err == nil {
		h.Name = core.Clean(name, core.MaxName)
	}
	var m unix.Sysinfo_t
	if unix.Sysinfo(&m) == nil {
		h.MemoryBytes = uint64(m.Totalram) * uint64(m.Unit)
		h.BootTime = time.Now().Add(-time.Duration(m.Uptime) * time.Second)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return h
}

// company says that this vitals is not alone: both work, each has its own cost.
func (p *program) company() []string {
	if len(p.settings.others) == 0 {
		return nil
	}
	pids := strings.Trim(fmt.Sprint(p.settings.others), "[]")
	return []string{"another vitals runs already (pid " + pids + "): both work, and each has its cost"}
}

// floored is whether the probes shall do with what the oldest kernels have.
func floored() bool { return os.Getenv("VITALS_FLOOR") == "1" }

func privileged() bool { return os.Geteuid() == 0 }

// notice is what the user should know before anything else.
func notice() string {
	if privileged() {
		return ""
	}
	return "not root: processes only. sudo vitals adds requests, latency, network and exact lifecycle"
}
