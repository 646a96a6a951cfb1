// Package transform changes metric families on their way: pure functions that
// never write to what they are given. What changes is copied, the rest is
// shared, so a result must not be written either.
package transform

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Func makes new families of families. A Func is safe for concurrent use.
type Func func([]*dto.MetricFamily) ([]*dto.MetricFamily, error)

// Chain applies transforms in the order given; without any, families pass as they are.
func Chain(all ...Func) Func {
	all = slices.Clone(all)
	return func(families []*dto.MetricFamily) (_ []*dto.MetricFamily, err error) {
		for _, f := range all {
			if families, err = f(families); err != nil {
				return nil, err
			}
		}
		return families, nil
	}
}

// AddTimestamps gives every metric one time, that of the call; nil means time.Now.
func AddTimestamps(now func() time.Time) Func {
	if now == nil {
		now = time.Now
	}
	return func(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
		ms := now().UnixMilli()
		return each(families, func(m *dto.Metric) *dto.Metric {
			m = shallow(m)
			m.TimestampMs = &ms
			return m
		}), nil
	}
}

// AddLabels sets labels on every metric: one of the same name is replaced, the
// others are put where they belong by name. It fails when two series of a
// family become one.
func AddLabels(labels map[string]string) Func {
	names := slices.Sorted(maps.Keys(labels))
	added := make([]*dto.LabelPair, len(names))
	for i, name := range names {
		value := labels[name]
		added[i] = &dto.LabelPair{Name: &name, Value: &value}
	}
	return func(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
		return distinct(each(families, func(m *dto.Metric) *dto.Metric {
			m = shallow(m)
			pairs := make([]*dto.LabelPair, 0, len(m.Label)+len(added))
			for _, l := range m.Label {
				if _, replaced := slices.BinarySearch(names, l.GetName()); !replaced {
					pairs = append(pairs, l)
				}
			}
			m.Label = append(pairs, added...)
			slices.SortStableFunc(m.Label, byName)
			return m
		}))
	}
}

// RemoveLabels takes labels away. It fails when two series of a family become one.
func RemoveLabels(names ...string) Func {
	names = slices.Clone(names)
	gone := func(l *dto.LabelPair) bool { return slices.Contains(names, l.GetName()) }
	return func(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
		return distinct(each(families, func(m *dto.Metric) *dto.Metric {
			if !slices.ContainsFunc(m.Label, gone) {
				return m
			}
			m = shallow(m)
			m.Label = slices.DeleteFunc(slices.Clone(m.Label), gone)
			return m
		}))
	}
}

// RenameFamilies renames families, old name to new, and sorts by name. A family
// whose new name is taken is merged with the one that has it; that fails when
// their types differ or they share a series.
func RenameFamilies(names map[string]string) Func {
	names = maps.Clone(names)
	return func(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
		out := make([]*dto.MetricFamily, 0, len(families))
		at := make(map[string]int, len(families))
		for _, f := range families {
			name := f.GetName()
			if to, ok := names[name]; ok {
				name = to
				f = withMetrics(f, f.Metric)
				f.Name = &name
			}
			i, taken := at[name]
			if !taken {
				at[name] = len(out)
				out = append(out, f)
				continue
			}
			if out[i].GetType() != f.GetType() {
				return nil, fmt.Errorf("rename onto %s: it is a %s and a %s", name, kind(out[i]), kind(f))
			}
			out[i] = withMetrics(out[i], slices.Concat(out[i].Metric, f.Metric))
			if _, err := distinct(out[i : i+1]); err != nil {
				return nil, fmt.Errorf("rename: %w", err)
			}
		}
		slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return out, nil
	}
}

func kind(f *dto.MetricFamily) string { return strings.ToLower(f.GetType().String()) }

// each replaces metrics by what change returns for them.
func each(families []*dto.MetricFamily, change func(*dto.Metric) *dto.Metric) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, len(families))
	for i, f := range families {
		metrics := make([]*dto.Metric, len(f.Metric))
		for j, m := range f.Metric {
			metrics[j] = change(m)
		}
		out[i] = withMetrics(f, metrics)
	}
	return out
}

func withMetrics(f *dto.MetricFamily, metrics []*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit, Metric: metrics}
}

func shallow(m *dto.Metric) *dto.Metric {
	return &dto.Metric{
		Label: m.Label, Gauge: m.Gauge, Counter: m.Counter, Summary: m.Summary,
		Untyped: m.Untyped, Histogram: m.Histogram, TimestampMs: m.TimestampMs,
	}
}

// distinct fails when a family has two metrics of the same labels.
func distinct(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
	var key []byte
	for _, f := range families {
		seen := make(map[string]struct{}, len(f.Metric))
		for _, m := range f.Metric {
			labels := m.Label
			if !slices.IsSortedFunc(labels, byName) {
				labels = slices.SortedFunc(slices.Values(labels), byName)
			}
			key = key[:0]
			for _, l := range labels {
				key = append(append(append(append(key, l.GetName()...), 0xff), l.GetValue()...), 0xff)
			}
			if _, twice := seen[string(key)]; twice {
				return nil, fmt.Errorf("two series of %s become one: keep the label that tells them apart", f.GetName())
			}
			seen[string(key)] = struct{}{}
		}
	}
	return families, nil
}

func byName(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }
