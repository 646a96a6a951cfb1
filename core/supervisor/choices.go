package supervisor

import (
	"maps"

	"vitals/core"
)

// choices is what was chosen, where: the configuration file's choices below,
// the user's above. Every change makes a new immutable core.Toggles.
type choices struct {
	base      map[core.ToggleKey]core.Choice
	user      map[core.ToggleKey]core.Choice
	ofProc    map[core.ProcKey]int // choices of process scope, so that ends cost nothing
	given     map[string]bool      // Defaults of the configuration
	defaults  map[string]bool      // Defaults of the specs
	shed      map[core.Shed]string
	suspended bool
	undo      []step
	limits    Limits
	current   *core.Toggles
}

// step is how to take back one change.
type step struct {
	key     core.ToggleKey
	was     core.Choice // the user's choice before; Auto was none
	suspend bool        // the step was detach-all
}

func newChoices(base *core.Toggles, limits Limits) *choices {
	c := &choices{
		base:     make(map[core.ToggleKey]core.Choice),
		user:     make(map[core.ToggleKey]core.Choice),
		ofProc:   make(map[core.ProcKey]int),
		given:    make(map[string]bool),
		defaults: make(map[string]bool),
		limits:   limits,
	}
	if base != nil {
		maps.Copy(c.base, base.Choices)
		maps.Copy(c.given, base.Defaults)
		c.suspended = base.Suspended
	}
	c.rebuild()
	return c
}

// rebuild makes the set that holds from now on.
func (c *choices) rebuild() {
	now := &core.Toggles{
		Choices:   make(map[core.ToggleKey]core.Choice, len(c.base)+len(c.user)),
		Defaults:  maps.Clone(c.defaults),
		Shed:      c.shed, // replaced, never written
		Suspended: c.suspended,
	}
	maps.Copy(now.Choices, c.base)
	maps.Copy(now.Choices, c.user)
	maps.Copy(now.Defaults, c.given)
	c.current = now
}

// put sets or, with Auto, removes the user's choice and returns what it was.
// The caller rebuilds.
func (c *choices) put(key core.ToggleKey, to core.Choice) (was core.Choice) {
	was, had := c.user[key]
	if !had {
		was = core.Auto
	}
	switch {
	case to == core.Auto && had:
		delete(c.user, key)
		c.count(key, -1)
	case to != core.Auto:
		c.user[key] = to
		if !had {
			c.count(key, +1)
		}
	}
	return was
}

func (c *choices) count(key core.ToggleKey, by int) {
	if key.Scope != core.ScopeProcess {
		return
	}
	if c.ofProc[key.Proc] += by; c.ofProc[key.Proc] == 0 {
		delete(c.ofProc, key.Proc)
	}
}

// full reports whether one more choice would be too many.
func (c *choices) full(key core.ToggleKey, to core.Choice) bool {
	_, had := c.user[key]
	return to != core.Auto && !had && len(c.user) >= c.limits.Choices
}

// forget ends the choices of a process that ended; false when it had none.
func (c *choices) forget(p core.ProcKey) bool {
	if c.ofProc[p] == 0 {
		return false
	}
	for key := range c.user {
		if key.Scope == core.ScopeProcess && key.Proc == p {
			c.put(key, core.Auto)
		}
	}
	return true
}

func (c *choices) remember(s step) {
	if len(c.undo) >= c.limits.Undo {
		c.undo = append(c.undo[:0], c.undo[1:]...)
	}
	c.undo = append(c.undo, s)
}

// back pops the newest step that would still change something.
func (c *choices) back(alive func(core.ProcKey) bool) (step, bool) {
	for len(c.undo) > 0 {
		last := c.undo[len(c.undo)-1]
		c.undo = c.undo[:len(c.undo)-1]
		if last.suspend {
			if c.suspended {
				return last, true
			}
			continue
		}
		now, had := c.user[last.key]
		if !had {
			now = core.Auto
		}
		if now != last.was && (last.key.Scope != core.ScopeProcess || alive(last.key.Proc)) {
			return last, true
		}
	}
	return step{}, false
}

// kept returns the user's choices that outlive this run.
func (c *choices) kept() map[core.ToggleKey]core.Choice {
	kept := make(map[core.ToggleKey]core.Choice)
	for key, choice := range c.user {
		if key.Scope != core.ScopeProcess {
			kept[key] = choice
		}
	}
	return kept
}
