package integrations

import (
	"math"
	"sort"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// trendPoints is how many collections a figure's history holds.
const trendPoints = 120

// reading is two successive collections, for figures.
type reading struct {
	now, before kit.Result // before.At is zero without one
}

// Sum adds up the values of a metric's matching series.
func (r reading) Sum(metric string, labels ...string) float64 {
	return fold(r.now, metric, labels, func(a, b float64) float64 { return a + b })
}

// Max is the largest of them.
func (r reading) Max(metric string, labels ...string) float64 {
	return fold(r.now, metric, labels, math.Max)
}

// Rate is the growth a second, series by series, so that one that is new or
// began anew does not look like a fall of all.
func (r reading) Rate(metric string, labels ...string) float64 {
	span := r.now.At.Sub(r.before.At).Seconds()
	now, before := find(r.now, metric), find(r.before, metric)
	if r.before.At.IsZero() || span <= 0 || now == nil || before == nil {
		return math.NaN()
	}
	grown, found, k := 0.0, false, 0
	for _, s := range now.Series { // both are sorted by labels
		for k < len(before.Series) && kit.CompareLabels(before.Series[k].Labels, s.Labels) < 0 {
			k++
		}
		if k == len(before.Series) || kit.CompareLabels(before.Series[k].Labels, s.Labels) != 0 || !has(s.Labels, labels) {
			continue
		}
		if d := s.V - before.Series[k].V; d >= 0 {
			grown, found = grown+d, true
		}
	}
	if !found {
		return math.NaN()
	}
	return grown / span
}

func fold(r kit.Result, metric string, labels []string, join func(a, b float64) float64) float64 {
	f := find(r, metric)
	if f == nil {
		return math.NaN()
	}
	out := math.NaN()
	for _, s := range f.Series {
		switch {
		case !has(s.Labels, labels):
		case math.IsNaN(out):
			out = s.V
		default:
			out = join(out, s.V)
		}
	}
	return out
}

func find(r kit.Result, metric string) *core.Family {
	i := sort.Search(len(r.Families), func(i int) bool { return r.Families[i].Name >= metric })
	if i == len(r.Families) || r.Families[i].Name != metric {
		return nil
	}
	return &r.Families[i]
}

func has(labels []core.Label, want []string) bool {
	for i := 0; i+1 < len(want); i += 2 {
		ok := false
		for _, l := range labels {
			ok = ok || l.Name == want[i] && l.Value == want[i+1]
		}
		if !ok {
			return false
		}
	}
	return true
}

// figures keeps the recent past of the figures of one unit.
type figures struct {
	of     []kit.Figure
	before kit.Result
	past   [][]float32
}

// take computes the figures of a collection and adds them to their past. What it
// returns is immutable.
func (f *figures) take(now kit.Result, every time.Duration) []core.IntegrationFigure {
	if f.past == nil {
		f.past = make([][]float32, len(f.of))
	}
	r := reading{now: now, before: f.before}
	f.before = now
	out := make([]core.IntegrationFigure, len(f.of))
	for i, fig := range f.of {
		v := value(fig, r)
		out[i] = core.IntegrationFigure{Title: fig.Title, Unit: fig.Unit, Chart: fig.Chart, V: v}
		past := f.past[i]
		if len(past) == trendPoints {
			past = past[1:]
		}
		past = append(past[:len(past):len(past)], float32(v)) // readers hold the old one
		f.past[i] = past
		if len(past) > 1 {
			out[i].Trend = &core.Trend{Step: every, Points: past}
		}
	}
	return out
}

// value is NaN when it is infinite, and when the kind cannot compute it.
func value(fig kit.Figure, r reading) (v float64) {
	v = math.NaN()
	var err error
	defer func() {
		if err != nil || math.IsInf(v, 0) {
			v = math.NaN()
		}
	}()
	defer contain(&err)
	return fig.Of(r)
}

// miss notes a collection that failed: a gap, and no rate across it.
func (f *figures) miss() {
	f.before = kit.Result{}
	for i, past := range f.past {
		if len(past) == trendPoints {
			past = past[1:]
		}
		f.past[i] = append(past[:len(past):len(past)], float32(math.NaN()))
	}
}
