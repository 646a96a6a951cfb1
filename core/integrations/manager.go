package integrations

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
	"vitals/core/integrations/dial"
	"vitals/core/integrations/kit"
)

// Config is what a Manager needs. Kinds, Shared and Report matter; every other
// field works when left empty.
type Config struct {
	Kinds  []kit.Kind
	Shared kit.Shared

	// Report and Gone are told of rows, new or changed; Event of what is worth a
	// line. They may block for a moment.
	Report func(core.IntegrationRow)
	Gone   func(id string)
	Event  func(core.Event)
	// Changed is called, from the goroutine of Run, when Specs gives another list
	// than before without Apply having been called: who holds the supervisor gives
	// it the new one. Retry asks the supervisor to try a unit again at once.
	Changed func()
	Retry   func(unit string)

	// Load and Save keep what the user decided, Keep and Kept the logins that shall
	// survive: bytes for a file that only its owner can read. nil keeps nothing.
	Memory, Vault Store
	Recorder      core.Recorder
	Log           *slog.Logger
	Limits        Limits
}

// Store keeps one value between runs.
type Store interface {
	Load(into any) error // a value that was never saved leaves into alone
	Save(from any) error
}

// Limits are the patience of finding servers. Zero fields take the default in brackets.
type Limits struct {
	Settle   time.Duration // [200ms] without news of a server before it is probed
	Probe    time.Duration // [1s] for one probe
	Again    time.Duration // [1m] between two probes of one endpoint; doubles
	AgainMax time.Duration // [1h]
	Grace    time.Duration // [30s] without its listener before a server counts as gone
	Forget   time.Duration // [10m] gone, before it is removed
	Probes   int           // [4] at a time
	Servers  int           // [200] that are listed
}

func (l Limits) withDefaults() Limits {
	l.Settle = cmp.Or(l.Settle, 200*time.Millisecond)
	l.Probe = cmp.Or(l.Probe, time.Second)
	l.Again = cmp.Or(l.Again, time.Minute)
	l.AgainMax = cmp.Or(l.AgainMax, time.Hour)
	l.Grace = cmp.Or(l.Grace, 30*time.Second)
	l.Forget = cmp.Or(l.Forget, 10*time.Minute)
	l.Probes = cmp.Or(l.Probes, 4)
	l.Servers = cmp.Or(l.Servers, 200)
	return l
}

// Manager decides which integrations there are, from the configuration, from the
// servers that it finds and from what the user says, and keeps what they tell.
// Its methods may be called from any goroutine.
//
// What is wanted becomes a job; the supervisor runs a unit for each. The manager
// compares settings itself, applies what can be applied live, and gives the
// supervisor a new fingerprint only when a new unit is needed.
type Manager struct {
	cfg   Config
	kinds map[string]kit.Kind
	key   []byte // of the digests
	in    *inbox

	shared   atomic.Pointer[kit.Shared]
	applying sync.Mutex // one Apply at a time

	mu       sync.Mutex // guards everything below
	settings Settings
	jobs     map[string]*job
	prints   int // newest fingerprint that was given
	changed  bool
	finder   finder
	offers   []offer
	choices  choices
	told     map[string]bool                // rows that were reported and are not gone
	shown    map[string]string              // what was told of offers
	wrong    map[string]core.IntegrationRow // configured ones that cannot be made
	renewed  []*job                         // whose rows are to be told
	telling  sync.Mutex
}

// New makes a manager; nothing happens before Apply and Run.
func New(cfg Config) *Manager {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Report == nil {
		cfg.Report = func(core.IntegrationRow) {}
	}
	if cfg.Gone == nil {
		cfg.Gone = func(string) {}
	}
	if cfg.Event == nil {
		cfg.Event = func(core.Event) {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.Retry == nil {
		cfg.Retry = func(string) {}
	}
	m := &Manager{
		cfg: cfg, kinds: make(map[string]kit.Kind), key: make([]byte, 32),
		jobs: make(map[string]*job), told: make(map[string]bool), shown: make(map[string]string), in: newInbox(),
	}
	m.Share(cfg.Shared)
	rand.Read(m.key)
	for _, k := range cfg.Kinds {
		if _, twice := m.kinds[k.Name]; twice {
			panic("integrations: two kinds are named " + k.Name)
		}
		m.kinds[k.Name] = k
	}
	m.finder.init(cfg.Kinds)
	m.offers = offers(cfg.Kinds, cfg.Shared)
	m.choices.load(cfg, m.notice)
	return m
}

// Specs are the units that shall run now, by id.
func (m *Manager) Specs() []core.Spec {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = false
	specs := make([]core.Spec, 0, len(m.jobs))
	for _, j := range m.jobs {
		specs = append(specs, j.spec(strconv.Itoa(j.print())))
	}
	slices.SortFunc(specs, func(a, b core.Spec) int { return strings.Compare(a.ID, b.ID) })
	return specs
}

func (j *job) print() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.made
}

// Share changes what all integrations have in common; it takes effect with the
// next Apply.
func (m *Manager) Share(s kit.Shared) {
	s = copyShared(s)
	m.shared.Store(&s)
}

// sharedCopy is what a constructor gets: it may keep it and change it.
func (m *Manager) sharedCopy() kit.Shared { return copyShared(*m.shared.Load()) }

func copyShared(s kit.Shared) kit.Shared {
	if s.BaseURL != nil {
		u := *s.BaseURL
		s.BaseURL = &u
	}
	return s
}

// Unit takes what the supervisor tells of a unit, of any class.
func (m *Manager) Unit(u core.UnitRow) {
	if u.Class != core.ClassIntegration {
		return
	}
	m.mu.Lock()
	j := m.jobs[u.ID]
	m.mu.Unlock()
	if j != nil {
		j.phased(u)
	}
}

// Run finds servers and carries out intents until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	var probes sync.WaitGroup
	defer probes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.in.wake:
		case <-timer.C:
		}
		next := m.takeTurn(ctx, &probes)
		if m.takeChanged() {
			m.cfg.Changed()
		}
		timer.Reset(next)
	}
}

