package metric

import "vitals/core"

// Histogram is a base-2 exponential histogram. Its scale starts fine and gets
// coarser when the values spread too far for MaxBuckets. Count, sum, minimum
// and maximum are exact. The zero value is ready.
type Histogram struct {
	counts   []uint64 // buckets offset, offset+1, ... at scale
	offset   int32
	coarser  uint8 // MaxScale minus scale
	zero     uint64
	count    uint64
	sum      float64
	min, max float64
}

// Observe counts n equal values. It allocates only while the range of values
// still grows.
func (h *Histogram) Observe(p Point, n uint64) {
	if n == 0 {
		return
	}
	if h.count == 0 || p.Seconds < h.min {
		h.min = p.Seconds
	}
	if p.Seconds > h.max {
		h.max = p.Seconds
	}
	h.count += n
	h.sum += p.Seconds * float64(n)
	if p.Seconds == 0 {
		h.zero += n
		return
	}
	at := int(p.index>>h.coarser) - int(h.offset)
	if uint(at) >= uint(len(h.counts)) {
		h.cover(p.index>>h.coarser, p.index>>h.coarser)
		at = int(p.index>>h.coarser) - int(h.offset)
	}
	h.counts[at] += n
}

// Count returns how many values were counted.
func (h *Histogram) Count() uint64 { return h.count }

// Max returns the largest value, 0 without values.
func (h *Histogram) Max() float64 { return h.max }

// Reset forgets the values and keeps the memory.
func (h *Histogram) Reset() { *h = Histogram{counts: h.counts[:0]} }

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
	h.sum += o.sum
	h.zero += o.zero
	if len(o.counts) == 0 {
		return
	}
	if o.coarser > h.coarser {
		h.coarsen(o.coarser - h.coarser)
	}
	shift := h.coarser - o.coarser
	first, last := o.offset, o.offset+int32(len(o.counts))-1
	before := h.coarser
	h.cover(first>>shift, last>>shift)
	shift += h.coarser - before
	for i, n := range o.counts {
		if n != 0 {
			h.counts[(first+int32(i))>>shift-h.offset] += n
		}
	}
}

// cover makes room for the buckets first to last of the current scale,
// making the scale coarser when there would be too many.
func (h *Histogram) cover(first, last int32) {
	low, high := first, last
	if len(h.counts) > 0 {
		low, high = min(low, h.offset), max(high, h.offset+int32(len(h.counts))-1)
	}
	shift := uint8(0)
	for high>>shift-low>>shift >= MaxBuckets {
		shift++
	}
	if shift > 0 {
		h.coarsen(shift)
		low, high = low>>shift, high>>shift
	}
	h.stretch(low, int(high-low)+1)
}

// stretch moves the counts into a range of n buckets from low that contains them.
func (h *Histogram) stretch(low int32, n int) {
	old := h.counts
	if len(old) == 0 {
		h.offset = low
	}
	shift := int(h.offset - low)
	if n <= cap(old) {
		h.counts = old[:n]
		copy(h.counts[shift:], old)
		clear(h.counts[:shift])
		clear(h.counts[shift+len(old):])
	} else {
		h.counts = make([]uint64, n, min(MaxBuckets, max(16, n+n/2)))
		copy(h.counts[shift:], old)
	}
	h.offset = low
}

// coarsen halves the resolution by times; the counts stay where they belong
// because a bucket is always a whole part of the one it goes to.
func (h *Histogram) coarsen(by uint8) {
	h.coarser += by
	if len(h.counts) == 0 {
		return
	}
	offset := h.offset >> by
	top := 0
	for i, n := range h.counts {
		to := int((h.offset+int32(i))>>by - offset)
		if to != i {
			h.counts[i] = 0
			h.counts[to] += n
		}
		top = to
	}
	h.offset = offset
	h.counts = h.counts[:top+1]
}

// Snapshot returns an immutable copy, nil when nothing was counted.
func (h *Histogram) Snapshot() *core.Distribution {
	if h.count == 0 {
		return nil
	}
	d := &core.Distribution{
		Count: h.count, Sum: h.sum, Min: h.min, Max: h.max,
		Scale: int32(MaxScale) - int32(h.coarser), ZeroCount: h.zero,
	}
	first, last := 0, len(h.counts)
	for first < last && h.counts[first] == 0 {
		first++
	}
	for last > first && h.counts[last-1] == 0 {
		last--
	}
	d.Offset = h.offset + int32(first)
	d.Buckets = append(make([]uint64, 0, last-first), h.counts[first:last]...)
	return d
}

// view is Snapshot without the copy, for looking at quantiles at once.
func (h *Histogram) view() core.Distribution {
	return core.Distribution{
		Count: h.count, Sum: h.sum, Min: h.min, Max: h.max,
		Scale: int32(MaxScale) - int32(h.coarser), Offset: h.offset,
		Buckets: h.counts, ZeroCount: h.zero,
	}
}

// Quantile is core.Distribution's, without a copy.
func (h *Histogram) Quantile(q float64) float64 {
	v := h.view()
	return v.Quantile(q)
}

// Durations is a Histogram that counts classic buckets as well.
type Durations struct {
	Histogram
	classic [core.ClassicBuckets]uint64
}

// Observe counts n equal values.
func (d *Durations) Observe(p Point, n uint64) {
	d.Histogram.Observe(p, n)
	d.classic[p.classic] += n
}

// Merge adds what o counted.
func (d *Durations) Merge(o *Durations) {
	d.Histogram.Merge(&o.Histogram)
	for i, n := range o.classic {
		d.classic[i] += n
	}
}

// Snapshot returns an immutable copy, nil when nothing was counted.
func (d *Durations) Snapshot() *core.Distribution {
	s := d.Histogram.Snapshot()
	if s != nil {
		s.Classic = append(make([]uint64, 0, core.ClassicBuckets), d.classic[:]...)
	}
	return s
}

// Add adds what a published distribution counted.
func (d *Durations) Add(o *core.Distribution) {
	if o == nil {
		return
	}
	d.Merge(&Durations{Histogram: Histogram{
		counts: o.Buckets, offset: o.Offset, coarser: uint8(MaxScale - o.Scale),
		zero: o.ZeroCount, count: o.Count, sum: o.Sum, min: o.Min, max: o.Max,
	}})
	for i, n := range o.Classic {
		d.classic[i] += n
	}
}
