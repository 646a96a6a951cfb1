package kern

import (
	"log/slog"
	"time"

	"vitals/core"
)

// Env is what the program gives to its probes. Probes keep it by value; Sink,
// Processes and Log are used from several goroutines at once.
type Env struct {
	// Sink takes the facts. Required.
	Sink core.Sink
	// Processes takes batches of process events, in the order in which the
	// kernel told them. It must not keep the slice. Nil drops them.
	Processes func([]core.ProcessEvent)
	// Log is never nil below probes.New.
	Log *slog.Logger
	// Tick is how often levels are read; 1 s when zero.
	Tick time.Duration
	// RequestsRing is the size in bytes of the requests probe's ring buffer, a
	// power of two and a multiple of the page size; 0 leaves the choice to the probe.
	RequestsRing int
	// Floor makes probes use what the oldest kernels have, where they have a
	// better way on this one; for tests.
	Floor bool
	// Newcomers tells units of processes; nil tells nobody.
	Newcomers *Newcomers
	// Settling asks units for what they hold back; nil asks nobody.
	Settling *Settling
	// Secrets is what is known of encrypted connections; nil knows nothing.
	Secrets *Secrets
	// Shared holds the maps that units have in common; nil when each has its own.
	Shared *Shared
	// Meter keeps the programs of all probes; probes.New makes it.
	Meter *Meter
	// Types is the kernel's type information, read once for all probes that are
	// attached at the same time; probes.New makes it.
	Types *Types
}

// Lost tells the sink what was lost, when something was.
func (e *Env) Lost(stage, reason string, n uint64) {
	if n > 0 {
		e.Sink.Lost(stage, reason, n)
	}
}
