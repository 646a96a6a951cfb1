// Package core is the dictionary of vitals: the types that every other part
// speaks in, and nothing else. It starts no goroutines, does no I/O and imports
// none of our packages, so every import in the project can point at it.
//
// Facts flow one way. Probes and discovery hand facts to a Sink; the engine,
// the one writer, joins them into an immutable Snapshot; the dashboard, push
// and HTTP render that snapshot. The only way back is an Intent.
//
// Time: durations and timestamps that come from the kernel are nanoseconds of
// CLOCK_MONOTONIC (Mono); everything a person sees is time.Time.
package core
