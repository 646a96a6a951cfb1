package kern

import (
	"sync"

	"vitals/core"
)

// Chosen is the selection of a unit that honours it in user space. The zero
// value selects nothing. It is safe for concurrent use.
type Chosen struct {
	mu         sync.RWMutex
	byDefault  bool
	exceptions map[core.ProcKey]bool
}

// Apply takes a change; it holds for every On that begins afterwards.
func (c *Chosen) Apply(s core.Selection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byDefault = s.Default
	for _, key := range s.Clear {
		delete(c.exceptions, key)
	}
	if c.exceptions == nil && len(s.Set) > 0 {
		c.exceptions = make(map[core.ProcKey]bool, len(s.Set))
	}
	for key, on := range s.Set {
		c.exceptions[key] = on
	}
}

// On says whether a process is observed. parent is asked for when the process
// has no exception of its own: the parent's holds until the first exec; ok is
// false when there is none to inherit from.
func (c *Chosen) On(key core.ProcKey, parent func(core.ProcKey) (p core.ProcKey, ok bool)) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.exceptions) == 0 {
		return c.byDefault
	}
	// A chain of forks longer than this without one exec is nobody's intention.
	for range 8 {
		if on, ok := c.exceptions[key]; ok {
			return on
		}
		p, ok := parent(key)
		if !ok {
			break
		}
		key = p
	}
	return c.byDefault
}
