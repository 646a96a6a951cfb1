package kit

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"vitals/core"
)

// DefaultMaxSeries is how many series one unit may tell where its kind says nothing else.
const DefaultMaxSeries = 5000

// maxFamilies bounds what a foreign page can claim besides its series.
const maxFamilies = 2000

// Batch takes in what one collection tells. It is used by one goroutine and
// handed over by Done.
type Batch struct {
	At time.Time // when the collection began

	limit    int
	count    int
	dropped  uint64
	families []core.Family
	index    map[string]int // by name
	missing  core.Parts
}

// NewBatch makes a batch for at most limit series, 0 is DefaultMaxSeries. hint is
// the number of families to expect.
func NewBatch(at time.Time, limit, hint int) *Batch {
	return &Batch{At: at, limit: cmp.Or(limit, DefaultMaxSeries),
		families: make([]core.Family, 0, hint), index: make(map[string]int, hint)}
}

// Add tells one value; NaN, which means unknown, is left out. values are those of
// m.Labels, in that order; an empty one leaves its label out. What is not a plain
// string is made so (core.Clean).
func (b *Batch) Add(m *Metric, v float64, values ...string) {
	if !math.IsNaN(v) {
		b.series(m, core.Series{V: v}, values)
	}
}

// AddHistogram tells a histogram, which must not be modified any more.
func (b *Batch) AddHistogram(m *Metric, h *core.Buckets, values ...string) {
	b.series(m, core.Series{Buckets: h}, values)
}

// AddFamily tells a whole family, whose labels need not be sorted; what is not
// fit to be shown or exposed is dropped and counted. It belongs to the batch then.
func (b *Batch) AddFamily(f core.Family) {
	if !validName(f.Name, true) {
		b.dropped += uint64(len(f.Series))
		return
	}
	i, ok := b.family(f.Name, f.Help, f.Kind)
	if !ok || b.families[i].Kind != f.Kind {
		b.dropped += uint64(len(f.Series))
		return
	}
	for _, s := range f.Series {
		s.Labels = slices.DeleteFunc(s.Labels, func(l core.Label) bool { return l.Value == "" })
		fit := true
		for k := range s.Labels {
			fit = fit && validName(s.Labels[k].Name, false)
			s.Labels[k].Value = core.Clean(s.Labels[k].Value, core.MaxRoute)
		}
		slices.SortFunc(s.Labels, byLabelName)
		for k := range len(s.Labels) - 1 {
			fit = fit && s.Labels[k].Name != s.Labels[k+1].Name
		}
		if !fit {
			b.dropped++
			continue
		}
		b.put(i, s)
	}
}

// Missing tells that a part could not be had though the rest could: "replication",
// with the reason. The unit is degraded, its figures stay.
func (b *Batch) Missing(part string, err error) {
	if b.missing == nil {
		b.missing = core.Parts{}
	}
	if len(b.missing) < 32 {
		b.missing[core.Clean(part, core.MaxName)] = err
	}
}

// Result is what a collection told.
type Result struct {
	At       time.Time
	Families []core.Family // by name; series by labels
	Series   int
	Dropped  uint64 // over the limit, told twice, or not fit to be exposed
	Missing  core.Parts
}

// Done sorts what was told and hands it over; the batch must not be used again.
func (b *Batch) Done() Result {
	r := Result{At: b.At, Missing: b.missing, Dropped: b.dropped}
	for _, f := range b.families {
		if len(f.Series) == 0 {
			continue
		}
		if !slices.IsSortedFunc(f.Series, bySeries) {
			slices.SortStableFunc(f.Series, bySeries)
		}
		before := len(f.Series)
		f.Series = slices.CompactFunc(f.Series, func(x, y core.Series) bool { return bySeries(x, y) == 0 })
		r.Dropped += uint64(before - len(f.Series))
		r.Series += len(f.Series)
		r.Families = append(r.Families, f)
	}
	slices.SortFunc(r.Families, func(x, y core.Family) int { return cmp.Compare(x.Name, y.Name) })
	return r
}

func (b *Batch) series(m *Metric, s core.Series, values []string) {
	i, ok := b.family(m.Name, m.Help, m.Kind)
	if !ok || len(values) != len(m.Labels) {
		b.dropped++
		return
	}
	if len(values) > 0 {
		s.Labels = make([]core.Label, 0, len(values))
		for k, v := range values {
			if v != "" {
				s.Labels = append(s.Labels, core.Label{Name: m.Labels[k], Value: core.Clean(v, core.MaxRoute)})
			}
		}
		if !slices.IsSortedFunc(s.Labels, byLabelName) {
			slices.SortFunc(s.Labels, byLabelName)
		}
	}
	b.put(i, s)
}

// family finds or makes the family of a name.
func (b *Batch) family(name, help string, kind core.MetricKind) (int, bool) {
	if i, ok := b.index[name]; ok {
		return i, true
	}
	if len(b.families) == maxFamilies {
		return 0, false
	}
	b.index[name] = len(b.families)
	b.families = append(b.families, core.Family{Name: name, Help: core.Clean(help, core.MaxCmdline), Kind: kind})
	return len(b.families) - 1, true
}

func (b *Batch) put(i int, s core.Series) {
	if b.count == b.limit {
		b.dropped++
		return
	}
	b.count++
	b.families[i].Series = append(b.families[i].Series, s)
}

func byLabelName(x, y core.Label) int { return strings.Compare(x.Name, y.Name) }

func bySeries(x, y core.Series) int { return CompareLabels(x.Labels, y.Labels) }

// CompareLabels orders sorted labels, as Result orders its series.
func CompareLabels(x, y []core.Label) int { return slices.CompareFunc(x, y, byLabel) }

func byLabel(x, y core.Label) int {
	return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Value, y.Value))
}

// validName reports whether a name can be exposed: of a metric with colons, of a
// label without. Names with two leading underscores are Prometheus' own.
func validName(s string, metric bool) bool {
	if s == "" || len(s) > core.MaxName || strings.HasPrefix(s, "__") {
		return false
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || metric && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}
