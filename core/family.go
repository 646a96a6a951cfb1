package core

import "time"

// Kinds of metrics that only come from outside: our own descriptions do not use them.
const (
	Summary MetricKind = iota + 16
	Untyped
)

// Family is the series of one metric at one moment, in the form in which
// integrations tell what a server knows of itself. It is immutable once handed
// over: readers share it.
type Family struct {
	Name   string // full exposition name, with unit suffix and _total
	Help   string
	Kind   MetricKind
	Series []Series
}

// Series is one member of a Family: its labels with the value that fits the
// family's kind.
type Series struct {
	Labels []Label // by name, each name once; "" values are left out
	// V is the value of counters, gauges and untyped ones. It may be NaN or infinite.
	V       float64
	Buckets *Buckets  // of histograms
	Ranks   *Ranks    // of summaries
	Created time.Time // when a counter, histogram or summary began, if the server says it
	At      time.Time // when it was true, if not at the time of collection
}

// Label is a name with its value.
type Label struct{ Name, Value string }

// Buckets is a histogram as a server counts it, classic, native or both.
type Buckets struct {
	Count, Sum float64
	Classic    []Bucket // by bound, cumulative; the one of +Inf may be missing
	Native     *NativeBuckets
}

// Bucket counts the values up to and including Upper.
type Bucket struct{ Upper, Count float64 }

// NativeBuckets is an exponential histogram in the form of Prometheus: spans of
// consecutive buckets with absolute counts.
type NativeBuckets struct {
	Schema             int32
	ZeroThreshold      float64
	ZeroCount          float64
	Positive, Negative []BucketSpan
	PositiveCounts     []float64
	NegativeCounts     []float64
}

// BucketSpan is Length buckets, Offset after the end of the previous span (the
// first one: after bucket 0).
type BucketSpan struct {
	Offset int32
	Length uint32
}

// Ranks is a summary: quantiles that the server computed.
type Ranks struct {
	Count, Sum float64
	Quantiles  []Rank // by Q
}

// Rank is the value at quantile Q, 0 to 1.
type Rank struct{ Q, V float64 }
