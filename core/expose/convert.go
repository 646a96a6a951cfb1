package expose

import (
	"cmp"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vitals/core"
)

// Convert renders families as integrations tell them. The labels, names and
// values in turn, are added to every series that does not have them itself;
// empty values are left out. What families point to is shared.
func Convert(families []core.Family, labels ...string) []*dto.MetricFamily {
	added := pairs(labels)
	out := make([]*dto.MetricFamily, 0, len(families))
	for i := range families {
		f := &families[i]
		if len(f.Series) == 0 {
			continue
		}
		t := typeOf(f.Kind)
		fam := &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &t, Metric: make([]*dto.Metric, len(f.Series))}
		for k := range f.Series {
			fam.Metric[k] = convert(&f.Series[k], f.Kind, added)
		}
		slices.SortFunc(fam.Metric, compareMetrics)
		out = append(out, fam)
	}
	return out
}

func typeOf(k core.MetricKind) dto.MetricType {
	switch k {
	case core.Counter:
		return dto.MetricType_COUNTER
	case core.Gauge:
		return dto.MetricType_GAUGE
	case core.Histogram:
		return dto.MetricType_HISTOGRAM
	case core.Summary:
		return dto.MetricType_SUMMARY
	}
	return dto.MetricType_UNTYPED
}

func convert(s *core.Series, kind core.MetricKind, added []*dto.LabelPair) *dto.Metric {
	m := &dto.Metric{Label: joined(s.Labels, added)}
	if !s.At.IsZero() {
		ms := s.At.UnixMilli()
		m.TimestampMs = &ms
	}
	switch kind {
	case core.Counter:
		m.Counter = &dto.Counter{Value: &s.V, CreatedTimestamp: created(s.Created)}
	case core.Gauge:
		m.Gauge = &dto.Gauge{Value: &s.V}
	case core.Histogram:
		m.Histogram = buckets(s.Buckets)
		m.Histogram.CreatedTimestamp = created(s.Created)
	case core.Summary:
		m.Summary = ranks(s.Ranks)
		m.Summary.CreatedTimestamp = created(s.Created)
	default:
		m.Untyped = &dto.Untyped{Value: &s.V}
	}
	return m
}

// joined puts own and added labels together, by name; the own ones win.
func joined(own []core.Label, added []*dto.LabelPair) []*dto.LabelPair {
	list := make([]*dto.LabelPair, 0, len(own)+len(added))
	for i := range own {
		if own[i].Value != "" {
			list = append(list, &dto.LabelPair{Name: &own[i].Name, Value: &own[i].Value})
		}
	}
	for _, l := range added {
		if !slices.ContainsFunc(own, func(o core.Label) bool { return o.Name == l.GetName() && o.Value != "" }) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *dto.LabelPair) int { return cmp.Compare(*a.Name, *b.Name) })
	return list
}

func created(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// whole splits a count: integers have a field of their own.
func whole(v float64) (n uint64, ok bool) {
	if v < 0 || v >= 1<<63 || v != math.Trunc(v) {
		return 0, false
	}
	return uint64(v), true
}

func buckets(b *core.Buckets) *dto.Histogram {
	h := &dto.Histogram{}
	if b == nil {
		return h
	}
	h.SampleSum = &b.Sum
	if n, ok := whole(b.Count); ok {
		h.SampleCount = &n
	} else {
		h.SampleCountFloat = &b.Count
	}
	for i := range b.Classic {
		c := &b.Classic[i]
		if math.IsInf(c.Upper, 1) {
			continue // encoders add it
		}
		one := &dto.Bucket{UpperBound: &c.Upper}
		if n, ok := whole(c.Count); ok {
			one.CumulativeCount = &n
		} else {
			one.CumulativeCountFloat = &c.Count
		}
		h.Bucket = append(h.Bucket, one)
	}
	if b.Native != nil {
		native(h, b.Native)
	}
	return h
}

func native(h *dto.Histogram, n *core.NativeBuckets) {
	h.Schema, h.ZeroThreshold = &n.Schema, &n.ZeroThreshold
	h.PositiveSpan, h.NegativeSpan = spansOf(n.Positive), spansOf(n.Negative)
	zero, ok := whole(n.ZeroCount)
	positive, okP := deltas(n.PositiveCounts)
	negative, okN := deltas(n.NegativeCounts)
	if ok && okP && okN && h.SampleCount != nil {
		h.ZeroCount, h.PositiveDelta, h.NegativeDelta = &zero, positive, negative
	} else {
		h.ZeroCountFloat, h.PositiveCount, h.NegativeCount = &n.ZeroCount, n.PositiveCounts, n.NegativeCounts
	}
	// A histogram without buckets is told from a classic one by a span.
	if len(h.PositiveSpan)+len(h.NegativeSpan) == 0 && n.ZeroCount == 0 {
		offset, length := int32(0), uint32(0)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: &offset, Length: &length}}
	}
}

func spansOf(list []core.BucketSpan) []*dto.BucketSpan {
	var out []*dto.BucketSpan
	for i := range list {
		out = append(out, &dto.BucketSpan{Offset: &list[i].Offset, Length: &list[i].Length})
	}
	return out
}

// deltas makes differences of absolute counts; false when one is no integer.
func deltas(counts []float64) ([]int64, bool) {
	var out []int64
	previous := int64(0)
	for _, c := range counts {
		n, ok := whole(c)
		if !ok {
			return nil, false
		}
		out = append(out, int64(n)-previous)
		previous = int64(n)
	}
	return out, true
}

func ranks(r *core.Ranks) *dto.Summary {
	s := &dto.Summary{}
	if r == nil {
		return s
	}
	n := uint64(max(0, r.Count))
	s.SampleCount, s.SampleSum = &n, &r.Sum
	for i := range r.Quantiles {
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: &r.Quantiles[i].Q, Value: &r.Quantiles[i].V})
	}
	return s
}

// Merge joins lists of families by name. Where types differ the earlier list
// wins; metrics with labels that are there already are left out. It sorts, and
// takes over the families of the first list that has a name.
func Merge(lists ...[]*dto.MetricFamily) []*dto.MetricFamily {
	byName := map[string]*dto.MetricFamily{}
	var out []*dto.MetricFamily
	for _, list := range lists {
		for _, fam := range list {
			have := byName[fam.GetName()]
			switch {
			case have == nil:
				byName[fam.GetName()] = fam
				out = append(out, fam)
			case have.GetType() == fam.GetType():
				have.Metric = append(have.Metric, fam.Metric...)
				slices.SortStableFunc(have.Metric, compareMetrics)
				have.Metric = slices.CompactFunc(have.Metric, func(a, b *dto.Metric) bool { return compareMetrics(a, b) == 0 })
			}
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}
