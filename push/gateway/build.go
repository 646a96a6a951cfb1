package gateway

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"vitals/core"
	"vitals/push/codec"
)

// family is the metrics of one name in one group, as kept. It is immutable.
type family struct {
	name, help, unit string
	kind             dto.MetricType
	at               int64    // when it was pushed, in nanoseconds of Unix time
	metrics          []byte   // the metrics as fields of an encoded family
	hashes           []uint64 // of its series, sorted
}

func (f *family) bytes() int { return len(f.metrics) + 8*len(f.hashes) + len(f.name) + len(f.help) }

const (
	ownPrefix = "vitals_gateway_" // names that pushes cannot take

	pushTime    = "push_time_seconds"
	failureTime = "push_failure_time_seconds"
)

// builder makes families of a push, with the grouping labels in every metric.
// It checks all that can be judged without looking at other groups.
type builder struct {
	seed      maphash.Seed
	key       Key
	labels    []*dto.LabelPair // the key, and instance="" for metrics without
	limits    Limits
	unchecked bool
	scheme    model.ValidationScheme

	families map[string]*family
	series   int
	parts    int
	stamped  int    // metrics with timestamps
	first    string // of them
	err      error  // the first inconsistency

	scratch []byte
	hash    maphash.Hash
}

func newBuilder(g *Gateway, key Key) *builder {
	b := &builder{
		seed: g.state.seed, key: key, limits: g.Limits, unchecked: g.Unchecked,
		scheme: model.LegacyValidation, families: map[string]*family{},
	}
	if g.UTF8Names {
		b.scheme = model.UTF8Validation
	}
	b.hash.SetSeed(b.seed)
	b.labels = keyLabels(key)
	return b
}

// keyLabels gives the labels of a group's own metrics: the key, with instance.
func keyLabels(key Key) (out []*dto.LabelPair) {
	for i := range key {
		out = append(out, &dto.LabelPair{Name: &key[i].Name, Value: &key[i].Value})
	}
	if !slices.ContainsFunc(key, func(l Label) bool { return l.Name == "instance" }) {
		out = append(out, &dto.LabelPair{Name: proto.String("instance"), Value: proto.String("")})
		slices.SortFunc(out, byName)
	}
	return out
}

func byName(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }

// build decodes a body. Whether it is malformed is known at its end only, and
// comes before everything else that may be wrong.
func (b *builder) build(f codec.Format, data []byte) ([]*family, error) {
	err := codec.Decode(f, data, codec.Options{UTF8Names: b.scheme == model.UTF8Validation}, func(part *dto.MetricFamily) error {
		b.parts++
		if err := b.add(part); err != nil && b.err == nil {
			b.err = err
		}
		return b.tooMany()
	})
	switch {
	case err != nil:
		return nil, readError(err)
	case b.stamped > 0:
		return nil, inconsistent("%w: %s and %d more have one", ErrMetricsTimestampPresent, b.first, b.stamped-1)
	case b.err != nil:
		return nil, b.err
	}
	out := make([]*family, 0, len(b.families))
	for _, f := range b.families {
		slices.Sort(f.hashes)
		if i := firstTwice(f.hashes); i >= 0 && !b.unchecked {
			return nil, inconsistent("%s has the same series twice", f.name)
		}
		f.metrics, f.hashes = slices.Clip(f.metrics), slices.Clip(f.hashes)
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return out, b.collisions(out)
}

// tooMany ends the decoding of a push that is over a limit whatever follows.
func (b *builder) tooMany() error {
	if n := len(b.families); n > b.limits.PushFamilies {
		return exceeded("families in one push or more", n, b.limits.PushFamilies)
	}
	if most := b.limits.PushFamilies + b.limits.PushSeries; b.parts > most {
		return exceeded("parts of families in one push or more", b.parts, most)
	}
	if b.series > b.limits.PushSeries {
		return exceeded("series in one push or more", b.series, b.limits.PushSeries)
	}
	return nil
}

func firstTwice(sorted []uint64) int {
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return i
		}
	}
	return -1
}

// collisions refuses families of one push that would share series names, as a
// histogram x and a counter x_count do.
func (b *builder) collisions(families []*family) error {
	if b.unchecked {
		return nil
	}
	for _, f := range families {
		for _, suffix := range suffixes(f.kind) {
			if _, ok := b.families[f.name+suffix]; ok {
				return inconsistent("%s%s collides with the %s %s", f.name, suffix, kindName(f.kind), f.name)
			}
		}
	}
	return nil
}

// suffixes gives what a family of this type appends to its name.
func suffixes(kind dto.MetricType) []string {
	switch kind {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		return []string{"_bucket", "_sum", "_count"}
	case dto.MetricType_SUMMARY:
		return []string{"_sum", "_count"}
	}
	return nil
}

func kindName(k dto.MetricType) string { return strings.ToLower(k.String()) }

