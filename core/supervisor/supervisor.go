// Package supervisor runs the life of every unit: probes, integrations, push
// destinations. It decides which of them are wanted, from the known processes
// and from the toggles, and makes it so.
//
// Three sorts of goroutine, each owning its data:
//
//   - the loop (loop.go) owns processes, toggles and the list of units. It
//     never waits for a unit, a file or a reader;
//   - one actor for each unit (actor.go) attaches, serves, detaches and retries
//     its unit, so that a slow unit delays nobody else;
//   - the outbox (outbox.go) hands what changed to the Reporter, in order.
//
// The loop speaks to an actor through its order: the newest one counts. A
// (process, kind) pair is a bit in a table, never a goroutine.
package supervisor

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
)

// Reporter is told what changes. It is called from one goroutine, in order; it
// may block for a moment without delaying any unit. Rows are coalesced: of two
// rows of one unit that wait, the newer is told.
type Reporter interface {
	Unit(core.UnitRow)
	UnitGone(id string)
	Event(core.Event)
	Toggles(*core.Toggles)
}

// Config is what a Supervisor needs. Only Specs and Reporter matter to most
// callers; every other field works when left empty.
type Config struct {
	Specs   []core.Spec
	Toggles *core.Toggles // choices of the configuration file; the user's lie above them
	// Only limits units that select processes to those told by ProcessUp; otherwise a
	// process that nobody told of yet is observed like the others.
	Only     bool
	Reporter Reporter
	Listener Listener      // told of each unit's init, load, run and exit; may be nil
	Recorder core.Recorder // times init, attach, select, tune and detach; nil for none
	Log      *slog.Logger

	StatePath  string // file that keeps the user's choices; "" keeps none
	StateOwner *Owner // who shall own that file; nil is the invoking user

	// Updates and Requests are further doors for settings and intents. Closing
	// one ends that door and nothing else. Either may be nil.
	Updates  <-chan core.Setting
	Requests <-chan core.Intent
	// DryRun attaches nothing: rows say what would be, and what could not be.
	DryRun bool

	PushNow func() // carries out IntentPushNow; runs in its own goroutine, never twice at a time
	Reload  func() // carries out IntentReload, likewise; usually ends in Apply

	Limits Limits
	Jitter func() float64 // in [0, 1), stretches each wait before a retry; nil is random
}

// Limits bounds time and space. Zero fields take the default in brackets.
type Limits struct {
	AttachPool int           // [4] how many instrumentations attach at once
	Attach     time.Duration // [10s] for Make and Attach
	Detach     time.Duration // [5s] for Detach, and for Serve to return
	Grace      time.Duration // [1s] beyond a deadline before a call is abandoned
	Shutdown   time.Duration // [10s] for everything at the end
	BackoffMin time.Duration // [1s] before the first retry; doubles
	BackoffMax time.Duration // [60s] also how long a unit runs before its failures are forgotten
	Intents    int           // [64] queued intents
	Undo       int           // [100] steps back
	Choices    int           // [4096] choices of the user; also settings
	Callbacks  int           // [1024] callbacks that wait for the Listener
	Events     int           // [4096] events that wait for the Reporter
}

func (l Limits) withDefaults() Limits {
	number := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	number(&l.AttachPool, 4)
	span(&l.Attach, 10*time.Second)
	span(&l.Detach, 5*time.Second)
	span(&l.Grace, time.Second)
	span(&l.Shutdown, 10*time.Second)
	span(&l.BackoffMin, time.Second)
	span(&l.BackoffMax, time.Minute)
	number(&l.Intents, 64)
	number(&l.Undo, 100)
	number(&l.Choices, 4096)
	number(&l.Events, 4096)
	number(&l.Callbacks, 1024)
	return l
}

