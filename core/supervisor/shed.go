package supervisor

import (
	"maps"
	"slices"
	"strings"

	"vitals/core"
)

// Shed says what is off from now on to keep the budget, and why; it replaces what
// was said before. The user's choices for a group, a service or a process are
// stronger. It waits for the loop, and blocks before Run was called.
func (s *Supervisor) Shed(all map[core.Shed]string) error {
	ok := s.inLoop(func() {
		was := s.choices.shed
		if maps.Equal(was, all) {
			return
		}
		s.choices.shed = maps.Clone(all)
		s.choices.rebuild()
		s.procs.setToggles(s.choices.current)
		s.out.toggles(s.choices.current)
		for _, e := range shedEvents(was, all) {
			s.out.event(e)
		}
		s.settle()
	})
	if !ok {
		return errOver
	}
	return nil
}

func shedEvents(was, now map[core.Shed]string) []core.Event {
	var events []core.Event
	tell := func(x core.Shed, from, to core.Choice, why string) {
		events = append(events, core.Event{Kind: core.EventToggle, Service: x.Service, From: string(from), To: string(to),
			Reason: x.Kind + " " + string(to) + " for service " + core.Clean(x.Service, core.MaxName) + ": " + why})
	}
	for x, why := range now {
		if _, had := was[x]; !had {
			tell(x, core.On, core.Off, why)
		}
	}
	for x := range was {
		if _, has := now[x]; !has {
			tell(x, core.Off, core.On, "the budget is tried again")
		}
	}
	slices.SortFunc(events, func(a, b core.Event) int { return strings.Compare(a.Reason, b.Reason) })
	return events
}