// add takes one part of a family.
func (b *builder) add(part *dto.MetricFamily) error {
	name := part.GetName()
	if name == pushTime || name == failureTime {
		return nil // these are ours to tell
	}
	shown := core.Clean(name, core.MaxName)
	f := b.families[name]
	if f == nil {
		switch {
		case !b.scheme.IsValidMetricName(name):
			return inconsistent("%q is not a metric name", shown)
		case len(name) > b.limits.Name:
			return exceeded("bytes in the name "+shown, len(name), b.limits.Name)
		case len(part.GetHelp()) > b.limits.Value:
			return exceeded("bytes in the help of "+shown, len(part.GetHelp()), b.limits.Value)
		case !utf8.ValidString(part.GetHelp()) || !utf8.ValidString(part.GetUnit()) || len(part.GetUnit()) > b.limits.Name:
			return inconsistent("help or unit of %s is not UTF-8 or too long", shown)
		case strings.HasPrefix(name, ownPrefix):
			return inconsistent("%s: names that begin with %s are the gateway's own", shown, ownPrefix)
		}
		f = &family{name: strings.Clone(name), help: strings.Clone(part.GetHelp()), unit: strings.Clone(part.GetUnit()), kind: part.GetType()}
		b.families[f.name] = f
	}
	if part.GetType() != f.kind {
		return inconsistent("%s is a %s and a %s in one push", shown, kindName(f.kind), kindName(part.GetType()))
	}
	for _, m := range part.Metric {
		b.series++
		if m.TimestampMs != nil {
			if b.stamped++; b.stamped == 1 {
				b.first = shown
			}
		}
		if err := b.metric(f, m); err != nil {
			return err
		}
	}
	return nil
}

// metric checks m and appends it, encoded, to f.
func (b *builder) metric(f *family, m *dto.Metric) error {
	shown := core.Clean(f.name, core.MaxName)
	if !holds(m, f.kind) {
		return inconsistent("%s is a %s, but a metric of it holds something else", shown, kindName(f.kind))
	}
	if err := b.checkLabels(f, m); err != nil {
		return err
	}
	m.Label = b.grouped(m.Label)
	if n := len(m.Label); n > b.limits.Labels {
		return exceeded("labels in a series of "+shown, n, b.limits.Labels)
	}
	for i := 1; i < len(m.Label); i++ {
		if m.Label[i].GetName() == m.Label[i-1].GetName() {
			return inconsistent("%s has the label %s twice", shown, m.Label[i].GetName())
		}
	}
	var err error
	if b.scratch, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(b.scratch[:0], m); err != nil {
		return inconsistent("%s: %w", shown, err)
	}
	f.metrics = protowire.AppendTag(f.metrics, 4, protowire.BytesType)
	f.metrics = protowire.AppendBytes(f.metrics, b.scratch)
	f.hashes = append(f.hashes, seriesHash(&b.hash, f.name, m.Label))
	return nil
}

// holds reports whether m has the value of a family of this type, and no other.
func holds(m *dto.Metric, kind dto.MetricType) bool {
	n := 0
	for _, there := range []bool{m.Counter != nil, m.Gauge != nil, m.Summary != nil, m.Untyped != nil, m.Histogram != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return false
	}
	switch kind {
	case dto.MetricType_COUNTER:
		return m.Counter != nil
	case dto.MetricType_GAUGE:
		return m.Gauge != nil
	case dto.MetricType_SUMMARY:
		return m.Summary != nil
	case dto.MetricType_UNTYPED:
		return m.Untyped != nil
	}
	return m.Histogram != nil
}

// checkLabels judges the labels that were pushed. One value that is not UTF-8
// would spoil every scrape, of everybody.
func (b *builder) checkLabels(f *family, m *dto.Metric) error {
	shown := core.Clean(f.name, core.MaxName)
	for _, l := range m.Label {
		name := core.Clean(l.GetName(), core.MaxName)
		switch {
		case !b.scheme.IsValidLabelName(l.GetName()) || l.GetName() == model.MetricNameLabel:
			return inconsistent("%s: %q is not a label name", shown, name)
		case l.GetName() == "le" && m.Histogram != nil, l.GetName() == "quantile" && m.Summary != nil:
			return inconsistent("%s: a %s cannot have the label %s", shown, kindName(f.kind), name)
		case len(l.GetName()) > b.limits.Name:
			return exceeded("bytes in the label name "+name, len(l.GetName()), b.limits.Name)
		case len(l.GetValue()) > b.limits.Value:
			return exceeded("bytes in the label "+name+" of "+shown, len(l.GetValue()), b.limits.Value)
		case !utf8.ValidString(l.GetValue()):
			return inconsistent("%s: the value of the label %s is not UTF-8", shown, name)
		}
	}
	return nil
}

// grouped gives the labels with those of the group over them, sorted. Only an
// instance that the group does not name is kept from the push.
func (b *builder) grouped(pushed []*dto.LabelPair) []*dto.LabelPair {
	out := make([]*dto.LabelPair, 0, len(pushed)+len(b.labels))
	instance := false
	for _, l := range pushed {
		if !slices.ContainsFunc(b.key, func(k Label) bool { return k.Name == l.GetName() }) {
			out = append(out, l)
			instance = instance || l.GetName() == "instance"
		}
	}
	for _, l := range b.labels {
		if l.GetName() != "instance" || !instance {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, byName)
	return out
}

// seriesHash identifies a series. The seed is random for each gateway, so that
// nobody can make two series that look like one.
func seriesHash(h *maphash.Hash, name string, labels []*dto.LabelPair) uint64 {
	h.Reset()
	h.WriteString(name)
	for _, l := range labels {
		h.WriteByte(0xff)
		h.WriteString(l.GetName())
		h.WriteByte(0xff)
		h.WriteString(l.GetValue())
	}
	return h.Sum64()
}
