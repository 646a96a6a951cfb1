package push

import (
	"cmp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// foreign reports whether a metric is what a server told of itself, with the job
// and the instance of that server.
func foreign(m *dto.Metric) bool {
	for _, l := range m.Label {
		if l.GetName() == "job" {
			return strings.HasPrefix(l.GetValue(), "integrations/")
		}
	}
	return false
}

// exported returns a foreign metric with its labels that are also grouping labels
// under another name, as a scrape without honor_labels gives them: the gateway
// would overwrite their values, and make one series of those of all servers.
func exported(m *dto.Metric, group []Label) *dto.Metric {
	c := &dto.Metric{Gauge: m.Gauge, Counter: m.Counter, Summary: m.Summary, Untyped: m.Untyped, Histogram: m.Histogram, TimestampMs: m.TimestampMs}
	c.Label = slices.Clone(m.Label)
	for i, l := range c.Label {
		name := l.GetName()
		for slices.ContainsFunc(group, func(g Label) bool { return g.Name == name }) ||
			name != l.GetName() && slices.ContainsFunc(m.Label, func(o *dto.LabelPair) bool { return o.GetName() == name }) {
			name = "exported_" + name
		}
		if name != l.GetName() {
			c.Label[i] = &dto.LabelPair{Name: &name, Value: l.Value}
		}
	}
	slices.SortFunc(c.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return c
}

// clashes reports whether a metric has a grouping label.
func clashes(m *dto.Metric, group []Label) bool {
	return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool {
		return slices.ContainsFunc(group, func(g Label) bool { return g.Name == l.GetName() })
	})
}
