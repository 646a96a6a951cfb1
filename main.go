// Vitals shows what every process on this machine is doing: requests, errors,
// latency, network, CPU and lifecycle, in the terminal or pushed to a gateway.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"vitals/core"
	"vitals/core/cli"
	"vitals/core/config"
	"vitals/core/diagnose"
	"vitals/core/discover"
	"vitals/core/expose"
	"vitals/core/instance"
	"vitals/core/logfile"
	"vitals/probes"
	"vitals/push"
	"vitals/themes"
	"vitals/ui"
)

// Set by the Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == waitingArg {
		os.Exit(becomeCommand(os.Args[2:]))
	}
	// The live heap is a few MiB: collecting at half again of it, not at double,
	// keeps the resident size down for a little CPU.
	debug.SetGCPercent(50)
	// Libraries that write to the standard log would write onto the screen.
	stdlog.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], actions(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func actions() cli.Actions {
	return cli.Actions{
		Dashboard: dashboard, Headless: headless, Snapshot: snapshot, Why: why, Check: check, Gateway: receive,
		Capabilities: capabilities, Themes: themes.WriteList, ShowTheme: themes.WriteTheme, Checks: checks,
		Version: version, Commit: commit,
		TTY: term.IsTerminal(int(os.Stdout.Fd())),
	}
}

// dashboard shows the screen until the user quits, then takes everything out of
// the kernel again.
func dashboard(ctx context.Context, r *cli.Options) error {
	kept, warnings := remembered(r)
	theme, err := chosenTheme(r, kept.Theme)
	if err != nil {
		return cli.Usage(err)
	}
	log, closeLog, err := fileLog(r)
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	defer closeLog()
	drawn := r.TTY && !r.Plain
	started, err := startCommand(r, drawn)
	if err != nil {
		return cli.Usage(err)
	}
	defer started.end()
	p, err := build(r, settings{screen: true, push: true, log: log})
	if err != nil {
		return cli.Usage(err)
	}
	defer p.announcement.Close()
	if err := p.open(); err != nil {
		return err
	}
	save := func() error { return r.Paths.SaveState(r.Paths.State(), kept) }
	kept.State.Save = func(s ui.State) error { kept.State = s; return save() }
	ctx, stop := untilHangup(ctx)
	defer stop()
	ctx, p.fail = context.WithCancelCause(ctx)
	p.start(ctx)
	go started.release(ctx, p.attached)
	switch { // without a screen the command's end is ours
	case started != nil && !r.TTY:
		started.wait(ctx) // one look follows, at what it did
		p.settle(ctx)
	case !drawn:
		ctx, stop = started.until(ctx)
		defer stop()
	}
	err = ui.Run(ctx, ui.Config{
		Source: p.engine, Control: asker{control{p.supervisor, p.deletions}, p.servers},
		Metrics: func(s *core.Snapshot) []core.MetricInfo { return expose.Catalogue(s, 50) },
		Theme:   theme, Themes: func() []themes.Theme { return allThemes(r.Paths) },
		SaveTheme: func(name string) error { kept.Theme = name; return save() },
		State:     kept.State,
		As:        r.Paths.User.Do,
		Refresh:   r.Refresh, Color: r.Color, ASCII: r.ASCII, Plain: r.Plain,
		Rewind: r.Limits.Rewind, FocusPID: focus(r.PIDs), Version: version, Warnings: slices.Concat(r.Notes(), warnings, p.company(), unfit(r), started.note()),
	})
	started.end()
	return errors.Join(err, p.stop(), started.outcome())
}

// memory is what the dashboard remembers from one run to the next.
type memory struct {
	ui.State
	Theme string `json:"theme,omitempty"`
}

func remembered(r *cli.Options) (m memory, warnings []string) {
	if err := r.Paths.LoadState(r.Paths.State(), &m); err != nil {
		return memory{}, []string{err.Error()}
	}
	return m, nil
}

// headless pushes until it is told to stop; the last push comes on the way out.
// The log has one line for each change of a unit's life.
func headless(ctx context.Context, r *cli.Options) error {
	started, err := startCommand(r, false)
	if err != nil {
		return cli.Usage(err)
	}
	defer started.end()
	p, err := build(r, settings{push: !r.Once && !r.DryRun, log: stderrLog(r, r.Once || r.DryRun)})
	if err != nil {
		return cli.Usage(err)
	}
	defer p.announcement.Close()
	for _, line := range p.company() {
		p.log.Warn(line)
	}
	if !r.Once && !r.DryRun {
		if err := p.open(); err != nil {
			return err
		}
	}
	ctx, p.fail = context.WithCancelCause(ctx) // who pushes what a dead part left behind tells lies
	defer p.fail(nil)
	p.start(ctx)
	running, stop := started.until(ctx)
	defer stop()
	go started.release(ctx, p.attached)
	switch {
	case r.DryRun:
		p.lookOnce(ctx, running, started)
		err = push.DryRun(ctx, r.Stdout, p.destinations(p.settings)...)
	case r.Once:
		p.lookOnce(ctx, running, started)
		err = push.Once(ctx, p.destinations(p.settings)...)
	default:
		<-running.Done()
	}
	started.end()
	return errors.Join(err, p.stop(), started.outcome())
}

// lookOnce watches a command to its end, without one for a second.
func (p *program) lookOnce(ctx, running context.Context, started *command) {
	p.attached(ctx)
	if started == nil {
		wait(ctx, time.Second)
		return
	}
	<-running.Done()
	p.settle(ctx)
}

// settle takes in what has been captured until now, before a last look.
func (p *program) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a part may have failed
	defer cancel()
	p.probes.Settle(ctx)
	p.discover.Settle(ctx)
}

