package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"vitals/core"
)

// place is where settings hold.
type place struct {
	scope  core.Scope
	target string
	proc   core.ProcKey
}

// everywhere is the place of settings that hold for all processes.
func everywhere() place { return place{scope: core.ScopeGlobal} }

// placeOf checks a setting and returns its place.
func placeOf(s core.Setting) (place, error) {
	if !(s.Sampling >= 0 && s.Sampling <= 1) {
		return place{}, fmt.Errorf("sampling %v is not a share from 0 to 1", s.Sampling)
	}
	switch s.Scope {
	case core.ScopeGlobal:
		return everywhere(), nil
	case core.ScopeGroup, core.ScopeService:
		if s.Target == "" || core.Clean(s.Target, core.MaxCmdline) != s.Target {
			return place{}, fmt.Errorf("the %s has no usable name", s.Scope)
		}
		return place{scope: s.Scope, target: s.Target}, nil
	case core.ScopeProcess:
		if s.Proc.PID <= 0 {
			return place{}, errors.New("the process has no pid")
		}
		return place{scope: s.Scope, proc: s.Proc}, nil
	}
	return place{}, fmt.Errorf("scope %q is not known", core.Clean(string(s.Scope), core.MaxName))
}

// ErrBusy is returned for what comes faster than it can be carried out.
var ErrBusy = errors.New("busy: too much waits to be carried out (try again)")

// Configure says which settings hold at a scope from now on, also for processes
// that come later. It never blocks: of several settings for one scope that wait,
// the newest counts. Scopes that nobody is in are remembered.
func (s *Supervisor) Configure(set core.Setting) error {
	at, err := placeOf(set)
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	select {
	case <-s.over:
		return errOver
	default:
	}
	set.Parts = maps.Clone(set.Parts)
	if !s.mail.put(at, set.Settings) {
		s.busy.Add(1)
		return ErrBusy
	}
	return nil
}

// mailbox holds settings that wait for the loop, the newest of each place.
type mailbox struct {
	mu      sync.Mutex
	pending map[place]core.Settings
	limit   int
	wake    chan struct{}
}

func newMailbox(limit int) *mailbox {
	return &mailbox{pending: make(map[place]core.Settings), limit: limit, wake: make(chan struct{}, 1)}
}

func (b *mailbox) put(at place, set core.Settings) bool {
	b.mu.Lock()
	_, waits := b.pending[at]
	ok := waits || len(b.pending) < b.limit
	if ok {
		b.pending[at] = set
	}
	b.mu.Unlock()
	nudge(b.wake)
	return ok
}

func (b *mailbox) take() map[place]core.Settings {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.pending
	b.pending = make(map[place]core.Settings)
	return all
}

// configure takes over the settings that wait; what cannot hold is told.
func (s *Supervisor) configure() {
	waiting := s.mail.take()
	if len(waiting) == 0 {
		return
	}
	room := s.cfg.Limits.Choices - len(s.procs.settings)
	for at := range waiting {
		var err error
		_, known := s.procs.settings[at]
		switch {
		case at.scope == core.ScopeProcess && s.procs.find(at.proc) == nil:
			err = fmt.Errorf("process %d is gone", at.proc.PID)
		case known:
		case room <= 0:
			err = fmt.Errorf("there are %d settings already, the limit", s.cfg.Limits.Choices)
		default:
			room--
		}
		if err != nil {
			delete(waiting, at)
			s.notice("settings were left out", err)
		}
	}
	s.procs.configure(waiting)
	s.settle()
}

// configure makes settings hold and reconsiders whom they can reach.
func (t *table) configure(changed map[place]core.Settings) {
	for at, set := range changed {
		if set.Equal(core.Settings{}) {
			delete(t.settings, at)
		} else {
			t.settings[at] = set
		}
	}
	machine := t.settings[everywhere()]
	for _, tn := range t.tunings {
		tn.setDefault(machine)
	}
	for _, m := range t.members {
		t.tune(m)
	}
}