// takeTurn does all that is due and says when something will be.
func (m *Manager) takeTurn(ctx context.Context, probes *sync.WaitGroup) time.Duration {
	m.mu.Lock()
	now := time.Now()
	m.in.take(m, now)
	next := m.look(ctx, now, probes)
	renewed := m.renewed
	m.renewed = nil
	for _, s := range m.finder.servers {
		if !s.fresh {
			continue
		}
		s.fresh = false
		for _, c := range s.candidates {
			if j := m.jobs[unitID(s.kind.Name, c.name)]; j != nil {
				renewed = append(renewed, j)
			}
		}
	}
	m.mu.Unlock()
	for _, j := range renewed {
		m.tell(j)
	}
	m.tellFound()
	return next
}

func (m *Manager) takeChanged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.changed
	m.changed = false
	return c
}

// tell reports the row of a job, with what discovery knows of its server.
func (m *Manager) tell(j *job) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.mu.Lock()
	current := m.jobs[j.id] == j
	var row core.IntegrationRow
	if current {
		row = m.dress(j)
		m.told[row.ID] = true
	}
	delete(m.shown, j.id)
	m.mu.Unlock()
	if current {
		m.cfg.Report(row)
	}
}

// dress adds to a job's row what the manager knows.
func (m *Manager) dress(j *job) core.IntegrationRow {
	row := j.snapshot()
	row.Pinned = m.choices.of(j.id).Pinned
	if s := m.finder.serverOf(j.id); s != nil {
		s.describe(&row)
	}
	return row
}

func (m *Manager) blank(k kit.Kind, name string) core.IntegrationRow {
	_, login := k.WithLogin(zeroOf(k), func(*kit.Login) {})
	return core.IntegrationRow{
		ID: unitID(k.Name, name), Kind: k.Name, Title: k.Title, Instance: name,
		Grants: k.Grants, Docs: k.Docs, Ambient: k.Ambient, Login: login,
	}
}

// zeroOf is the settings of an empty section.
func zeroOf(k kit.Kind) any {
	s, _ := k.Parse(func(any) error { return nil })
	return s
}

func unitID(kind, name string) string { return "integration/" + kind + "/" + name }

// put makes a job wanted, of settings without logins. It needs m.mu.
func (m *Manager) put(k kit.Kind, name, origin string, r recipe) *job {
	j := &job{m: m, id: unitID(k.Name, name), name: name, kind: k, base: r.settings, options: r.options, where: r.where}
	r.settings = m.choices.withLogin(k, j.id, r.settings)
	j.settings = r.settings
	j.digest = k.Digest(m.key, r.settings, *m.shared.Load())
	j.shared = *m.shared.Load()
	j.figures.of = k.Figures
	j.row = m.blank(k, name)
	j.row.Origin, j.row.Interval = origin, r.options.Interval
	if origin == "configured" {
		j.row.Why = "configured"
	}
	m.prints++
	j.made = m.prints
	m.jobs[j.id] = j
	m.changed = true
	return j
}

// drop makes a job unwanted. It needs m.mu.
func (m *Manager) drop(id string) {
	if m.jobs[id] != nil {
		delete(m.jobs, id)
		m.changed = true
	}
}

func textOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}

func (m *Manager) notice(what string, err error) {
	e := core.Event{Kind: core.EventNotice, Reason: what}
	if err != nil {
		e.Error = core.Clean(core.Redact(err.Error()), core.MaxCmdline)
	}
	m.cfg.Event(e)
}

func here() dial.Target { return dial.Here() }

func sortStrings(s []string) { slices.Sort(s) }
