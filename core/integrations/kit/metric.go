package kit

import "vitals/core"

// Metric describes one metric of an integration. Metrics are constants of their
// package in spirit: made once, never modified, shared.
type Metric struct {
	Name   string // full exposition name
	Help   string
	Kind   core.MetricKind
	Labels []string // names, sorted
}

// Figure is one number that a screen shows of an integration.
type Figure struct {
	Title string // "Clients", at most 16 letters
	Unit  string // "", "bytes", "seconds", "ratio", "per_second", "state" (1 is good)
	Chart bool   // worth a chart on the page of the integration
	// Of computes it; NaN when it is not known.
	Of func(Reading) float64
}

// Reading is two successive collections, of which figures are made.
type Reading interface {
	// Sum adds up the values of a metric's series that carry all of the given
	// labels, written name, value, name, value. NaN when there are none.
	Sum(metric string, labels ...string) float64
	// Rate is how much Sum grew a second since the collection before; NaN
	// without one, and when the server counted anew.
	Rate(metric string, labels ...string) float64
	// Max is the largest value; NaN when there are none.
	Max(metric string, labels ...string) float64
}

// Level is a figure that is a metric's sum.
func Level(metric string, labels ...string) func(Reading) float64 {
	return func(r Reading) float64 { return r.Sum(metric, labels...) }
}

// PerSecond is a figure that is a counter's growth.
func PerSecond(metric string, labels ...string) func(Reading) float64 {
	return func(r Reading) float64 { return r.Rate(metric, labels...) }
}

// Share is a figure that is the growth of part within that of all: Share("hits",
// "hits", "misses") is the hit ratio since the collection before.
func Share(part string, all ...string) func(Reading) float64 {
	return func(r Reading) float64 {
		total := 0.0
		for _, m := range all {
			total += r.Rate(m)
		}
		return r.Rate(part) / total // 0/0 is NaN: nothing happened
	}
}
