package push

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// appendDelimited appends f as a length-delimited protobuf message, the same
// bytes that the protobuf library writes, in a third of its time. What is rare
// (summaries, exemplars, created timestamps, float counts) is left to the library.
func appendDelimited(b []byte, f *dto.MetricFamily) ([]byte, error) {
	b, at := open(b)
	b = appendString(b, 1, f.Name)
	b = appendString(b, 2, f.Help)
	if f.Type != nil {
		b = append(b, tagVarint(3))
		b = binary.AppendUvarint(b, uint64(*f.Type))
	}
	for _, m := range f.Metric {
		var err error
		if b, err = appendMetric(b, m); err != nil {
			return nil, err
		}
	}
	b = appendString(b, 5, f.Unit)
	return seal(b, at), nil
}

func appendMetric(b []byte, m *dto.Metric) (_ []byte, err error) {
	b, at := open(append(b, tagBytes(4)))
	for _, l := range m.Label {
		b = appendLabel(b, l)
	}
	if m.Gauge != nil {
		b = appendValue(b, 2, m.Gauge.Value)
	}
	switch c := m.Counter; {
	case c == nil:
	case c.Exemplar == nil && c.CreatedTimestamp == nil:
		b = appendValue(b, 3, c.Value)
	default:
		if b, err = appendAny(b, 3, c); err != nil {
			return nil, err
		}
	}
	if m.Summary != nil {
		if b, err = appendAny(b, 4, m.Summary); err != nil {
			return nil, err
		}
	}
	if m.Untyped != nil {
		b = appendValue(b, 5, m.Untyped.Value)
	}
	if m.TimestampMs != nil {
		b = append(b, tagVarint(6))
		b = binary.AppendUvarint(b, uint64(*m.TimestampMs))
	}
	switch h := m.Histogram; {
	case h == nil:
	case isPlain(h):
		b = appendHistogram(b, h)
	default:
		if b, err = appendAny(b, 7, h); err != nil {
			return nil, err
		}
	}
	return seal(b, at), nil
}

// isPlain reports whether appendHistogram writes all of h.
func isPlain(h *dto.Histogram) bool {
	if h.SampleCountFloat != nil || h.CreatedTimestamp != nil || h.ZeroCountFloat != nil ||
		len(h.NegativeCount)+len(h.PositiveCount)+len(h.Exemplars) > 0 {
		return false
	}
	for _, k := range h.Bucket {
		if k.CumulativeCountFloat != nil || k.Exemplar != nil {
			return false
		}
	}
	return true
}

func appendHistogram(b []byte, h *dto.Histogram) []byte {
	b, at := open(append(b, tagBytes(7)))
	b = appendCount(b, 1, h.SampleCount)
	b = appendFloat(b, 2, h.SampleSum)
	for _, k := range h.Bucket {
		var inner int
		b, inner = open(append(b, tagBytes(3)))
		b = appendCount(b, 1, k.CumulativeCount)
		b = appendFloat(b, 2, k.UpperBound)
		b = seal(b, inner)
	}
	if h.Schema != nil {
		b = append(b, tagVarint(5))
		b = binary.AppendUvarint(b, protowire.EncodeZigZag(int64(*h.Schema)))
	}
	b = appendFloat(b, 6, h.ZeroThreshold)
	b = appendCount(b, 7, h.ZeroCount)
	b = appendSpans(b, 9, h.NegativeSpan)
	b = appendDeltas(b, 10, h.NegativeDelta)
	b = appendSpans(b, 12, h.PositiveSpan)
	b = appendDeltas(b, 13, h.PositiveDelta)
	return seal(b, at)
}

func appendSpans(b []byte, field byte, spans []*dto.BucketSpan) []byte {
	for _, s := range spans {
		var at int
		b, at = open(append(b, tagBytes(field)))
		if s.Offset != nil {
			b = append(b, tagVarint(1))
			b = binary.AppendUvarint(b, protowire.EncodeZigZag(int64(*s.Offset)))
		}
		if s.Length != nil {
			b = append(b, tagVarint(2))
			b = binary.AppendUvarint(b, uint64(*s.Length))
		}
		b = seal(b, at)
	}
	return b
}

func appendDeltas(b []byte, field byte, deltas []int64) []byte {
	for _, d := range deltas {
		b = append(b, tagVarint(field))
		b = binary.AppendUvarint(b, protowire.EncodeZigZag(d))
	}
	return b
}

func appendLabel(b []byte, l *dto.LabelPair) []byte {
	b, at := open(append(b, tagBytes(1)))
	b = appendString(b, 1, l.Name)
	b = appendString(b, 2, l.Value)
	return seal(b, at)
}

// appendValue appends the message of a gauge, counter or untyped.
func appendValue(b []byte, field byte, v *float64) []byte {
	b, at := open(append(b, tagBytes(field)))
	return seal(appendFloat(b, 1, v), at)
}

func appendAny(b []byte, field byte, m proto.Message) ([]byte, error) {
	b, at := open(append(b, tagBytes(field)))
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err != nil {
		return nil, err
	}
	return seal(b, at), nil
}

func appendString(b []byte, field byte, s *string) []byte {
	if s == nil {
		return b
	}
	b = binary.AppendUvarint(append(b, tagBytes(field)), uint64(len(*s)))
	return append(b, *s...)
}

func appendFloat(b []byte, field byte, v *float64) []byte {
	if v == nil {
		return b
	}
	return binary.LittleEndian.AppendUint64(append(b, field<<3|byte(protowire.Fixed64Type)), math.Float64bits(*v))
}

func appendCount(b []byte, field byte, v *uint64) []byte {
	if v == nil {
		return b
	}
	return binary.AppendUvarint(append(b, tagVarint(field)), *v)
}

// All field numbers of the model are below 16, so that a tag is one byte.
func tagBytes(field byte) byte  { return field<<3 | byte(protowire.BytesType) }
func tagVarint(field byte) byte { return field<<3 | byte(protowire.VarintType) }

// open leaves room for the length of a message; seal fills it in. Most are
// shorter than 128 bytes and need the one byte that is there; longer ones move.
func open(b []byte) (_ []byte, at int) { return append(b, 0), len(b) + 1 }

func seal(b []byte, at int) []byte {
	n := len(b) - at
	if n < 0x80 {
		b[at-1] = byte(n)
		return b
	}
	extra := (bits.Len(uint(n))+6)/7 - 1
	b = slices.Grow(b, extra)[:len(b)+extra]
	copy(b[at+extra:], b[at:at+n])
	binary.PutUvarint(b[at-1:], uint64(n))
	return b
}
