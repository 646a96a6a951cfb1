package integrations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
	"vitals/core/supervisor"
)

// fake is a kind of integration that does what a test wants, and counts.
type fake struct {
	mu sync.Mutex
	counts
	shared  kit.Shared
	collect func(context.Context, fakeSettings, *kit.Batch) error
	update  func(fakeSettings) error
	probe   func(context.Context, fakeSettings) (string, error)
	open    func(fakeSettings) error
}

// counts is what happened so far.
type counts struct {
	opened  int
	closed  int
	asked   int
	updated int
	probed  []string // addresses, in order
	live    int      // collectors that collected and are not closed
	maxLive int
	last    fakeSettings // of the newest collection
}

type fakeSettings struct {
	Address   string `yaml:"address"`
	Value     int    `yaml:"value"`
	kit.Login `yaml:",inline"`
}

func (f *fake) kind(name string, change func(*kit.Definition[fakeSettings])) kit.Kind {
	d := kit.Definition[fakeSettings]{
		Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Help: "a fake", Ambient: true, Grants: "GRANT fake",
		Normalise: func(s *fakeSettings, _ kit.Shared) error {
			e, err := kit.ParseEndpoint(s.Address, 7)
			s.Address = e.String()
			return err
		},
		Identity: func(s fakeSettings) string { return s.Address },
		Validate: func(s fakeSettings) error {
			if s.Value < 0 {
				return errors.New("value: it is negative")
			}
			return nil
		},
		Signs: kit.Signs{Executables: []string{name + "d"}, Ports: []uint16{7}, Protocols: []string{name}, Sockets: []string{"*/" + name + ".sock"}},
		Candidates: func(s kit.Server) (out []fakeSettings) {
			for _, e := range s.Endpoints {
				out = append(out, fakeSettings{Address: e.String()})
			}
			return out
		},
		Probe: func(ctx context.Context, s fakeSettings, _ kit.Env) (fakeSettings, string, error) {
			f.mu.Lock()
			f.probed = append(f.probed, s.Address)
			probe := f.probe
			f.mu.Unlock()
			if probe == nil {
				return s, "it answers", nil
			}
			saw, err := probe(ctx, s)
			return s, saw, err
		},
		Open: func(s fakeSettings, e kit.Env) (kit.Collector, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.opened++
			f.shared = e.Shared
			if f.open != nil {
				if err := f.open(s); err != nil {
					return nil, err
				}
			}
			return &fakeCollector{f: f, s: s}, nil
		},
		Update: func(c kit.Collector, s fakeSettings) error {
			f.mu.Lock()
			f.updated++
			update := f.update
			f.mu.Unlock()
			if update == nil {
				return fmt.Errorf("a fake cannot: %w", kit.ErrNeedsRemake)
			}
			if err := update(s); err != nil {
				return err
			}
			c.(*fakeCollector).set(s)
			return nil
		},
		Figures: []kit.Figure{{Title: "Value", Of: kit.Level("fake_value")}, {Title: "Rounds", Unit: "per_second", Of: kit.PerSecond("fake_rounds_total")}},
	}
	if change != nil {
		change(&d)
	}
	return kit.New(d)
}

type fakeCollector struct {
	f      *fake
	mu     sync.Mutex
	s      fakeSettings
	rounds float64
	closed bool
}

func (c *fakeCollector) set(s fakeSettings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s = s
}

func (c *fakeCollector) Collect(ctx context.Context, b *kit.Batch) error {
	c.mu.Lock()
	s := c.s
	c.rounds++
	rounds := c.rounds
	c.mu.Unlock()
	c.f.mu.Lock()
	c.f.asked++
	c.f.last = s
	if rounds == 1 {
		c.f.live++
		c.f.maxLive = max(c.f.maxLive, c.f.live)
	}
	collect := c.f.collect
	c.f.mu.Unlock()
	b.Add(&kit.Metric{Name: "fake_value", Kind: core.Gauge}, float64(s.Value))
	b.Add(&kit.Metric{Name: "fake_rounds_total", Kind: core.Counter}, rounds)
	if collect != nil {
		return collect(ctx, s, b)
	}
	return nil
}

func (c *fakeCollector) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.closed++
	if c.rounds > 0 {
		c.f.live--
	}
}

func (f *fake) locked(read func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	read()
}

// seen is what happened so far: units go on asking while a test looks.
func (f *fake) seen() counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts
	c.probed = slices.Clone(c.probed)
	return c
}

// world is a manager with a supervisor, as package main wires them.
type world struct {
	t      *testing.T
	m      *Manager
	sup    *supervisor.Supervisor
	apply  sync.Mutex
	mu     sync.Mutex
	rows   map[string]core.IntegrationRow
	told   map[string][]core.IntegrationRow // all there were
	units  map[string]core.UnitRow
	events []core.Event
	stop   func()
}

