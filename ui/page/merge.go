package page

import "vitals/core"

// Merge adds distributions of different processes: at the coarsest of their
// scales, so that no quantile claims more than was measured. Nil when empty.
func Merge(all []*core.Distribution) *core.Distribution {
	var out *core.Distribution
	for _, d := range all {
		switch {
		case d == nil || d.Count == 0:
		case out == nil:
			out = d
		default:
			out = merge2(out, d)
		}
	}
	return out
}

func merge2(a, b *core.Distribution) *core.Distribution {
	out := &core.Distribution{Count: a.Count + b.Count, Sum: a.Sum + b.Sum, Min: min(a.Min, b.Min), Max: max(a.Max, b.Max),
		ZeroCount: a.ZeroCount + b.ZeroCount, Scale: min(a.Scale, b.Scale)}
	first, last, any := int32(0), int32(0), false
	for _, d := range [...]*core.Distribution{a, b} {
		if len(d.Buckets) == 0 {
			continue
		}
		shift := d.Scale - out.Scale
		lo, hi := d.Offset>>shift, (d.Offset+int32(len(d.Buckets))-1)>>shift
		if !any {
			first, last, any = lo, hi, true
		}
		first, last = min(first, lo), max(last, hi)
	}
	if !any {
		return out
	}
	out.Offset, out.Buckets = first, make([]uint64, last-first+1)
	for _, d := range [...]*core.Distribution{a, b} {
		shift := d.Scale - out.Scale
		for i, n := range d.Buckets {
			out.Buckets[(d.Offset+int32(i))>>shift-first] += n
		}
	}
	return out
}

// Bands counts a distribution in the bands of a heat map.
func Bands(d *core.Distribution) (bands [core.HeatRows]float64) {
	if d == nil {
		return bands
	}
	bands[0] = float64(d.ZeroCount)
	for i, n := range d.Buckets {
		if n == 0 {
			continue
		}
		low, high := d.Bounds(i)
		mid := (low + high) / 2
		band := 0
		for band+1 < core.HeatRows && mid >= core.HeatBound(band+1) {
			band++
		}
		bands[band] += float64(n)
	}
	return bands
}
