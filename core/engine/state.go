package engine

import (
	"time"

	"vitals/core"
)

// state is everything the engine knows. It belongs to one goroutine.
type state struct {
	cfg     Config
	started time.Time
	seq     uint64
	urgent  bool // something changed that should be seen before the next tick
	toggles *core.Toggles
}

func newState(cfg Config) *state { return &state{cfg: cfg, started: cfg.Now()} }

func (s *state) tick()                                  {}
func (s *state) requests(b *batch[core.Request])        {}
func (s *state) samples(b *batch[core.Sample])          {}
func (s *state) usage(b *batch[core.Usage])             {}
func (s *state) coverage(b *batch[core.Coverage])       {}
func (s *state) inFlight(list []core.InFlight)          {}
func (s *state) addLost(stage, reason string, n uint64) {}
func (s *state) processUp(p *core.Process)              {}
func (s *state) processChanged(p *core.Process)         {}
func (s *state) processDown(k core.ProcKey, x core.Exit, at time.Time) {
}
func (s *state) unit(u core.UnitRow)                {}
func (s *state) unitGone(id string)                 {}
func (s *state) event(e core.Event)                 {}
func (s *state) setToggles(t *core.Toggles)         { s.toggles = t }
func (s *state) push(p core.PushRow)                {}
func (s *state) setNotice(t string, others []int32) {}

func (s *state) build() *core.Snapshot {
	s.urgent = false
	s.seq++
	now := s.cfg.Now()
	return &core.Snapshot{Seq: s.seq, At: now, Started: s.started, Window: now.Sub(s.started), Host: s.cfg.Host, Kinds: s.cfg.Kinds, Toggles: s.toggles}
}
