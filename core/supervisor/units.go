package supervisor

import (
	"errors"
	"fmt"
	"slices"

	"vitals/core"
)

// Change says what Apply did with one unit.
type Change string

// Changes, as Apply returns them.
const (
	Unchanged Change = "unchanged" // same fingerprint: untouched
	Added     Change = "added"
	Remade    Change = "remade" // the old one stops fully, then the new one starts
	Removed   Change = "removed"
	Rejected  Change = "rejected" // see Err; one that ran keeps running as it was
)

// Result is the outcome of Apply for one unit. That a unit then attaches, or
// why not, is told by its row and its events.
type Result struct {
	ID     string
	Change Change
	Err    error
}

// errOver is returned for what comes after the end of Run.
var errOver = errors.New("vitals is ending")

// Apply makes specs the ones that hold: it adds, remakes and removes units, and
// leaves alone those whose fingerprint is the same. A spec that cannot be made
// never disturbs the unit that runs under its id, nor any other. It blocks for
// as long as the Makes of new specs take, at most the attach deadline each;
// called before Run it blocks until Run was called.
func (s *Supervisor) Apply(specs []core.Spec) []Result {
	s.apply.Lock()
	defer s.apply.Unlock()
	var running map[string]string
	ok := s.inLoop(func() {
		running = make(map[string]string, len(s.actors))
		for id, a := range s.actors {
			running[id] = a.spec().Fingerprint
		}
	})
	bad := make(map[string]error)
	for _, spec := range specs {
		if print, known := running[spec.ID]; ok && known && print != spec.Fingerprint && spec.Make != nil {
			if err := s.makeable(spec); err != nil {
				bad[spec.ID] = fmt.Errorf("init: %w", err)
			}
		}
	}
	var results []Result
	ok = ok && s.inLoop(func() {
		results = s.commitExcept(specs, bad)
		s.choices.rebuild()
		s.procs.setToggles(s.choices.current)
		s.out.toggles(s.choices.current)
		s.settle()
	})
	if !ok {
		for _, spec := range specs {
			results = append(results, Result{ID: spec.ID, Change: Rejected, Err: errOver})
		}
	}
	return results
}

// inLoop runs f in the loop and waits for it; false when the loop has ended.
func (s *Supervisor) inLoop(f func()) bool {
	done := make(chan struct{})
	select {
	case s.calls <- func() { defer close(done); f() }:
		<-done
		return true
	case <-s.over:
		return false
	}
}

// makeable tries a recipe; Make has no side effects.
func (s *Supervisor) makeable(spec core.Spec) error {
	p := start(nil, "", func() error { _, err := spec.Make(); return err })
	if !p.within(s.cfg.Limits.Attach) {
		return fmt.Errorf("it did not return within %v", s.cfg.Limits.Attach)
	}
	return p.err
}

func (s *Supervisor) commit(specs []core.Spec) []Result { return s.commitExcept(specs, nil) }

// commitExcept brings the actors in line with specs; bad holds specs that must
// not replace what runs.
func (s *Supervisor) commitExcept(specs []core.Spec, bad map[string]error) []Result {
	results := make([]Result, 0, len(specs))
	listed := make(map[string]bool, len(specs))
	s.leaving = slices.DeleteFunc(s.leaving, func(a *actor) bool { return a.residue() == "" })
	for _, spec := range specs {
		r := Result{ID: spec.ID, Change: Rejected, Err: bad[spec.ID]}
		switch {
		case listed[spec.ID]:
			r.Err = errors.New("there are two units of this id")
		case r.Err == nil:
			r.Change, r.Err = s.adopt(spec)
		}
		listed[spec.ID] = true
		results = append(results, r)
	}
	for id, a := range s.actors {
		if !listed[id] {
			s.remove(a)
			results = append(results, Result{ID: id, Change: Removed})
		}
	}
	s.choices.defaults = make(map[string]bool)
	for _, a := range s.actors {
		spec := a.spec()
		s.choices.defaults[spec.Kind] = spec.Default || spec.Class != core.ClassInstrumentation
	}
	return results
}

// adopt takes in one spec.
func (s *Supervisor) adopt(spec core.Spec) (Change, error) {
	if spec.ID == "" || spec.Kind == "" || spec.Make == nil {
		return Rejected, errors.New("a unit needs an id, a kind and a recipe")
	}
	a := s.actors[spec.ID]
	if a == nil {
		return s.add(spec)
	}
	now := a.spec()
	switch {
	case now.Kind != spec.Kind || now.Class != spec.Class || now.PerProcess != spec.PerProcess:
		return Rejected, fmt.Errorf("it is a %s of kind %s already (give the new one another id)", now.Class, now.Kind)
	case now.Fingerprint == spec.Fingerprint:
		return Unchanged, nil
	}
	a.respec(spec)
	return Remade, nil
}

func (s *Supervisor) add(spec core.Spec) (Change, error) {
	var sel *selection
	if spec.PerProcess {
		sel = newSelection()
		if err := s.procs.enlist(spec.ID, spec.Kind, sel); err != nil {
			return Rejected, err
		}
	}
	var former *actor
	for _, a := range s.leaving {
		if a.id == spec.ID {
			former = a
		}
	}
	a := s.newActor(spec, sel, s.procs.newTuning(spec.ID), former)
	s.actors[spec.ID] = a
	s.index.Store(spec.ID, a)
	return Added, nil
}

// remove lets an actor end; its row goes once everything is out.
func (s *Supervisor) remove(a *actor) {
	s.procs.discharge(a.id, a.spec().Kind)
	delete(s.procs.tunings, a.id)
	delete(s.actors, a.id)
	s.index.Delete(a.id)
	s.leaving = append(s.leaving, a)
	a.dismiss("no longer configured", true)
}
