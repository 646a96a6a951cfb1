package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vitals/core"
)

func TestIndexIsExactAtEveryBound(t *testing.T) {
	for e := -40; e <= 40; e++ {
		if got, want := Index(math.Exp2(float64(e))), int32(e<<MaxScale-1); got != want {
			t.Fatalf("Index(2^%d) = %d, want %d: upper bounds are inclusive", e, got, want)
		}
		above := math.Nextafter(math.Exp2(float64(e)), math.Inf(1))
		if got, want := Index(above), int32(e<<MaxScale); got != want {
			t.Fatalf("Index(just above 2^%d) = %d, want %d", e, got, want)
		}
	}
	for k := range 256 {
		bound := math.Exp2(float64(k) / 256)
		if got := Index(bound); got != int32(k-1) {
			t.Fatalf("Index(2^(%d/256)) = %d, want %d", k, got, k-1)
		}
		if got := Index(math.Nextafter(bound, 3)); got != int32(k) {
			t.Fatalf("Index(above 2^(%d/256)) = %d, want %d", k, got, k)
		}
	}
	for _, v := range []float64{math.SmallestNonzeroFloat64, 1e-310, math.MaxFloat64} {
		i := Index(v)
		if lo, hi := float64(i)/256, float64(i+1)/256; math.Log2(v) < lo-1e-9 || math.Log2(v) > hi+1e-9 {
			t.Errorf("Index(%g) = %d", v, i)
		}
	}
}

func TestIndexHoldsItsValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		v := math.Exp2(r.Float64()*80 - 40)
		i := float64(Index(v))
		if l := math.Log2(v) * 256; l < i-1e-9 || l > i+1+1e-9 {
			t.Fatalf("Index(%g) = %v, log is %v", v, i, l)
		}
	}
}

// distributions that the quantile property is checked on.
var shapes = map[string]func(*rand.Rand) float64{
	"constant": func(*rand.Rand) float64 { return .02 },
	"uniform":  func(r *rand.Rand) float64 { return r.Float64() * .1 },
	"normal":   func(r *rand.Rand) float64 { return max(1e-6, .05+.01*r.NormFloat64()) },
	"log":      func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64()*2 - 6) },
	"bimodal": func(r *rand.Rand) float64 {
		if r.IntN(100) == 0 {
			return 2 + r.Float64()
		}
		return .0002 + r.Float64()*.0001
	},
	"huge":  func(r *rand.Rand) float64 { return math.Exp2(r.Float64()*200 - 100) },
	"zeros": func(r *rand.Rand) float64 { return max(0, r.Float64()-.5) },
}

func TestQuantileAgreesWithSortedValues(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				r := rand.New(rand.NewPCG(seed, 7))
				var h, left, right Histogram
				var values []float64
				for range 1 + r.IntN(4000) {
					v := shape(r)
					values = append(values, v)
					h.Observe(Seconds(v), 1)
					if r.IntN(2) == 0 {
						left.Observe(Seconds(v), 1)
					} else {
						right.Observe(Seconds(v), 1)
					}
				}
				slices.Sort(values)
				left.Merge(&right)
				for _, d := range []*core.Distribution{h.Snapshot(), left.Snapshot()} {
					check(t, d, values)
				}
			}
		})
	}
}

func check(t *testing.T, d *core.Distribution, sorted []float64) {
	t.Helper()
	if d.Count != uint64(len(sorted)) || d.Min != sorted[0] || d.Max != sorted[len(sorted)-1] {
		t.Fatalf("count %d min %g max %g, want %d %g %g", d.Count, d.Min, d.Max, len(sorted), sorted[0], sorted[len(sorted)-1])
	}
	if len(d.Buckets) > MaxBuckets {
		t.Fatalf("%d buckets", len(d.Buckets))
	}
	total := d.ZeroCount
	for _, n := range d.Buckets {
		total += n
	}
	if total != d.Count {
		t.Fatalf("buckets hold %d of %d", total, d.Count)
	}
	base := math.Exp2(math.Exp2(-float64(d.Scale)))
	for _, q := range []float64{0, .01, .5, .9, .99, .999, 1} {
		want := sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
		if got := d.Quantile(q); got < want/base*(1-1e-9) || got > want*base*(1+1e-9) {
			t.Fatalf("q%g = %g, want %g within %g (scale %d)", q, got, want, base, d.Scale)
		}
	}
}

func TestClassicBucketsAreExact(t *testing.T) {
	var d Durations
	want := make([]uint64, core.ClassicBuckets)
	r := rand.New(rand.NewPCG(3, 4))
	var values []time.Duration
	for i := range core.ClassicBuckets - 1 {
		b := time.Duration(core.ClassicBound(i) * 1e9)
		values = append(values, b-1, b, b+1)
	}
	for range 10000 {
		values = append(values, time.Duration(r.ExpFloat64()*2e9))
	}
	for _, v := range values {
		d.Observe(Of(v), 2)
		for i := range want {
			if v.Seconds() <= core.ClassicBound(i) {
				want[i] += 2
				break
			}
		}
	}
	want[0] += 0
	if got := d.Snapshot().Classic; !slices.Equal(got, want) {
		// A negative duration counts as 0, like the bound itself.
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestHeatBandsAreThoseOfTheDictionary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		v := math.Exp2(r.Float64()*24 - 16)
		band := 0
		for band+1 < core.HeatRows && v >= core.HeatBound(band+1) {
			band++
		}
		if got := int(Seconds(v).heat); got != band {
			t.Fatalf("%g s is in band %d, want %d", v, got, band)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var r Recent
	var d Durations
	var scratch Histogram
	points := make([]Point, 512)
	rnd := rand.New(rand.NewPCG(8, 9))
	for i := range points {
		points[i] = Seconds(math.Exp(rnd.NormFloat64() - 6))
	}
	now := int64(1000 * second)
	work := func() {
		for _, p := range points {
			r.Observe(now, p, 1, false, true)
			d.Observe(p, 1)
			now += second / 200
		}
		var red core.RED
		r.RED(now, 0, &scratch, &red)
		r.Close(now, &scratch)
	}
	for range 20 {
		work()
	}
	if n := testing.AllocsPerRun(50, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var d Durations
	p := make([]time.Duration, 1024)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range p {
		p[i] = time.Duration(r.ExpFloat64() * 5e6)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Observe(Of(p[i&1023]), 1)
	}
}

func BenchmarkRecent(b *testing.B) {
	var r Recent
	p := Of(3 * time.Millisecond)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		r.Observe(1000*second+i*1000, p, 1, false, true)
	}
}
