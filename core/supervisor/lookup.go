package supervisor

import "vitals/core"

var _ core.Directory = (*Supervisor)(nil)

// Lookup returns the recipe of a unit and, while it is attached, the unit
// itself, else nil. Who calls its optional abilities then may find that it was
// detached meanwhile.
func (s *Supervisor) Lookup(id string) (core.Spec, core.Unit, bool) {
	v, ok := s.index.Load(id)
	if !ok {
		return core.Spec{}, nil, false
	}
	a := v.(*actor)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order.spec, a.unit, true
}

// present makes the attached unit known to Lookup; nil when it is about to go
// or is gone.
func (a *actor) present(u core.Unit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unit = u
}
