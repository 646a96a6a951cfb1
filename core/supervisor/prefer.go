package supervisor

import (
	"maps"

	"vitals/core"
)

// Prefer replaces the choices of the configuration while running; those that the
// user made at the screen still lie above them. It reports whether anything
// changed, waits for the loop, and blocks before Run was called.
func (s *Supervisor) Prefer(base map[core.ToggleKey]core.Choice) (changed bool, err error) {
	ok := s.inLoop(func() {
		if maps.Equal(s.choices.base, base) {
			return
		}
		changed = true
		s.choices.base = maps.Clone(base)
		s.choices.rebuild()
		s.procs.setToggles(s.choices.current)
		s.out.toggles(s.choices.current)
		s.settle()
	})
	if !ok {
		return false, errOver
	}
	return changed, nil
}
