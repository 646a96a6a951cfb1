// Package budget keeps vitals within a share of the machine. It lets go of what
// costs most, a kind of instrumentation at a service, and tries it again later.
package budget

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"vitals/core"
)

// How the keeper decides. A look is the average since the one before.
const (
	// Period is how often to look: as often as the kernel's part is measured.
	Period = 15 * time.Second
	// patience is how many looks in a row are over the budget before something is
	// let go: a burst is no habit.
	patience = 2
	// rest is how long a change takes to be seen in what is measured.
	rest = 2 * Period
	// roomy is the share of the budget up to which something is let in again.
	roomy = 0.8
	// worth is the share of the budget below which letting go does not help.
	worth = 0.05
	// firstPause is how long something stays out; it doubles up to longestPause when
	// it had to be let go again soon after it was tried.
	firstPause, longestPause = time.Minute, 30 * time.Minute
)

// Spend is what a kind costs at a service, as a share of one core.
type Spend struct {
	core.Shed
	Ratio float64
}

// Look is what was measured since the one before.
type Look struct {
	At     time.Time
	Limit  float64 // the budget, as a share of one core; 0 is none
	Total  float64 // all that vitals costs, as a share of one core
	Spends []Spend // what can be let go; any order
}

// Keeper decides what is let go. The zero Keeper is ready. It is used by one
// goroutine.
type Keeper struct {
	out   map[core.Shed]*absence
	tried map[core.Shed]trial
	over  int       // looks in a row
	calm  time.Time // no decision before
}

// absence is something that was let go.
type absence struct {
	ratio float64 // what it cost
	until time.Time
	pause time.Duration
}

// trial is something that was let in again.
type trial struct {
	at    time.Time
	pause time.Duration // it had been out
}

// Shed lists what is out now. The caller owns the result.
func (k *Keeper) Shed() []core.Shed {
	return slices.SortedFunc(maps.Keys(k.out), func(a, b core.Shed) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Kind, b.Kind))
	})
}

// Helpless reports whether vitals is over its budget and has nothing to let go
// that would help.
func (k *Keeper) Helpless() bool { return k.over > patience }

// Look decides, and reports whether Shed changed.
func (k *Keeper) Look(l Look) (changed bool) {
	if l.Limit <= 0 {
		changed = len(k.out) > 0
		*k = Keeper{}
		return changed
	}
	maps.DeleteFunc(k.tried, func(_ core.Shed, t trial) bool { return l.At.Sub(t.at) > 2*longestPause })
	if l.At.Before(k.calm) {
		return false
	}
	if l.Total > l.Limit {
		k.over++
		changed = k.over >= patience && k.letGo(l)
	} else {
		k.over = 0
		changed = l.Total <= roomy*l.Limit && k.letIn(l)
	}
	if changed {
		k.over, k.calm = 0, l.At.Add(rest)
	}
	return changed
}

// letGo takes out the dearest until the rest fits.
func (k *Keeper) letGo(l Look) (any bool) {
	spends := slices.SortedFunc(slices.Values(l.Spends), func(a, b Spend) int { return cmp.Compare(b.Ratio, a.Ratio) })
	for excess := l.Total - l.Limit; len(spends) > 0 && excess > 0; spends = spends[1:] {
		s := spends[0]
		if s.Ratio < worth*l.Limit {
			break
		}
		if _, gone := k.out[s.Shed]; gone {
			continue
		}
		pause := firstPause
		if t, ok := k.tried[s.Shed]; ok && l.At.Sub(t.at) <= t.pause+2*rest {
			pause = min(2*t.pause, longestPause)
		}
		if k.out == nil {
			k.out, k.tried = map[core.Shed]*absence{}, map[core.Shed]trial{}
		}
		k.out[s.Shed] = &absence{ratio: s.Ratio, until: l.At.Add(pause), pause: pause}
		delete(k.tried, s.Shed)
		excess -= s.Ratio
		any = true
	}
	return any
}

// letIn takes back the cheapest that has been out long enough, or for which
// there is room by what it cost.
func (k *Keeper) letIn(l Look) bool {
	var best core.Shed
	var found *absence
	for _, s := range k.Shed() {
		a := k.out[s]
		if l.At.Before(a.until) && l.Total+a.ratio > roomy*l.Limit {
			continue
		}
		if found == nil || a.ratio < found.ratio {
			best, found = s, a
		}
	}
	if found == nil {
		return false
	}
	delete(k.out, best)
	k.tried[best] = trial{at: l.At, pause: found.pause}
	return true
}
