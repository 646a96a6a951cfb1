package transform

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
)

// Rules are transforms as a configuration says them. They run in the order of
// the fields.
type Rules struct {
	RemoveLabels   []string
	RenameLabels   map[string]string // old name to new
	AddLabels      map[string]string
	RenameFamilies map[string]string
	Timestamps     bool // stamp every metric with the time of the push
}

// Func makes one transform of r, nil when it changes nothing.
func (r Rules) Func() (Func, error) {
	var all []Func
	if err := labelNames(slices.Values(r.RemoveLabels)); err != nil {
		return nil, fmt.Errorf("remove_labels: %w", err)
	}
	if err := cmp.Or(labelNames(maps.Keys(r.RenameLabels)), labelNames(maps.Values(r.RenameLabels))); err != nil {
		return nil, fmt.Errorf("rename_labels: %w", err)
	}
	if err := labelNames(maps.Keys(r.AddLabels)); err != nil {
		return nil, fmt.Errorf("add_labels: %w", err)
	}
	for name := range maps.Values(r.RenameFamilies) {
		if !model.LegacyValidation.IsValidMetricName(name) {
			return nil, fmt.Errorf("rename_families: %.80q is not the name of a metric: use letters, digits, _ and :", name)
		}
	}
	if len(r.RemoveLabels) > 0 {
		all = append(all, RemoveLabels(r.RemoveLabels...))
	}
	if len(r.RenameLabels) > 0 {
		all = append(all, RenameLabels(r.RenameLabels))
	}
	if len(r.AddLabels) > 0 {
		all = append(all, AddLabels(r.AddLabels))
	}
	if len(r.RenameFamilies) > 0 {
		all = append(all, RenameFamilies(r.RenameFamilies))
	}
	if r.Timestamps {
		all = append(all, AddTimestamps(nil))
	}
	if len(all) == 0 {
		return nil, nil
	}
	return Chain(all...), nil
}

func labelNames(names func(func(string) bool)) error {
	for name := range names {
		if !model.LegacyValidation.IsValidLabelName(name) || name == model.MetricNameLabel {
			return fmt.Errorf("%.80q is not the name of a label: use letters, digits and _", name)
		}
	}
	return nil
}

// RenameLabels renames labels, old name to new. It fails when a metric has the
// new name already, or when two series of a family become one.
func RenameLabels(names map[string]string) Func {
	names = maps.Clone(names)
	return func(families []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
		var clash error
		out := each(families, func(m *dto.Metric) *dto.Metric {
			if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { _, ok := names[l.GetName()]; return ok }) {
				return m
			}
			m = shallow(m)
			m.Label = slices.Clone(m.Label)
			for i, l := range m.Label {
				if to, ok := names[l.GetName()]; ok {
					m.Label[i] = &dto.LabelPair{Name: &to, Value: l.Value}
				}
			}
			slices.SortStableFunc(m.Label, byName)
			for i := 1; i < len(m.Label); i++ {
				if m.Label[i].GetName() == m.Label[i-1].GetName() {
					clash = errors.New("a metric has the label " + m.Label[i].GetName() + " already: choose another new name")
				}
			}
			return m
		})
		if clash != nil {
			return nil, fmt.Errorf("rename labels: %w", clash)
		}
		return distinct(out)
	}
}
