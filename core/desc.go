package core

// MetricKind is what a metric's value means over time.
type MetricKind uint8

// Metric kinds.
const (
	Counter MetricKind = iota + 1
	Gauge
	Histogram
)

// Desc describes a metric once; screens, help, docs/metrics.md and exposition
// follow from it. Descs are package-level values of a probe, shared by pointer
// and never modified.
type Desc struct {
	Name  string // full exposition name, with unit suffix and _total
	Help  string // one sentence, ends without a period
	Unit  string // "bytes", "seconds", "ratio", "" for plain counts
	Kind  MetricKind
	Label string // name of its one extra label besides identity, or ""
	Short string // column title on screens, for example "RTT"
	// Shared marks levels of what several processes may hold together: that of a
	// service is the largest one, not the sum.
	Shared bool
	// Screen is false for what is only worth exposing.
	Screen bool
}
