package codec

import (
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// WriteLines writes line protocol, one point per metric: the family is the
// measurement, labels are tags. Fields are "gauge", "counter" or "value" (of
// untyped); of summaries and histograms "count", "sum" and one per quantile or
// bucket bound, whose counts are cumulative; native buckets are given by their
// upper bounds. What line protocol cannot say (NaN, infinite, line breaks in a
// tag) is left out; skipped counts the points that were left without a field or
// could not be written.
func WriteLines(w io.Writer, families []*dto.MetricFamily) (skipped int, err error) {
	var b []byte
	for _, f := range families {
		for _, m := range f.Metric {
			line, ok := appendPoint(b[:0], f.GetName(), m)
			if !ok {
				skipped++
				continue
			}
			if _, err := w.Write(line); err != nil {
				return skipped, err
			}
			b = line
		}
	}
	return skipped, nil
}

func appendPoint(b []byte, name string, m *dto.Metric) (_ []byte, ok bool) {
	if !tellable(name) {
		return b, false
	}
	b = append(b, measurement.Replace(name)...)
	labels := slices.SortedFunc(slices.Values(m.Label), func(x, y *dto.LabelPair) int { return strings.Compare(x.GetName(), y.GetName()) })
	for _, l := range labels {
		if l.GetValue() == "" {
			continue // an empty tag is an absent one
		}
		if !tellable(l.GetName()) || !tellable(l.GetValue()) {
			return b, false
		}
		b = append(b, ',')
		b = append(b, tag.Replace(l.GetName())...)
		b = append(b, '=')
		b = append(b, tag.Replace(l.GetValue())...)
	}
	b = append(b, ' ')
	p := point{b: b}
	switch {
	case m.Gauge != nil:
		p.add("gauge", m.Gauge.GetValue())
	case m.Counter != nil:
		p.add("counter", m.Counter.GetValue())
	case m.Untyped != nil:
		p.add("value", m.Untyped.GetValue())
	case m.Summary != nil:
		for _, q := range m.Summary.Quantile {
			p.add(key(q.GetQuantile()), q.GetValue())
		}
		p.add("count", float64(m.Summary.GetSampleCount()))
		p.add("sum", m.Summary.GetSampleSum())
	case m.Histogram != nil:
		p.histogram(m.Histogram)
	}
	if !p.any {
		return p.b, false
	}
	if m.TimestampMs != nil {
		p.b = append(p.b, ' ')
		p.b = strconv.AppendInt(p.b, m.GetTimestampMs()*1e6, 10)
	}
	return append(p.b, '\n'), true
}

var (
	measurement = strings.NewReplacer(",", `\,`, " ", `\ `)
	tag         = strings.NewReplacer(",", `\,`, " ", `\ `, "=", `\=`)
)

// tellable: a line break ends a point, and a backslash at the end would escape
// what follows.
func tellable(s string) bool {
	return s != "" && !strings.ContainsAny(s, "\n\r") && s[len(s)-1] != '\\'
}

func key(f float64) string {
	if math.IsInf(f, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

type point struct {
	b   []byte
	any bool
}

func (p *point) add(name string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || name == "NaN" {
		return
	}
	if p.any {
		p.b = append(p.b, ',')
	}
	p.any = true
	p.b = append(append(p.b, name...), '=')
	p.b = strconv.AppendFloat(p.b, v, 'g', -1, 64)
}

func (p *point) histogram(h *dto.Histogram) {
	for _, k := range h.Bucket {
		n := k.GetCumulativeCountFloat()
		if k.CumulativeCountFloat == nil {
			n = float64(k.GetCumulativeCount())
		}
		p.add(key(k.GetUpperBound()), n)
	}
	if len(h.Bucket) == 0 && h.Schema != nil {
		p.native(h)
	}
	count := h.GetSampleCountFloat()
	if h.SampleCountFloat == nil {
		count = float64(h.GetSampleCount())
	}
	p.add("count", count)
	p.add("sum", h.GetSampleSum())
}

// native adds the buckets of an exponential histogram from the lowest bound up.
func (p *point) native(h *dto.Histogram) {
	if h.GetSchema() < -4 || h.GetSchema() > 8 {
		return
	}
	base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
	below := native(h.NegativeSpan, h.NegativeDelta, h.NegativeCount)
	above := native(h.PositiveSpan, h.PositiveDelta, h.PositiveCount)
	sum := 0.0
	for _, k := range slices.Backward(below) {
		sum += k.count
		p.add(key(-math.Pow(base, float64(k.index-1))), sum)
	}
	zero := h.GetZeroCountFloat()
	if h.ZeroCountFloat == nil {
		zero = float64(h.GetZeroCount())
	}
	if zero > 0 {
		sum += zero
		p.add(key(h.GetZeroThreshold()), sum)
	}
	for _, k := range above {
		sum += k.count
		p.add(key(math.Pow(base, float64(k.index))), sum)
	}
}

type bucket struct {
	index int64
	count float64
}

// native gives the buckets of spans, whose counts are deltas or, of float
// histograms, absolute.
func native(spans []*dto.BucketSpan, deltas []int64, counts []float64) (out []bucket) {
	index, n, at := int64(0), 0.0, 0
	for _, s := range spans {
		index += int64(s.GetOffset())
		for range s.GetLength() {
			switch {
			case at < len(deltas):
				n += float64(deltas[at])
			case at < len(counts):
				n = counts[at]
			default:
				return out
			}
			out = append(out, bucket{index, n})
			at++
			index++
		}
	}
	return out
}
