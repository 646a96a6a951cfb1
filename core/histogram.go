package core

import "math"

// Distribution is an immutable exponential histogram of durations in seconds:
// bucket i (counting from Offset) holds the values v with
// base^(Offset+i) < v <= base^(Offset+i+1), base = 2^(2^-Scale).
// It is what a snapshot carries; core/metric has the one that counts.
type Distribution struct {
	Count     uint64
	Sum       float64 // seconds
	Min, Max  float64 // seconds; 0 when Count is 0
	Scale     int32
	Offset    int32
	Buckets   []uint64
	ZeroCount uint64
	// Classic counts the same values in the buckets of ClassicBound, exactly and
	// not cumulatively; nil where nobody needs them.
	Classic []uint64
}

// ClassicBuckets is how many classic buckets there are, the last one (+Inf) included.
const ClassicBuckets = 16

// ClassicBound returns the inclusive upper bound of classic bucket i in
// seconds; that of the last one is +Inf.
func ClassicBound(i int) float64 {
	bounds := [ClassicBuckets - 1]float64{0, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	if i >= len(bounds) {
		return math.Inf(1)
	}
	return bounds[i]
}

// Quantile returns an estimate of the q-quantile, 0 <= q <= 1, in seconds,
// within half a bucket's width, and never outside [Min, Max]. It returns NaN
// when nothing was counted: unknown, not zero.
func (d *Distribution) Quantile(q float64) float64 {
	if d == nil || d.Count == 0 {
		return math.NaN()
	}
	rank := uint64(math.Ceil(q * float64(d.Count)))
	if rank < 1 {
		rank = 1
	}
	if rank <= d.ZeroCount {
		return d.Min
	}
	seen := d.ZeroCount
	for i, n := range d.Buckets {
		if n == 0 {
			continue
		}
		if seen+n >= rank {
			lower, upper := d.Bounds(i)
			within := (float64(rank-seen) - 0.5) / float64(n)
			return min(max(lower*math.Pow(upper/lower, within), d.Min), d.Max)
		}
		seen += n
	}
	return d.Max
}

// Bounds returns the lower (exclusive) and upper (inclusive) bound of Buckets[i] in seconds.
func (d *Distribution) Bounds(i int) (lower, upper float64) {
	step := math.Exp2(float64(-d.Scale))
	return math.Exp2(float64(int(d.Offset)+i) * step), math.Exp2(float64(int(d.Offset)+i+1) * step)
}

// Mean returns the mean in seconds, NaN when nothing was counted.
func (d *Distribution) Mean() float64 {
	if d == nil || d.Count == 0 {
		return math.NaN()
	}
	return d.Sum / float64(d.Count)
}
