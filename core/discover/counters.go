package discover

import "sync/atomic"

// Stats counts what discovery did and what it left out.
type Stats struct {
	Known      uint64 // processes in the table now
	Events     uint64 // events taken from the kernel
	KernelLost uint64 // events that the kernel could not hand over
	QueueLost  uint64 // events that Feed could not keep
	Looks      uint64 // looks at the whole of /proc
	Synthetic  uint64 // begins and ends noticed by looking
	Profiled   uint64 // processes whose profile was read
	ShortLived uint64 // processes that ended before they were profiled
	Filtered   uint64 // processes that ended before MinAge and were not told
	Deferred   uint64 // profiles put off because too many waited
	Malformed  uint64 // pairs of OTEL_RESOURCE_ATTRIBUTES that could not be read
	Unreadable uint64 // executables that could not be analysed
	Truncated  uint64 // processes with more descriptors than are looked at
	Stuck      uint64 // reads of a process that did not return in time
}

type counters struct {
	known                                atomic.Int64
	events, kernelLost, queueLost, looks atomic.Uint64
	synthetic, profiled, shortLived      atomic.Uint64
	deferred, malformed, unreadable      atomic.Uint64
	truncated, stuck, filtered           atomic.Uint64
}

func (c *counters) read() Stats {
	return Stats{
		Known:      uint64(max(c.known.Load(), 0)),
		Events:     c.events.Load(),
		KernelLost: c.kernelLost.Load(),
		QueueLost:  c.queueLost.Load(),
		Looks:      c.looks.Load(),
		Synthetic:  c.synthetic.Load(),
		Profiled:   c.profiled.Load(),
		ShortLived: c.shortLived.Load(),
		Filtered:   c.filtered.Load(),
		Deferred:   c.deferred.Load(),
		Malformed:  c.malformed.Load(),
		Unreadable: c.unreadable.Load(),
		Truncated:  c.truncated.Load(),
		Stuck:      c.stuck.Load(),
	}
}
