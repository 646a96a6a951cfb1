package engine

import (
	"maps"
	"math"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// unknownService is where requests of processes are counted that discovery has
// not told of; they move to the real service when it does.
const unknownService = "unknown"

// state is everything the engine knows. It belongs to one goroutine.
type state struct {
	cfg         Config
	started     time.Time
	startedMono int64
	now         time.Time // wall clock of the newest tick or build
	mono        int64     // CLOCK_MONOTONIC of the same moment
	seq         uint64
	urgent      bool // something changed that should be seen before the next tick

	procs   map[core.ProcKey]*process
	live    map[int32]*process // by pid, those that discovery told of
	last    *process           // of the newest request: batches come by process
	flying  []*process
	forks   []*process // since the last tick
	ended   []*process // with counts, oldest first
	faded   int        // of ended, those that have only their counts left
	gone    graveyard
	ports   map[uint16][]*process // TCP listeners
	portsAt bool                  // the listeners changed since edges were resolved

	services map[string]*service
	series   int // live and retired
	folded   uint64
	edges    map[edgeKey]*edge // as clients tell of them
	heard    map[edgeKey]*edge // as servers do
	awaited  map[core.ProcKey]struct{}

	units   map[string]*core.UnitRow
	pushes  map[string]*core.PushRow
	receive *core.GatewayRow
	servers map[string]*core.IntegrationRow // integrations, by id
	machine []value
	events  eventLog
	toggles *core.Toggles
	// instrVersion counts changes that can alter the instrumentation of all rows.
	instrVersion uint64

	totals    totals
	exemplars exemplars
	self      selfMeter
	usageAt   int64 // when usage was told last
	scratch   metric.Histogram
	out       output
}

func newState(cfg Config) *state {
	s := &state{
		cfg:      cfg,
		started:  cfg.Now(),
		procs:    map[core.ProcKey]*process{},
		live:     map[int32]*process{},
		ports:    map[uint16][]*process{},
		services: map[string]*service{},
		edges:    map[edgeKey]*edge{},
		heard:    map[edgeKey]*edge{},
		awaited:  map[core.ProcKey]struct{}{},
		units:    map[string]*core.UnitRow{},
		pushes:   map[string]*core.PushRow{},
		servers:  map[string]*core.IntegrationRow{},
	}
	s.startedMono = cfg.Mono()
	s.sampleClock()
	s.gone.byKey = map[core.ProcKey]*process{}
	s.events.limit = cfg.Limits.EventsPerSecond
	s.self.init(cfg)
	s.totals.init()
	return s
}

func (s *state) sampleClock() { s.now, s.mono = s.cfg.Now(), s.cfg.Mono() }

// wall converts CLOCK_MONOTONIC with the offset of the newest tick.
func (s *state) wall(mono int64) time.Time { return s.now.Add(time.Duration(mono - s.mono)) }

// tick does what time alone brings about: steps end, ended processes are
// forgotten, our own cost is read.
func (s *state) tick() {
	s.sampleClock()
	s.self.tick(s)
	s.events.tick(s)
	s.expire()
	for _, p := range s.procs {
		p.closeSteps(s)
	}
	for _, svc := range s.services {
		svc.server.close(s)
		svc.client.close(s)
		svc.notable.tick(s.mono, svc.row)
	}
	s.totals.tick(s)
	if s.usageAt != 0 && s.mono-s.usageAt > int64(core.RateWindow) {
		s.forgetCPU()
	}
}

// forgetCPU makes CPU ratios unknown when nobody tells usage any more.
func (s *state) forgetCPU() {
	s.usageAt = 0
	for _, p := range s.procs {
		if !math.IsNaN(p.cpu) {
			p.cpu = math.NaN()
			p.touch()
		}
	}
}

func (s *state) addLost(stage, reason string, n uint64) {
	s.self.lost[stage+"/"+reason] += n
	s.self.lostChanged = true
}

func (s *state) unit(u core.UnitRow) {
	old := s.units[u.ID]
	if u.Class == core.ClassInstrumentation && (old == nil || old.Phase != u.Phase || old.Message != u.Message || old.Kind != u.Kind) {
		s.instrVersion++
	}
	s.units[u.ID] = &u
	s.out.units = nil
	s.urgent = true
}

func (s *state) unitGone(id string) {
	if old := s.units[id]; old != nil {
		delete(s.units, id)
		s.out.units = nil
		s.instrVersion++
		s.urgent = true
	}
	maps.DeleteFunc(s.pushes, func(_ string, p *core.PushRow) bool { return p.Unit == id })
	s.out.push = nil
}

func (s *state) setToggles(t *core.Toggles) {
	s.toggles = t
	s.instrVersion++
	s.urgent = true
}

func (s *state) setKinds(k []core.KindRow) {
	s.cfg.Kinds = k
	s.instrVersion++
	s.urgent = true
}

func (s *state) push(p core.PushRow) {
	s.pushes[p.Destination] = &p
	s.out.push = nil
	s.urgent = true
}

// integration takes a row; new figures alone wait for the next tick.
func (s *state) integration(r core.IntegrationRow) {
	old := s.servers[r.ID]
	if old == nil || old.State != r.State || old.Health != r.Health || old.Message != r.Message || old.Runs == 0 {
		s.urgent = true
	}
	s.servers[r.ID] = &r
	s.out.servers = nil
}

func (s *state) integrationGone(id string) {
	if s.servers[id] != nil {
		delete(s.servers, id)
		s.out.servers = nil
		s.urgent = true
	}
}

func (s *state) gateway(g *core.GatewayRow) {
	s.receive = g
	s.urgent = true
}

func (s *state) setNotice(text string, others []int32) {
	s.self.notice, s.self.others = text, others
	s.urgent = true
}
