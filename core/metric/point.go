// Package metric counts durations and events in plain Go: exponential
// histograms with exact classic buckets beside them, sliding windows, rates and
// short histories. Nothing here locks: a value belongs to one goroutine.
package metric

import (
	"math"
	"math/bits"
	"time"

	"vitals/core"
)

// Scales of exponential histograms and the most buckets that one may have.
const (
	MaxScale   = 8
	MinScale   = -4
	MaxBuckets = 160
)

// Point is one duration with its place in every kind of histogram, computed
// once however many histograms count it.
type Point struct {
	Seconds float64
	index   int32 // exponential bucket at MaxScale; meaningless for 0
	classic uint8
	heat    uint8
}

// Of places a duration. Negative ones, which clocks of different sources can
// yield, count as 0.
func Of(d time.Duration) Point {
	if d <= 0 {
		return Point{}
	}
	p := Seconds(float64(d) / 1e9)
	return p
}

// Seconds places a value in seconds; it must be finite and not negative.
func Seconds(v float64) Point {
	if !(v > 0) || math.IsInf(v, 1) {
		return Point{}
	}
	return Point{Seconds: v, index: Index(v), classic: classicOf(v), heat: heatOf(v)}
}

func classicOf(v float64) uint8 {
	i := 1
	for i < core.ClassicBuckets-1 && v > classicBounds[i] {
		i++
	}
	return uint8(i)
}

// heatOf is the band of core.HeatBound that holds v.
func heatOf(v float64) uint8 {
	n := uint64(v / core.HeatBound(1))
	return uint8(min(bits.Len64(n), core.HeatRows-1))
}

// Index returns the bucket of v > 0 at MaxScale: the i with
// 2^(i/256) < v <= 2^((i+1)/256). At a smaller scale s the bucket is
// Index(v) >> (MaxScale-s).
func Index(v float64) int32 {
	raw := math.Float64bits(v)
	exponent := int32(raw>>52&0x7ff) - 1023
	if exponent == -1023 { // subnormal: normalise
		raw = math.Float64bits(v * (1 << 52))
		exponent = int32(raw>>52&0x7ff) - 1023 - 52
	}
	fraction := raw & (1<<52 - 1)
	// The guess is the bucket of the smallest fraction with the same upper bits;
	// a slice of 1/512 of the fraction spans two bounds at most.
	k := int32(guesses[fraction>>43])
	for fraction > bounds[k+1] {
		k++
	}
	if fraction == 0 { // an exact power of two belongs to the bucket below
		k = -1
	}
	return exponent<<MaxScale + k
}

// bounds[k] is the fraction of 2^(k/256); the last one is past every fraction.
// guesses[i] is the bucket of the fraction i/512.
var (
	bounds        = makeBounds()
	guesses       = makeGuesses()
	classicBounds = makeClassic()
)

func makeBounds() (b [1<<MaxScale + 1]uint64) {
	for k := range b {
		b[k] = math.Float64bits(math.Exp2(float64(k)/(1<<MaxScale))) & (1<<52 - 1)
	}
	b[1<<MaxScale] = 1 << 52
	return b
}

func makeGuesses() (g [512]uint8) {
	b, k := makeBounds(), 0
	for i := range g {
		for uint64(i)<<43 > b[k+1] {
			k++
		}
		g[i] = uint8(k)
	}
	return g
}

func makeClassic() (b [core.ClassicBuckets]float64) {
	for i := range b {
		b[i] = core.ClassicBound(i)
	}
	return b
}