// Stats counts what the supervisor did and what it could not do. All fields
// but Abandoned only grow.
type Stats struct {
	Attached      uint64 // attaches that succeeded
	Failures      uint64 // attempts that did not, and runs that ended unasked
	Failed        uint64 // units that began to fail; their retries are not counted again
	Panics        uint64
	Stuck         uint64 // calls that were over their deadline and abandoned
	Abandoned     int64  // of those, the ones that have not come back yet
	Busy          uint64 // intents and settings refused because the queue was full
	EventsDropped uint64 // events that the Reporter was too slow to take
	// CallbacksDropped counts what the Listener was too slow to take.
	CallbacksDropped uint64
}

// Supervisor runs units. Its methods may be called from any goroutine.
type Supervisor struct {
	cfg     Config
	in      *inbox
	intents chan core.Intent
	calls   chan func() // run by the loop
	out     *outbox
	post    *post
	mail    *mailbox
	pool    chan struct{} // a token for each instrumentation that may attach
	chores  sync.WaitGroup
	pushNow chore
	reload  chore
	apply   sync.Mutex    // one Apply at a time
	began   atomic.Bool   // Run was called
	over    chan struct{} // closed when the loop takes nothing more
	index   sync.Map      // id -> *actor, for Lookup; written by the loop

	// Owned by the loop.
	actors  map[string]*actor
	leaving []*actor // removed, perhaps not all out yet
	procs   *table
	choices *choices
	saver   *saver
	recount *time.Timer // armed while a unit's number of processes is untold
	turns   uint64      // of the loop

	attached, failures, failed, panics, stuck, busy atomic.Uint64
	abandoned                                       atomic.Int64
}

// New makes a supervisor; nothing happens before Run.
func New(cfg Config) *Supervisor {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Reporter == nil {
		cfg.Reporter = silent{}
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	s := &Supervisor{
		cfg:     cfg,
		in:      newInbox(),
		intents: make(chan core.Intent, cfg.Limits.Intents),
		calls:   make(chan func()),
		out:     newOutbox(cfg.Reporter, cfg.Log, cfg.Limits.Events),
		post:    newPost(cfg.Listener, cfg.Log, cfg.Limits.Callbacks),
		mail:    newMailbox(cfg.Limits.Choices),
		pool:    make(chan struct{}, cfg.Limits.AttachPool),
		over:    make(chan struct{}),
		actors:  make(map[string]*actor),
		procs:   newTable(),
		choices: newChoices(cfg.Toggles, cfg.Limits),
	}
	s.procs.only = cfg.Only
	s.pushNow.run, s.reload.run = cfg.PushNow, cfg.Reload
	return s
}

// Submit queues an intent. It never blocks; false means busy or stopped.
func (s *Supervisor) Submit(i core.Intent) bool {
	select {
	case <-s.over:
		return false
	default:
	}
	select {
	case s.intents <- i:
		return true
	default:
		s.busy.Add(1)
		return false
	}
}

// ProcessUp tells of a process. It only notes the fact; p must not change.
func (s *Supervisor) ProcessUp(p *core.Process) { s.in.put(fact{p.ProcKey, p}) }

// ProcessChanged tells that p replaces what was known of its process.
func (s *Supervisor) ProcessChanged(p *core.Process) { s.in.put(fact{p.ProcKey, p}) }

// ProcessDown tells that a process ended.
func (s *Supervisor) ProcessDown(key core.ProcKey, _ core.Exit, _ time.Time) {
	s.in.put(fact{key, nil})
}

// Stats returns the counters. It is cheap.
func (s *Supervisor) Stats() Stats {
	return Stats{
		Attached:      s.attached.Load(),
		Failures:      s.failures.Load(),
		Failed:        s.failed.Load(),
		Panics:        s.panics.Load(),
		Stuck:         s.stuck.Load(),
		Abandoned:     s.abandoned.Load(),
		Busy:          s.busy.Load(),
		EventsDropped: s.out.dropped.Load(),

		CallbacksDropped: s.post.dropped.Load(),
	}
}

type silent struct{}

func (silent) Unit(core.UnitRow)     {}
func (silent) UnitGone(string)       {}
func (silent) Event(core.Event)      {}
func (silent) Toggles(*core.Toggles) {}
