package push

import (
	"hash/fnv"
	"time"
)

// maxPhase bounds how far the regular pushes are moved away from the first one.
const maxPhase = 30 * time.Second

// schedule is the grid of regular pushes: origin, origin+every, ... The first
// push of all happens at once; the grid begins a phase later that depends on the
// instance, so that a fleet that was started together spreads out.
type schedule struct {
	origin time.Time
	every  time.Duration
}

func newSchedule(start time.Time, every time.Duration, instance string) schedule {
	h := fnv.New64a()
	h.Write([]byte(instance))
	phase := time.Duration(h.Sum64() % uint64(min(every, maxPhase)))
	return schedule{origin: start.Add(phase), every: every}
}

// after returns the first point of the grid later than t.
func (s schedule) after(t time.Time) time.Time {
	if t.Before(s.origin) {
		return s.origin
	}
	return s.origin.Add((t.Sub(s.origin)/s.every + 1) * s.every)
}

// between counts the points of the grid later than a and earlier than b.
func (s schedule) between(a, b time.Time) uint64 {
	first := s.after(a)
	if !first.Before(b) {
		return 0
	}
	return uint64((b.Sub(first)-1)/s.every) + 1
}
