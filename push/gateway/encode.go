package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// A stored group is: key, times, time to live, last error, families; strings and
// metrics with their length in front. The store adds version and checksum.

// encodeGroup writes a group for a store.
func encodeGroup(key Key, c content) []byte {
	size := 256
	for _, f := range c.families {
		size += len(f.metrics) + len(f.name) + len(f.help) + 64
	}
	b := make([]byte, 0, size)
	b = binary.AppendUvarint(b, uint64(len(key)))
	for _, l := range key {
		b = appendBytes(appendBytes(b, l.Name), l.Value)
	}
	for _, n := range []int64{c.pushed, c.failed, int64(c.ttl)} {
		b = binary.AppendVarint(b, n)
	}
	b = appendBytes(b, c.lastError)
	b = binary.AppendUvarint(b, uint64(len(c.families)))
	for _, f := range c.families {
		b = appendBytes(appendBytes(appendBytes(b, f.name), f.help), f.unit)
		b = binary.AppendVarint(b, int64(f.kind))
		b = binary.AppendVarint(b, f.at)
		b = binary.AppendUvarint(b, uint64(len(f.metrics)))
		b = append(b, f.metrics...)
	}
	return b
}

func appendBytes(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// restored is a group as a store gave it back. labels are those of each
// family's metrics.
type restored struct {
	key Key
	content
	expires time.Time
	labels  [][][]*dto.LabelPair
}

// ErrCorrupt is wrapped by errors of stored data that cannot be what was stored.
var ErrCorrupt = errors.New("stored group is corrupt")

func decodeGroup(data []byte) (*restored, error) {
	r := reader{rest: data}
	g := &restored{}
	for range r.count(2) {
		g.key = append(g.key, Label{r.string(), r.string()})
	}
	g.pushed, g.failed, g.ttl = r.varint(), r.varint(), time.Duration(r.varint())
	g.lastError = r.string()
	for range r.count(5) {
		f := &family{name: r.string(), help: r.string(), unit: r.string(), kind: dto.MetricType(r.varint()), at: r.varint()}
		f.metrics = []byte(r.string())
		var labels [][]*dto.LabelPair
		err := eachMetric(f.metrics, func(m *dto.Metric) error {
			if !holds(m, f.kind) {
				return fmt.Errorf("a metric of %s is not a %s", f.name, kindName(f.kind))
			}
			labels = append(labels, m.Label)
			return nil
		})
		if err != nil && r.err == nil {
			r.err = err
		}
		f.hashes = make([]uint64, 0, len(labels))
		g.families, g.labels = append(g.families, f), append(g.labels, labels)
	}
	if r.err == nil && len(r.rest) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.rest))
	}
	byKey := func(a, b Label) int { return strings.Compare(a.Name, b.Name) }
	byFamily := func(a, b *family) int { return strings.Compare(a.name, b.name) }
	if r.err == nil && (len(g.key) == 0 || g.ttl < 0 || !slices.IsSortedFunc(g.key, byKey) || !slices.IsSortedFunc(g.families, byFamily)) {
		r.err = errors.New("key, ttl or order is wrong")
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, r.err)
	}
	return g, nil
}

// eachMetric decodes one metric after the other.
func eachMetric(metrics []byte, visit func(*dto.Metric) error) error {
	for len(metrics) > 0 {
		number, kind, n := protowire.ConsumeTag(metrics)
		if n < 0 || number != 4 || kind != protowire.BytesType {
			return errors.New("there is something between metrics")
		}
		one, size := protowire.ConsumeBytes(metrics[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		m := &dto.Metric{}
		if err := proto.Unmarshal(one, m); err != nil {
			return err
		}
		if err := visit(m); err != nil {
			return err
		}
		metrics = metrics[n+size:]
	}
	return nil
}

// reader reads until something is wrong, and then zeroes.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return advance(r, v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return advance(r, v, n)
}

func advance[T any](r *reader, v T, n int) T {
	if r.err == nil && n <= 0 {
		r.err = errors.New("unexpected end")
	}
	if r.err != nil {
		var zero T
		return zero
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if r.err == nil && n > uint64(len(r.rest)) {
		r.err = errors.New("unexpected end")
	}
	if r.err != nil {
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// count reads how many follow, each of at least size bytes.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if r.err == nil && n > uint64(len(r.rest)/size) {
		r.err = errors.New("more announced than there is")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}