// quick is patience that fits a test. What ends something is long, for a machine
// that is busy: a test of such an end makes it short.
func quick() Limits {
	return Limits{Settle: time.Millisecond, Probe: patience, Again: 40 * time.Millisecond,
		AgainMax: 200 * time.Millisecond, Grace: time.Hour, Forget: time.Hour}
}

// patience is with what happens soon on a machine that is not busy.
const patience = 30 * time.Second

func newWorld(t *testing.T, change func(*Config), kinds ...kit.Kind) *world {
	t.Helper()
	w := &world{t: t, rows: map[string]core.IntegrationRow{}, told: map[string][]core.IntegrationRow{}, units: map[string]core.UnitRow{}}
	cfg := Config{
		Kinds: kinds, Shared: kit.Shared{Instance: "box"}, Limits: quick(),
		Report: func(r core.IntegrationRow) {
			w.mu.Lock()
			w.rows[r.ID], w.told[r.ID] = r, append(w.told[r.ID], r)
			w.mu.Unlock()
		},
		Gone:    func(id string) { w.mu.Lock(); delete(w.rows, id); w.mu.Unlock() },
		Event:   func(e core.Event) { w.mu.Lock(); w.events = append(w.events, e); w.mu.Unlock() },
		Changed: func() { w.hand() },
		Retry:   func(id string) { w.sup.Submit(core.Intent{Op: core.IntentRetry, Unit: id}) },
	}
	if change != nil {
		change(&cfg)
	}
	w.m = New(cfg)
	w.sup = supervisor.New(supervisor.Config{
		Reporter: w, Jitter: func() float64 { return 0 },
		Limits: supervisor.Limits{BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond, Detach: patience, Grace: patience, Shutdown: patience},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.sup.Run(ctx) })
	running.Go(func() { w.m.Run(ctx) })
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(w.stop)
	return w
}

func (w *world) Unit(u core.UnitRow) {
	w.mu.Lock()
	w.units[u.ID] = u
	w.mu.Unlock()
	w.m.Unit(u)
}
func (w *world) UnitGone(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.units, id)
}
func (w *world) Event(e core.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}
func (w *world) Toggles(*core.Toggles) {}

// hand gives the supervisor what the manager wants.
func (w *world) hand() {
	w.apply.Lock()
	defer w.apply.Unlock()
	w.sup.Apply(w.m.Specs())
}

// use applies sections and hands the result on.
func (w *world) use(sections ...Section) []Result {
	return w.set(Settings{Sections: sections})
}

func (w *world) set(s Settings) []Result {
	results := w.m.Apply(s)
	w.hand()
	return results
}

func (w *world) row(id string) core.IntegrationRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows[id]
}

func (w *world) unit(id string) core.UnitRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.units[id]
}

// until waits for something to be so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("never: %s\nrows %+v\nunits %+v\nevents %+v", what, w.rows, w.units, w.events)
		}
	}
}

// untilRow waits for a row to be so, and returns it as it was then.
func (w *world) untilRow(id string, so func(core.IntegrationRow) bool) (r core.IntegrationRow) {
	w.t.Helper()
	w.until("row "+id, func() bool { r = w.row(id); return so(r) })
	return r
}

func (w *world) untilState(id string, state core.IntegrationState) core.IntegrationRow {
	w.t.Helper()
	return w.untilRow(id, func(r core.IntegrationRow) bool { return r.State == state })
}

// untilTold is untilRow for a row that may be another one by now: the first that
// was so.
func (w *world) untilTold(id string, so func(core.IntegrationRow) bool) (r core.IntegrationRow) {
	w.t.Helper()
	w.until("a row "+id, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.told[id], so)
		if i >= 0 {
			r = w.told[id][i]
		}
		return i >= 0
	})
	return r
}

func (w *world) untilRuns(id string) core.IntegrationRow {
	w.t.Helper()
	return w.untilRow(id, func(r core.IntegrationRow) bool { return r.State == core.IntegrationRunning && r.Runs > 0 })
}

func (w *world) said(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(e core.Event) bool {
		return strings.Contains(e.Reason, text) || strings.Contains(e.Error, text)
	})
}

// section is one of the configuration.
func section(kind string, s fakeSettings) Section {
	return Section{Kind: kind, Where: "line 1", Decode: func(into any) error {
		*into.(*fakeSettings) = s
		return nil
	}}
}

func (s Section) with(c Common) Section {
	s.Common = func(into *Common) error { *into = c; return nil }
	return s
}

func change(results []Result, id string) Change {
	for _, r := range results {
		if r.ID == id {
			return r.Change
		}
	}
	return ""
}

func failure(results []Result, id string) error {
	for _, r := range results {
		if r.ID == id {
			return r.Err
		}
	}
	return nil
}

func loadJSON(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func saveJSON(file string, from any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}