// settingsOf returns what holds for a process: the nearest scope wins.
func (t *table) settingsOf(p *core.Process) core.Settings {
	s := t.settings[everywhere()]
	if p.Group != "" {
		s = t.settings[place{scope: core.ScopeGroup, target: p.Group}].Over(s)
	}
	if p.Service != "" {
		s = t.settings[place{scope: core.ScopeService, target: p.Service}].Over(s)
	}
	return t.settings[place{scope: core.ScopeProcess, proc: p.ProcKey}].Over(s)
}

// tune brings the settings of a process up to date.
func (t *table) tune(m *member) {
	if len(t.settings) == 0 && !m.tuned {
		return
	}
	now := t.settingsOf(m.proc)
	tuned := !now.Equal(t.settings[everywhere()])
	if tuned == m.tuned && now.Equal(m.settings) {
		return
	}
	m.settings, m.tuned = now, tuned
	for _, tn := range t.tunings {
		if tuned {
			tn.set(m.proc.ProcKey, now)
		} else {
			tn.unset(m.proc.ProcKey)
		}
	}
}

// tuning is the settings that one unit should apply, and what of them it has
// not been told yet. As with selection, the loop writes and the actor reads.
type tuning struct {
	mu    sync.Mutex
	def   core.Settings
	own   map[core.ProcKey]core.Settings
	live  bool
	dirty map[core.ProcKey]struct{}
	moved bool
	under bool // what rest returned is under way to the unit
}

// newTuning returns what holds already, for a unit that comes later.
func (t *table) newTuning(id string) *tuning {
	tn := &tuning{def: t.settings[everywhere()], own: make(map[core.ProcKey]core.Settings), dirty: make(map[core.ProcKey]struct{})}
	for _, m := range t.members {
		if m.tuned {
			tn.own[m.proc.ProcKey] = m.settings
		}
	}
	t.tunings[id] = tn
	return tn
}

func (t *tuning) setDefault(to core.Settings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.def.Equal(to) {
		t.def, t.moved = to, t.live
	}
}

func (t *tuning) set(key core.ProcKey, to core.Settings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own[key] = to
	t.touch(key)
}

func (t *tuning) unset(key core.ProcKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, had := t.own[key]; had {
		delete(t.own, key)
		t.touch(key)
	}
}

func (t *tuning) touch(key core.ProcKey) {
	if t.live {
		t.dirty[key] = struct{}{}
	}
}

func (t *tuning) changed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved || len(t.dirty) > 0
}

// whole begins collecting and returns everything that holds; false for nothing.
func (t *tuning) whole() (core.Tuning, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live, t.moved = true, false
	clear(t.dirty)
	return core.Tuning{Default: t.def, Set: maps.Clone(t.own)}, len(t.own) > 0 || !t.def.Equal(core.Settings{})
}

// rest returns what changed since whole or rest; false for nothing.
func (t *tuning) rest() (core.Tuning, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.moved && len(t.dirty) == 0 {
		return core.Tuning{}, false
	}
	out := core.Tuning{Default: t.def}
	for key := range t.dirty {
		if set, own := t.own[key]; own {
			if out.Set == nil {
				out.Set = make(map[core.ProcKey]core.Settings)
			}
			out.Set[key] = set
		} else {
			out.Clear = append(out.Clear, key)
		}
	}
	t.moved, t.under = false, true
	clear(t.dirty)
	return out, true
}

// took notes that the unit has what rest returned.
func (t *tuning) took() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under = false
}

// known reports whether the unit has everything.
func (t *tuning) known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.under && !t.moved && len(t.dirty) == 0
}

// refused puts back what the unit did not take, for another try.
func (t *tuning) refused(back core.Tuning) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under = false
	if !t.live {
		return
	}
	t.moved = true
	for key := range back.Set {
		t.dirty[key] = struct{}{}
	}
	for _, key := range back.Clear {
		t.dirty[key] = struct{}{}
	}
}

func (t *tuning) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live, t.moved, t.under = false, false, false
	clear(t.dirty)
}
