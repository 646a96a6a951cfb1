package push

import (
	"fmt"

	"vitals/core"
)

// NewSpec validates c and describes the destination as a unit. Its failures to
// push never end the unit: they are in the rows it reports.
func NewSpec(c Config) (core.Spec, error) {
	s, err := c.regular()
	if err != nil {
		return core.Spec{}, err
	}
	return s.spec(), nil
}

// NewSpecs describes several destinations, which push the same at the same time
// unless their filters, transforms and intervals differ: all share the snapshot
// that is gathered at a point in time. Source and Families are those of the first.
func NewSpecs(all []Config) ([]core.Spec, error) {
	if len(all) < 2 {
		var specs []core.Spec
		for _, c := range all {
			spec, err := NewSpec(c)
			if err != nil {
				return nil, err
			}
			specs = append(specs, spec)
		}
		return specs, nil
	}
	shared := NewShared(all[0].Source, all[0].Families)
	specs := make([]core.Spec, 0, len(all))
	names, targets := map[string]int{}, map[string]int{}
	for i, c := range all {
		c.Shared = shared
		s, err := c.regular()
		if err != nil {
			return nil, fmt.Errorf("push destination %d: %w", i+1, err)
		}
		if twin, taken := targets[s.Kind+" "+s.target]; taken {
			return nil, fmt.Errorf("push destinations %d and %d both write %s: give one another job, group or path", twin+1, i+1, s.target)
		}
		if twin, taken := names[s.called()]; taken {
			return nil, fmt.Errorf("push destinations %d and %d are both called %s: give one a name of its own", twin+1, i+1, s.called())
		}
		targets[s.Kind+" "+s.target], names[s.called()] = i, i
		if s.Name == "" {
			s.id += "/" + core.Clean(s.shown, core.MaxName)
		}
		specs = append(specs, s.spec())
	}
	return specs, nil
}

func (s *settings) spec() core.Spec {
	return core.Spec{
		ID:          s.id,
		Class:       core.ClassDestination,
		Kind:        s.Kind,
		Title:       "push",
		Help:        "Pushes all metrics to the " + s.kind.title + " " + s.shown + " every " + s.Interval.String(),
		Fingerprint: s.fingerprint(),
		Default:     true,
		Make:        func() (core.Unit, error) { return newUnit(s), nil },
	}
}
