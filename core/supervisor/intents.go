package supervisor

import (
	"errors"
	"fmt"
	"sync"

	"vitals/core"
)

// carryOut does what the user asked for. The outcome is an event; what cannot
// be done is told as well, never swallowed.
func (s *Supervisor) carryOut(i core.Intent) {
	switch i.Op {
	case core.IntentToggle:
		key, err := s.checked(i.Key, i.Choice)
		if err != nil {
			s.notice("nothing was switched", err)
			return
		}
		was := s.switchTo(key, i.Choice, "")
		if was != i.Choice {
			s.choices.remember(step{key: key, was: was})
		}
	case core.IntentUndo:
		s.undo()
	case core.IntentDetachAll:
		if !s.choices.suspended {
			s.choices.remember(step{suspend: true})
			s.suspend(true, "everything is taken out of the kernel")
		}
	case core.IntentResume:
		if s.choices.suspended {
			s.suspend(false, "instrumentation is let in again")
		}
	case core.IntentRetry:
		s.retry(i.Unit, i.Key.Kind)
	case core.IntentUninstrument:
		s.instrument(i.Key, core.Off, " (uninstrumented)")
	case core.IntentInstrument:
		s.instrument(i.Key, core.Auto, " (instrumented again)")
	case core.IntentPushNow:
		s.do(&s.pushNow, "push")
	case core.IntentReload:
		s.do(&s.reload, "reload")
	default:
		s.notice("nothing was done", fmt.Errorf("intent %q is not known", core.Clean(string(i.Op), core.MaxName)))
	}
}

// checked returns the key without what its scope does not use.
func (s *Supervisor) checked(key core.ToggleKey, to core.Choice) (core.ToggleKey, error) {
	clean := core.ToggleKey{Kind: key.Kind, Scope: key.Scope}
	if _, known := s.choices.defaults[key.Kind]; !known {
		return clean, fmt.Errorf("kind %q is not known", core.Clean(key.Kind, core.MaxName))
	}
	if to != core.On && to != core.Off && to != core.Auto {
		return clean, fmt.Errorf("choice %q is not on, off or auto", core.Clean(string(to), core.MaxName))
	}
	switch key.Scope {
	case core.ScopeGlobal:
	case core.ScopeGroup, core.ScopeService:
		if key.Target == "" || core.Clean(key.Target, core.MaxCmdline) != key.Target {
			return clean, fmt.Errorf("the %s has no usable name", key.Scope)
		}
		clean.Target = key.Target
	case core.ScopeProcess:
		if s.procs.find(key.Proc) == nil {
			return clean, fmt.Errorf("process %d is gone", key.Proc.PID)
		}
		clean.Proc = key.Proc
	default:
		return clean, fmt.Errorf("scope %q is not known", core.Clean(string(key.Scope), core.MaxName))
	}
	if s.choices.full(clean, to) {
		return clean, fmt.Errorf("there are %d choices already, the limit (set some to auto)", s.cfg.Limits.Choices)
	}
	return clean, nil
}

// switchTo makes a choice hold and returns the one before.
func (s *Supervisor) switchTo(key core.ToggleKey, to core.Choice, why string) core.Choice {
	was := s.choices.put(key, to)
	if was == to {
		return was
	}
	s.choices.rebuild()
	s.procs.switched(s.choices.current, key)
	e := core.Event{Kind: core.EventToggle, Proc: key.Proc, From: string(was), To: string(to),
		Reason: fmt.Sprintf("%s %s for %s%s", key.Kind, to, s.whom(key), why)}
	if key.Scope == core.ScopeService {
		e.Service = key.Target
	}
	switch p := s.procs.find(key.Proc); {
	case s.choices.suspended:
		e.Reason += "; takes effect when everything is resumed"
	case key.Scope == core.ScopeProcess && p != nil && p.Skip != "":
		e.Reason += "; without effect: " + p.Skip
	}
	s.switched(e)
	if s.saver != nil && key.Scope != core.ScopeProcess {
		s.saver.save(s.choices.kept())
	}
	return was
}

func (s *Supervisor) whom(key core.ToggleKey) string {
	switch key.Scope {
	case core.ScopeGlobal:
		return "all processes"
	case core.ScopeProcess:
		if p := s.procs.find(key.Proc); p != nil {
			return fmt.Sprintf("%s (%d)", p.Comm, p.PID)
		}
		return fmt.Sprintf("process %d", key.Proc.PID)
	}
	return fmt.Sprintf("%s %s", key.Scope, core.Clean(key.Target, core.MaxName))
}

func (s *Supervisor) suspend(on bool, why string) {
	was := s.choices.suspended
	s.choices.suspended = on
	s.choices.rebuild()
	s.procs.setToggles(s.choices.current)
	s.switched(core.Event{Kind: core.EventToggle, From: running(!was), To: running(!on), Reason: why})
}

func running(yes bool) string {
	if yes {
		return "running"
	}
	return "detached"
}

// switched tells of a changed choice and gives out the orders that follow.
func (s *Supervisor) switched(e core.Event) {
	s.out.toggles(s.choices.current)
	s.out.event(e)
	s.settle()
}

func (s *Supervisor) undo() {
	last, ok := s.choices.back(func(p core.ProcKey) bool { return s.procs.find(p) != nil })
	switch {
	case !ok:
		s.notice("there is nothing to undo", nil)
	case last.suspend:
		s.suspend(false, "instrumentation is let in again (undo)")
	default:
		s.switchTo(last.key, last.was, " (undo)")
	}
}

// instrument switches every kind that observes process by process for whatever
// key's scope means. What is so already is left alone.
func (s *Supervisor) instrument(key core.ToggleKey, to core.Choice, why string) {
	if key.Scope == core.ScopeGlobal {
		s.notice("nothing was switched", errors.New("all processes are not a group (use detach-all and resume)"))
		return
	}
	for _, k := range s.procs.kinds {
		if len(k.sels) == 0 {
			continue
		}
		key.Kind = k.name
		clean, err := s.checked(key, to)
		if err != nil {
			s.notice("nothing was switched", err)
			return
		}
		s.switchTo(clean, to, why)
	}
}

// retry makes one unit try again, or all of a kind, or all.
func (s *Supervisor) retry(id, kind string) {
	if id != "" {
		if a := s.actors[id]; a != nil {
			a.retry()
		} else {
			s.notice("nothing was retried", fmt.Errorf("unit %q is not known", core.Clean(id, core.MaxName)))
		}
		return
	}
	for _, a := range s.actors {
		if kind == "" || a.spec().Kind == kind {
			a.retry()
		}
	}
}

// chore runs a callback in its own goroutine, one at a time; asking while it
// runs makes it run once more.
type chore struct {
	run   func()
	mu    sync.Mutex
	busy  bool
	again bool
}

func (s *Supervisor) do(c *chore, what string) {
	if c.run == nil {
		s.notice("nothing was done", fmt.Errorf("there is nothing to %s here", what))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.again = true
		return
	}
	c.busy = true
	s.chores.Go(func() {
		for more := true; more; {
			if err := guarded(func() error { c.run(); return nil }); err != nil {
				s.panics.Add(1)
				s.notice(what+" ended badly", err)
			}
			c.mu.Lock()
			more = c.again
			c.busy, c.again = more, false
			c.mu.Unlock()
		}
	})
}
