package push

import (
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
	"vitals/core/expose"
)

// keepGathered is how long what was gathered is kept for destinations whose turn
// comes at the same point in time, and are scheduled a little later.
const keepGathered = time.Second

// Shared is what several destinations push: at each point in time one snapshot,
// rendered once. It also holds the start that their schedules count from, so
// that destinations of one interval push at the same time. Safe for concurrent use.
type Shared struct {
	source   core.Source
	families func(*core.Snapshot) []*dto.MetricFamily
	begin    func() time.Time

	mu       sync.Mutex
	at       time.Time
	gathered []*dto.MetricFamily // nil when there is none
	forget   *time.Timer
}

// NewShared makes the common part of destinations. Families may be nil.
func NewShared(source core.Source, families func(*core.Snapshot) []*dto.MetricFamily) *Shared {
	if families == nil {
		families = expose.Families
	}
	return &Shared{source: source, families: families, begin: sync.OnceValue(time.Now)}
}

// gather gives the families for a point in time. Whoever asks first renders
// them; the others wait for that.
func (s *Shared) gather(at time.Time) []*dto.MetricFamily {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gathered != nil && s.at.Equal(at) {
		return s.gathered
	}
	s.at, s.gathered = at, s.families(s.source.Latest())
	if s.forget == nil {
		s.forget = time.AfterFunc(keepGathered, s.drop)
	} else {
		s.forget.Reset(keepGathered)
	}
	return s.gathered
}

func (s *Shared) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathered = nil
}

// families gives what a push at a point of the schedule sends; a zero time is
// none of them, as when somebody asked, or after a failure.
func (s *settings) families(at time.Time) func() []*dto.MetricFamily {
	return func() []*dto.MetricFamily {
		if s.Shared != nil && !at.IsZero() {
			return s.Shared.gather(at)
		}
		return s.Families(s.Source.Latest())
	}
}
