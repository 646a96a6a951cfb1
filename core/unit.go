package core

import (
	"context"
	"time"
)

// Class says what sort of thing a unit is.
type Class string

// Classes of units.
const (
	ClassInstrumentation Class = "instrumentation"
	ClassIntegration     Class = "integration"
	ClassDestination     Class = "destination"
	ClassGateway         Class = "gateway"
)

// Unit is anything with a life: a probe, an integration, a push destination.
// The supervisor is its only caller. It calls Attach first and once, then Serve
// once; Detach may come at any time, also before Serve was entered and while it
// runs, also twice, always with a live deadline.
type Unit interface {
	// Attach acquires everything the unit needs. It is all or nothing: when it
	// returns an error, nothing is left behind. Components that are merely
	// degraded are told in Parts, with a nil error. It blocks at most until ctx ends.
	Attach(ctx context.Context) (Parts, error)
	// Serve runs the unit. It calls ready once when it works and returns when ctx
	// ends or after Detach. Returning before that is an unexpected stop.
	Serve(ctx context.Context, ready func()) error
	// Detach releases everything. It is idempotent.
	Detach(ctx context.Context) error
}

// Parts is the state of a unit's components: nil for what works, else why it
// does not.
type Parts map[string]error

// Spec is the recipe of a unit. Specs are values: equal Fingerprints mean that
// a running unit need not be touched.
type Spec struct {
	ID          string // unique, stable: "instrumentation/requests", "destination/pushgateway"
	Class       Class
	Kind        string // "requests", "network", "pushgateway", ...
	Title       string // for screens, one or two words
	Help        string // one sentence: what it tells, what it costs
	Fingerprint string // covers every setting, secrets included (hashed)
	// Make builds the unit without side effects; its error is the init failure.
	Make func() (Unit, error)
	// Check says why the unit cannot be attached here, without attaching and
	// without side effects; nil when nothing is known against it. May be nil.
	Check func() error
	// Default is whether the kind is on where nobody chose.
	Default bool
	// PerProcess units observe process by process and implement Selective; they
	// are detached when no process uses them.
	PerProcess bool
}

// Selective is implemented by units that observe some processes and not others.
// Calls are serialised by the supervisor and come between Attach and Detach.
// They take effect before they return and do not disturb other processes.
type Selective interface {
	// Select applies changes. Processes without an exception follow Default; so
	// do processes that are born later, except that a child inherits its
	// parent's exception until it execs.
	Select(Selection) error
}

// Selection is a change of which processes a unit observes.
type Selection struct {
	Default bool             // what applies to processes without an exception
	Set     map[ProcKey]bool // exceptions to add or replace
	Clear   []ProcKey        // exceptions to remove: back to Default, or the process is gone
}

// Costed is implemented by units that know what they cost.
type Costed interface {
	// Programs lists the unit's kernel programs with their counters. It may be
	// called at any time, concurrently with everything else, and is cheap.
	Programs() []Program
}

// Program is one kernel program of ours with its cost so far.
type Program struct {
	Unit     string
	Name     string
	Attached string // "tp_btf/sock_send_length"
	// RunTime and Runs are measured by the kernel while its statistics are on,
	// Measured is for how long that was. Counts are since attach.
	RunTime  time.Duration
	Runs     uint64
	Measured time.Duration
	Misses   uint64 // runs skipped by the kernel's recursion guard: counted as lost
	MapBytes uint64
	// Ratio is the share of one core in the seconds measured last, NaN before; the
	// snapshot has it.
	Ratio float64
}

// Phase is where a unit stands in its life.
type Phase string

// Phases, in the order of a normal life.
const (
	PhaseNew       Phase = "new"
	PhaseOff       Phase = "off" // wanted by nobody: nothing is in the kernel
	PhaseAttaching Phase = "attaching"
	PhaseStarting  Phase = "starting"
	PhaseRunning   Phase = "running"
	PhaseTuning    Phase = "tuning"
	PhaseBackoff   Phase = "backoff"
	PhaseFailed    Phase = "failed"      // permanent, the remedy is in the message
	PhaseUnsupp    Phase = "unsupported" // this kernel or user cannot; not an error
	PhaseDetaching Phase = "detaching"
	PhaseGone      Phase = "gone"
	PhaseStuck     Phase = "stuck" // over its deadline, abandoned and counted
)

// Health is how well a unit does, derived from its work, never asserted.
type Health string

// Health levels, from good to bad; the last two are not judgements.
const (
	HealthOK         Health = "ok"
	HealthStarting   Health = "starting"
	HealthRecovering Health = "recovering"
	HealthDegraded   Health = "degraded"
	HealthPermanent  Health = "permanent"
	HealthFatal      Health = "fatal"
	HealthStopped    Health = "stopped"
	HealthUnknown    Health = "unknown"
)
