package prometheus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"vitals/core"
)

// parseProtobuf reads families with their lengths before them.
func parseProtobuf(page []byte) ([]core.Family, error) {
	b := newBuilder()
	r := bytes.NewReader(page)
	options := protodelim.UnmarshalOptions{MaxSize: maxPage}
	for {
		var f dto.MetricFamily
		err := options.UnmarshalFrom(r, &f)
		if errors.Is(err, io.EOF) {
			return b.done(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s", errPage, core.Clean(err.Error(), core.MaxName))
		}
		if err := b.message(&f); err != nil {
			return nil, err
		}
	}
}

func (b *builder) message(f *dto.MetricFamily) error {
	kind := map[dto.MetricType]core.MetricKind{dto.MetricType_COUNTER: core.Counter, dto.MetricType_GAUGE: core.Gauge, dto.MetricType_SUMMARY: core.Summary,
		dto.MetricType_HISTOGRAM: core.Histogram}[f.GetType()]
	if kind == 0 {
		kind = core.Untyped
	}
	if f.GetType() == dto.MetricType_GAUGE_HISTOGRAM {
		return nil // its buckets fall and rise: nothing here can hold that
	}
	i, err := b.family(f.GetName(), f.GetHelp(), kind)
	if err != nil {
		return err
	}
	for _, m := range f.GetMetric() {
		if err := b.sum(); err != nil {
			return err
		}
		if len(m.GetLabel()) > maxLabels {
			return fmt.Errorf("%w: a series of %s has more than %d labels", errPage, core.Clean(f.GetName(), core.MaxName), maxLabels)
		}
		s := core.Series{}
		for _, l := range m.GetLabel() {
			s.Labels = append(s.Labels, core.Label{Name: own(l.GetName()), Value: l.GetValue()})
		}
		if ms := m.GetTimestampMs(); ms > 0 {
			s.At = time.UnixMilli(ms)
		}
		if fill(&s, m, kind) {
			b.families[i].Series = append(b.families[i].Series, s)
		}
	}
	return nil
}

// fill takes the value that fits the kind; false when the message has another.
func fill(s *core.Series, m *dto.Metric, kind core.MetricKind) bool {
	switch {
	case kind == core.Counter && m.Counter != nil:
		s.V = m.Counter.GetValue()
		if t := m.Counter.GetCreatedTimestamp(); t != nil {
			s.Created = t.AsTime()
		}
	case kind == core.Gauge && m.Gauge != nil:
		s.V = m.Gauge.GetValue()
	case kind == core.Untyped && m.Untyped != nil:
		s.V = m.Untyped.GetValue()
	case kind == core.Summary && m.Summary != nil:
		s.Ranks = &core.Ranks{Count: float64(m.Summary.GetSampleCount()), Sum: m.Summary.GetSampleSum()}
		for _, q := range m.Summary.GetQuantile() {
			s.Ranks.Quantiles = append(s.Ranks.Quantiles, core.Rank{Q: q.GetQuantile(), V: q.GetValue()})
		}
		if t := m.Summary.GetCreatedTimestamp(); t != nil {
			s.Created = t.AsTime()
		}
	case kind == core.Histogram && m.Histogram != nil:
		s.Buckets = histogram(m.Histogram)
		if t := m.Histogram.GetCreatedTimestamp(); t != nil {
			s.Created = t.AsTime()
		}
		return s.Buckets != nil
	default:
		return false
	}
	return true
}

// either is what is given as a float, else as an integer.
func either(float float64, whole uint64) float64 {
	if float > 0 {
		return float
	}
	return float64(whole)
}

// histogram takes both forms; nil when they contradict themselves.
func histogram(h *dto.Histogram) *core.Buckets {
	out := &core.Buckets{Count: either(h.GetSampleCountFloat(), h.GetSampleCount()), Sum: h.GetSampleSum()}
	if len(h.GetBucket()) > maxBuckets {
		return nil
	}
	for _, b := range h.GetBucket() {
		out.Classic = append(out.Classic, core.Bucket{Upper: b.GetUpperBound(), Count: either(b.GetCumulativeCountFloat(), b.GetCumulativeCount())})
	}
	// A native histogram without values has a span of no buckets, or a threshold.
	if h.Schema == nil || len(h.PositiveSpan) == 0 && len(h.NegativeSpan) == 0 && h.GetZeroThreshold() == 0 && h.GetZeroCount() == 0 {
		return out
	}
	n := &core.NativeBuckets{Schema: h.GetSchema(), ZeroThreshold: h.GetZeroThreshold(), ZeroCount: either(h.GetZeroCountFloat(), h.GetZeroCount())}
	var fit1, fit2 bool
	n.Positive, n.PositiveCounts, fit1 = spans(h.PositiveSpan, h.PositiveDelta, h.PositiveCount)
	n.Negative, n.NegativeCounts, fit2 = spans(h.NegativeSpan, h.NegativeDelta, h.NegativeCount)
	if !fit1 || !fit2 {
		return nil
	}
	out.Native = n
	return out
}

// spans makes counts of deltas; fit is false when the spans have more or fewer
// buckets than there are counts.
func spans(in []*dto.BucketSpan, deltas []int64, counts []float64) (out []core.BucketSpan, absolute []float64, fit bool) {
	total := uint64(0)
	for _, s := range in {
		total += uint64(s.GetLength())
		out = append(out, core.BucketSpan{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	absolute = counts
	if len(counts) == 0 {
		now := int64(0)
		for _, d := range deltas {
			now += d
			absolute = append(absolute, float64(now))
		}
	}
	return out, absolute, total == uint64(len(absolute)) && total <= maxBuckets
}