// snapshot watches for a while and prints what it saw; an interrupt ends the
// while early.
func snapshot(ctx context.Context, r *cli.Options) error {
	p, err := build(r, settings{log: stderrLog(r, true)})
	if err != nil {
		return cli.Usage(err)
	}
	defer p.announcement.Close()
	// The look itself must outlive the interrupt that ends the waiting.
	p.start(context.WithoutCancel(ctx))
	p.attached(ctx)
	p.engine.Begin()
	fmt.Fprintf(r.Stderr, "watching for %v\n", r.For)
	wait(ctx, r.For)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	p.settle(flush)
	look := p.engine.Flush(flush)
	if err := p.stop(); err != nil {
		fmt.Fprintf(r.Stderr, "vitals: %v\n", err)
	}
	switch r.Output {
	case "json":
		return expose.WriteJSON(r.Stdout, look)
	case "prometheus":
		return expose.WriteText(r.Stdout, expose.Families(look))
	}
	return expose.WriteTable(r.Stdout, look)
}

// build wires the program for a command and tells other copies that it is there.
func build(r *cli.Options, s settings) (*program, error) {
	a, others, err := instance.Announce(instance.Place{Dir: instance.Dir}, instance.Place{Dir: r.Paths.StateDir, As: r.Paths.User.Do})
	if err != nil {
		s.log.Debug("other copies cannot see this one", "error", err)
	}
	s.Options, s.others = r, others
	p, err := newProgram(s)
	if err != nil {
		a.Close()
		return nil, err
	}
	p.announcement = a
	return p, nil
}

// stderrLog is the log of what runs without a screen. A single look says only
// what went wrong, unless asked for more.
func stderrLog(r *cli.Options, quiet bool) *slog.Logger {
	level := r.Log.Level
	if quiet && r.Sources["log.level"] == "default" {
		level = slog.LevelWarn
	}
	return logfile.New(r.Stderr, level)
}

// fileLog is the log of the dashboard: it never touches the screen. Without a
// file nothing is logged, and the error says why.
func fileLog(r *cli.Options) (log *slog.Logger, done func(), err error) {
	name := cmp.Or(r.Log.File, r.Paths.Log())
	if name == "" {
		return slog.New(slog.DiscardHandler), func() {}, nil
	}
	f, err := logfile.Open(name, r.Paths.User.Do)
	if err != nil {
		return slog.New(slog.DiscardHandler), func() {}, err
	}
	return logfile.New(f, r.Log.Level), func() { f.Close() }, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func focus(pids []int32) int32 {
	if len(pids) == 1 {
		return pids[0]
	}
	return 0
}

// capabilities are the doctor's findings about the probes; it looks at the rest
// itself.
func capabilities(context.Context, *cli.Options) []diagnose.Row {
	var rows []diagnose.Row
	for _, f := range probes.Capabilities(floored()) {
		if !strings.HasPrefix(f.Name, "probe ") {
			continue
		}
		state := diagnose.Works
		if !f.OK {
			state = diagnose.Unsupported
		}
		rows = append(rows, diagnose.Row{
			Feature: f.Name, State: state, Essential: f.Name == "probe requests", Why: f.Why, Remedy: f.Remedy,
		})
	}
	return rows
}

// checks lets the configuration be judged by those who know.
func checks(dirs []string) config.Checks {
	var kinds []string
	for _, s := range probes.New(probes.Env{}).Specs() {
		kinds = append(kinds, s.Kind)
	}
	return config.Checks{
		Kinds:      kinds,
		Rule:       discover.CheckRule,
		Selector:   checkSelector,
		HTTPClient: checkHTTPClient,

		IntegrationKinds: integrationKinds(),
		Integration:      checkIntegration,
		Singletons:       singletons(),

		Theme: func(name string) error {
			_, err := themes.Load(name, dirs...)
			return err
		},
	}
}

// chosenTheme is the configured one, else the one picked last; nil leaves it to
// the dashboard, which asks the terminal. A remembered theme may be gone by now.
func chosenTheme(r *cli.Options, last string) (*themes.Theme, error) {
	name := r.Theme
	remembered := name == "auto" && r.Sources["theme"] == "default" && last != ""
	if remembered {
		name = last
	}
	if name == "auto" {
		return nil, nil
	}
	var t themes.Theme
	err := r.Paths.User.Do(func() (err error) {
		t, err = themes.Load(name, r.Paths.Themes()...)
		return err
	})
	if err != nil && remembered {
		return nil, nil
	}
	return &t, err
}

func allThemes(paths config.Paths) []themes.Theme {
	var all []themes.Theme
	paths.User.Do(func() error {
		for _, e := range themes.List(paths.Themes()...) {
			if e.Err == nil {
				all = append(all, e.Theme)
			}
		}
		return nil
	})
	return all
}
