package supervisor

import (
	"sync"

	"vitals/core"
)

// selection is what one unit should observe, and what of it the unit has not
// been told yet. The loop writes, the unit's actor reads; changes that come
// faster than the unit takes them are merged.
type selection struct {
	mu    sync.Mutex
	def   bool
	exc   map[core.ProcKey]bool
	live  bool // the unit is attached: it must be told of changes
	dirty map[core.ProcKey]struct{}
	moved bool // def changed
	under bool // what rest returned is under way to the unit
}

func newSelection() *selection {
	return &selection{exc: make(map[core.ProcKey]bool), dirty: make(map[core.ProcKey]struct{})}
}

func (s *selection) setDefault(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.def != on {
		s.def, s.moved = on, s.live
	}
}

// set makes key an exception.
func (s *selection) set(key core.ProcKey, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.exc[key]; !ok || was != on {
		s.exc[key] = on
		s.touch(key)
	}
}

// unset ends an exception; nothing happens when there is none.
func (s *selection) unset(key core.ProcKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.exc[key]; ok {
		delete(s.exc, key)
		s.touch(key)
	}
}

// clear ends an exception, also one that only the kernel knows of.
func (s *selection) clear(key core.ProcKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.exc, key)
	s.touch(key)
}

// repeat tells the unit of key once more.
func (s *selection) repeat(key core.ProcKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touch(key)
}

func (s *selection) touch(key core.ProcKey) {
	if s.live {
		s.dirty[key] = struct{}{}
	}
}

// changed reports whether the unit has something to be told.
func (s *selection) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved || len(s.dirty) > 0
}

// whole returns the full selection for a unit that was just attached, and
// collects changes from now on.
func (s *selection) whole() core.Selection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.moved = true, false
	clear(s.dirty)
	all := core.Selection{Default: s.def, Set: make(map[core.ProcKey]bool, len(s.exc))}
	for key, on := range s.exc {
		all.Set[key] = on
	}
	return all
}

// rest returns what changed since the last call of whole or rest.
func (s *selection) rest() (core.Selection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.moved && len(s.dirty) == 0 {
		return core.Selection{}, false
	}
	sel := core.Selection{Default: s.def}
	for key := range s.dirty {
		if on, ok := s.exc[key]; ok {
			if sel.Set == nil {
				sel.Set = make(map[core.ProcKey]bool)
			}
			sel.Set[key] = on
		} else {
			sel.Clear = append(sel.Clear, key)
		}
	}
	s.moved, s.under = false, true
	clear(s.dirty)
	return sel, true
}

// took notes that the unit has what rest returned.
func (s *selection) took() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under = false
}

// known reports whether the unit has everything.
func (s *selection) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.under && !s.moved && len(s.dirty) == 0
}

// refused puts back what the unit did not take, for another try.
func (s *selection) refused(sel core.Selection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under = false
	if !s.live {
		return
	}
	s.moved = true
	for key := range sel.Set {
		s.dirty[key] = struct{}{}
	}
	for _, key := range sel.Clear {
		s.dirty[key] = struct{}{}
	}
}

// stop ends the collecting of changes: the unit is no longer attached.
func (s *selection) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.moved, s.under = false, false, false
	clear(s.dirty)
}
