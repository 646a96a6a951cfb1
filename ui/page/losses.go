package page

import (
	"fmt"
	"time"

	"vitals/core"
	"vitals/ui/format"
)

// Losses remembers when something was lost last, for screens that must tell a
// loss of an hour ago from one that goes on.
type Losses struct {
	total  uint64
	last   time.Time
	stages map[string]loss
}

type loss struct {
	n    uint64
	last time.Time
}

// fresh is how long a loss counts as going on.
const fresh = 10 * time.Second

// Look takes the figures of a newer snapshot.
func (l *Losses) Look(s *core.Snapshot) {
	if s.Self.LostTotal > l.total {
		l.last = s.At
	}
	l.total = s.Self.LostTotal
	for stage, n := range s.Self.Lost {
		was := l.stages[stage]
		if n == was.n {
			continue
		}
		if l.stages == nil {
			l.stages = map[string]loss{}
		}
		if n > was.n {
			was.last = s.At
		}
		l.stages[stage] = loss{n, was.last}
	}
}

// Growing reports whether something was lost just before now.
func (l *Losses) Growing(now time.Time) bool {
	return !l.last.IsZero() && now.Sub(l.last) < fresh
}

// Text is "3" of a loss that goes on, and "3, 2m ago" of one that is over.
func (l *Losses) Text(n uint64, now time.Time) string {
	text := format.Of(format.Count, float64(n))
	if n == 0 || l.last.IsZero() || l.Growing(now) {
		return text
	}
	return text + ", " + format.Of(format.Age, now.Sub(l.last)) + " ago"
}

// Stage is what was lost at a stage, and how long ago the last of it.
func (l *Losses) Stage(stage string, n uint64, now time.Time) string {
	text := fmt.Sprintf("lost at %s: %d", stage, n)
	if at := l.stages[stage].last; !at.IsZero() {
		text += ", the last " + format.Of(format.Age, now.Sub(at)) + " ago"
	}
	return text
}
