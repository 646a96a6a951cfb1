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
