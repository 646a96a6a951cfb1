package servertest

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Page is the values of series by their names with labels, sorted:
// `redis_db_keys{db="db0"}`.
type Page map[string]float64

// Scrape reads the page of an exporter, waiting for it. Histograms and summaries
// give their _count and _sum. Labels named in without are taken away.
func Scrape(t testing.TB, url string, without ...string) Page {
	t.Helper()
	var families map[string]*dto.MetricFamily
	Eventually(t, func() (err error) {
		families, err = scrape(url)
		return err
	})
	page := Page{}
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []core.Label
			for _, l := range m.Label {
				if !slices.Contains(without, l.GetName()) && l.GetValue() != "" {
					labels = append(labels, core.Label{Name: l.GetName(), Value: l.GetValue()})
				}
			}
			page.add(name, labels, m)
		}
	}
	return page
}

func scrape(url string) (map[string]*dto.MetricFamily, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return families, nil
}

func (p Page) add(name string, labels []core.Label, m *dto.Metric) {
	switch {
	case m.Counter != nil:
		p[key(name, labels)] = m.Counter.GetValue()
	case m.Gauge != nil:
		p[key(name, labels)] = m.Gauge.GetValue()
	case m.Untyped != nil:
		p[key(name, labels)] = m.Untyped.GetValue()
	case m.Histogram != nil:
		p[key(name+"_count", labels)] = float64(m.Histogram.GetSampleCount())
		p[key(name+"_sum", labels)] = m.Histogram.GetSampleSum()
	case m.Summary != nil:
		p[key(name+"_count", labels)] = float64(m.Summary.GetSampleCount())
		p[key(name+"_sum", labels)] = m.Summary.GetSampleSum()
	}
}

// PageOf is what a collection told, in the same form.
func PageOf(r kit.Result) Page {
	page := Page{}
	for _, f := range r.Families {
		for _, s := range f.Series {
			switch {
			case s.Buckets != nil:
				page[key(f.Name+"_count", s.Labels)] = s.Buckets.Count
				page[key(f.Name+"_sum", s.Labels)] = s.Buckets.Sum
			case s.Ranks != nil:
				page[key(f.Name+"_count", s.Labels)] = s.Ranks.Count
				page[key(f.Name+"_sum", s.Labels)] = s.Ranks.Sum
			default:
				page[key(f.Name, s.Labels)] = s.V
			}
		}
	}
	return page
}

func key(name string, labels []core.Label) string {
	if len(labels) == 0 {
		return name
	}
	labels = slices.Clone(labels)
	slices.SortFunc(labels, func(a, b core.Label) int { return strings.Compare(a.Name, b.Name) })
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = fmt.Sprintf("%s=%q", l.Name, l.Value)
	}
	return name + "{" + strings.Join(parts, ",") + "}"
}

// Oracle is how figures of ours may differ from those of an exporter. Prefixes
// are those of series with their labels.
type Oracle struct {
	// Moving are prefixes of what changes between two looks, or is counted by
	// looking, with how much it may differ. Of several the longest prefix holds.
	Moving map[string]float64
	// Absent are prefixes of what the exporter tells and we do not.
	Absent []string
	// Only, if there are any, are prefixes of what is compared at all.
	Only []string
	// Least is how many series must be the same, so that a comparison of nothing fails.
	Least int
}

// Compare fails the test when what both tell differs, and when the exporter
// tells what we do not.
func (o Oracle) Compare(t testing.TB, ours, theirs Page) {
	t.Helper()
	same := 0
	for _, k := range slices.Sorted(maps.Keys(theirs)) {
		if o.skips(k) {
			continue
		}
		want := theirs[k]
		got, ok := ours[k]
		switch {
		case !ok && (math.IsNaN(want) || hasPrefix(o.Absent, k)):
		case !ok:
			t.Errorf("%s is missing, the exporter says %v", k, want)
		case math.IsNaN(want) && math.IsNaN(got):
		case math.Abs(got-want) > o.tolerance(k)+1e-9*math.Abs(want):
			t.Errorf("%s is %v, the exporter says %v", k, got, want)
		default:
			same++
		}
	}
	t.Logf("%d series of %d agree with the exporter's %d", same, len(ours), len(theirs))
	if same < o.Least {
		t.Errorf("only %d series agree, want %d at least", same, o.Least)
	}
}

// Between fails the test when a figure of ours, taken between two looks of the
// exporter, is not between its own.
func (o Oracle) Between(t testing.TB, before, ours, after Page) {
	t.Helper()
	within := 0
	for _, k := range slices.Sorted(maps.Keys(before)) {
		last, still := after[k]
		if o.skips(k) || !still {
			continue
		}
		low, high, slack := min(before[k], last), max(before[k], last), o.tolerance(k)+1e-9*math.Abs(last)
		got, ok := ours[k]
		switch {
		case !ok && (math.IsNaN(last) || hasPrefix(o.Absent, k)):
		case !ok:
			t.Errorf("%s is missing, the exporter says %v", k, last)
		case ok && (got < low-slack || got > high+slack):
			t.Errorf("%s is %v, the exporter says %v before and %v after", k, got, before[k], last)
		case ok:
			within++
		}
	}
	t.Logf("%d series of %d are between those of the exporter", within, len(ours))
	if within < o.Least {
		t.Errorf("only %d series can be compared, want %d at least", within, o.Least)
	}
}

func (o Oracle) skips(k string) bool { return len(o.Only) > 0 && !hasPrefix(o.Only, k) }

func (o Oracle) tolerance(k string) (allowed float64) {
	longest := ""
	for prefix, v := range o.Moving {
		if strings.HasPrefix(k, prefix) && len(prefix) >= len(longest) {
			longest, allowed = prefix, v
		}
	}
	return allowed
}

func hasPrefix(prefixes []string, k string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(k, p) })
}
