// Package discover knows which processes exist and what they are.
//
// Facts come from two sides: the kernel's stream of exec, fork and exit (Feed)
// and looks at /proc. One goroutine (Run) owns the table of processes and is the
// only caller of the Handler; everything that reads a process' memory or files,
// and so may be slow or may be made slow by a hostile process, happens in a few
// workers beside it, newest process first.
//
// A process is told at once with what is known, and again when more is known:
// first the stat line, arguments, executable and user, then cgroup, environment
// and runtime, then the sockets that it listens on.
package discover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"vitals/core"
)

// Handler is told about processes. All calls come from the goroutine of Run,
// in order for each process: Up, any number of Changed, Down. They should
// return quickly: discovery waits.
type Handler interface {
	// ProcessUp tells of a process that began or that was found running.
	ProcessUp(*core.Process)
	// ProcessChanged gives a new description of a living process: it executed
	// another program, or more became known.
	ProcessChanged(*core.Process)
	// ProcessDown tells that a process ended. Exit.Known is false when that was
	// noticed by looking.
	ProcessDown(key core.ProcKey, exit core.Exit, at time.Time)
}

// Group is a configuration group: processes that one of its selectors matches
// belong to it. The first group that matches wins.
type Group struct {
	Name       string
	Select     []string          // rules as for Include
	Service    string            // service name for its processes; empty keeps theirs
	Attributes map[string]string // added to theirs; what the process says itself wins
}

// Selection says which processes are observed and how they are grouped.
type Selection struct {
	// Include and Exclude are rules: KEY=GLOB with the keys name, user,
	// container, pod, unit, exe, service, runtime, sdk, pid and attr.NAME, or a
	// bare word for name=; conditions joined by commas must all hold. Exclude
	// wins. No Include includes everything.
	Include, Exclude []string
	Groups           []Group
}

// Config is what New needs. Handler is required, everything else has a default.
type Config struct {
	Handler Handler
	Selection
	// PIDs limits discovery to these processes and their descendants; others are
	// not told at all.
	PIDs []int32
	// MinAge hides processes that end sooner after they began or last executed
	// another program: they are counted as filtered and never told. Default 0:
	// all are told, those too short-lived to be read as well.
	MinAge time.Duration
	// Self is the process that is never instrumented, nor are its children
	// (except those in PIDs); default os.Getpid().
	Self int32
	// ProcRoot is where procfs is mounted; default /proc.
	ProcRoot string
	// Kernel reports whether the kernel's events reach Feed. While it does not,
	// /proc is polled. It may change at any time. nil means never.
	Kernel func() bool
	// Usage takes what processes consume, read from /proc every UsageEvery
	// (default 1 s) unless KernelUsage reports that somebody else does that. It is
	// called from the goroutine of Run and must not keep the slice.
	Usage       func([]core.Usage)
	UsageEvery  time.Duration
	KernelUsage func() bool
	// Lost is told what could not be kept up with, as core.Sink.Lost.
	Lost func(stage, reason string, n uint64)
	Log  *slog.Logger
}

// Discover watches the processes of this machine.
type Discover struct {
	cfg   Config
	queue queue
	tune  chan *rules
	asked chan chan struct{} // by Settle
	stats counters
	ran   atomic.Bool
	ready atomic.Bool
	rules *rules // of the configuration; Run's goroutine owns the current ones
}

// New checks the configuration. A rule that cannot be understood and a process
// of PIDs that does not exist are errors that name them.
func New(cfg Config) (*Discover, error) {
	if cfg.Handler == nil {
		return nil, fmt.Errorf("discover: no handler")
	}
	if cfg.Self == 0 {
		cfg.Self = int32(os.Getpid())
	}
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	if cfg.UsageEvery <= 0 {
		cfg.UsageEvery = time.Second
	}
	if cfg.Kernel == nil {
		cfg.Kernel = func() bool { return false }
	}
	if cfg.KernelUsage == nil {
		cfg.KernelUsage = func() bool { return false }
	}
	if cfg.Lost == nil {
		cfg.Lost = func(string, string, uint64) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r, err := parseSelection(cfg.Selection)
	if err != nil {
		return nil, err
	}
	for _, pid := range cfg.PIDs {
		if _, err := os.Stat(fmt.Sprintf("%s/%d/stat", cfg.ProcRoot, pid)); err != nil {
			return nil, &core.Remedied{
				Err:       fmt.Errorf("process %d does not exist", pid),
				Remedy:    "see the pids with: ps -e",
				Permanent: true,
			}
		}
	}
	return &Discover{
		cfg:   cfg,
		rules: r,
		queue: queue{wake: make(chan struct{}, 1)},
		tune:  make(chan *rules, 1),
		asked: make(chan chan struct{}),
	}, nil
}

// Run discovers until ctx ends, which is not an error. It may be called once.
func (d *Discover) Run(ctx context.Context) error {
	if d.ran.Swap(true) {
		return errors.New("discover: Run was called twice")
	}
	return newWatcher(d).run(ctx)
}

// Feed takes events from the kernel, in their order. It may be called from any
// goroutine and before Run, never blocks and does not keep the slice. What does
// not fit is counted as lost, and a look at /proc makes up for it.
func (d *Discover) Feed(events []core.ProcessEvent) {
	if dropped := d.queue.push(events); dropped > 0 {
		d.stats.queueLost.Add(uint64(dropped))
		d.cfg.Lost("discover", "queue_full", uint64(dropped))
	}
}

// Settle returns when everything that was fed before the call has been told to the
// handler, or with ctx. It needs Run.
func (d *Discover) Settle(ctx context.Context) {
	done := make(chan struct{})
	select {
	case d.asked <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Select replaces rules and groups while running. Processes whose description
// follows from them are told as changed. On an error the old ones stay.
func (d *Discover) Select(s Selection) error {
	r, err := parseSelection(s)
	if err != nil {
		return err
	}
	for {
		select {
		case d.tune <- r:
			return nil
		default:
		}
		select { // the one that waits is outdated
		case <-d.tune:
		default:
		}
	}
}

// Ready reports whether the processes found at start have been read and told, or
// took too long. It may be called from any goroutine.
func (d *Discover) Ready() bool { return d.ready.Load() }

// Stats returns what was counted so far. It may be called from any goroutine.
func (d *Discover) Stats() Stats { return d.stats.read() }
