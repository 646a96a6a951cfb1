package integrations

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Change says what Apply did with one integration.
type Change string

// Changes.
const (
	Unchanged Change = "unchanged"
	Added     Change = "added"
	Updated   Change = "updated" // live: the same unit runs on
	Remade    Change = "remade"  // the old unit stops fully, then a new one starts
	Removed   Change = "removed"
	Kept      Change = "kept"     // see Err; the old settings run on
	Rejected  Change = "rejected" // see Err; nothing runs
)

// Result is the outcome of Apply for one integration.
type Result struct {
	ID     string // "integration/redis/127.0.0.1:6379", or with "line 12" for one without a name
	Change Change
	Err    error
}

// Apply makes the settings those that hold. Everything is understood and built
// before anything changes; then each integration is changed by itself: one that
// is wrong leaves what runs in its place as it is, and all others alone. It may be
// called before Run, while it runs and after it. Who holds the supervisor then
// gives it Specs.
func (m *Manager) Apply(s Settings) []Result {
	m.applying.Lock()
	defer m.applying.Unlock()
	shared := m.sharedCopy()
	var entries []entry
	for _, sec := range s.Sections {
		entries = append(entries, understand(m.cfg.Kinds, sec, s, shared))
	}
	entries = append(entries, m.defaults(s, entries, shared)...)
	refuseTwice(entries)
	for i := range entries {
		if e := &entries[i]; e.err == nil && !e.off {
			e.err = m.buildable(e)
		}
	}
	m.mu.Lock()
	m.settings = s
	m.choices.configured(entries)
	results := m.commit(entries)
	m.finder.reconsider()
	m.mu.Unlock()
	m.in.nudge() // look at what is found with new eyes
	m.tellAll()
	m.readable(s, entries)
	return results
}

// defaults are the kinds that run where nobody says otherwise.
func (m *Manager) defaults(s Settings, entries []entry, shared kit.Shared) []entry {
	var out []entry
	for _, k := range m.cfg.Kinds {
		given := slices.ContainsFunc(entries, func(e entry) bool { return e.section.Kind == k.Name })
		if !k.Default || given || matches(s.Deny, k.Name, shared.Instance) {
			continue
		}
		sec := Section{Kind: k.Name, Where: "default", Decode: func(any) error { return nil }}
		out = append(out, understand(m.cfg.Kinds, sec, s, shared))
	}
	return out
}

// refuseTwice marks what may be there once only and is there more often: each
// such entry, so that none of several wins by its place.
func refuseTwice(entries []entry) {
	byID, byKind := map[string][]string{}, map[string][]string{}
	for _, e := range entries {
		if e.err == nil && !e.off {
			byID[e.id()] = append(byID[e.id()], e.section.Where)
			byKind[e.kind.Name] = append(byKind[e.kind.Name], e.section.Where)
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.err != nil || e.off {
			continue
		}
		if at := byKind[e.kind.Name]; e.kind.Singleton && len(at) > 1 {
			e.err = fmt.Errorf("%s may only be defined once: it is at %s", e.kind.Name, strings.Join(at, " and "))
		} else if at := byID[e.id()]; len(at) > 1 {
			e.err = fmt.Errorf("two of the kind %s have the same identity %s: at %s (give one another id)", e.kind.Name, e.name, strings.Join(at, " and "))
		}
	}
}

// buildable opens and closes a collector, which has no side effects.
func (m *Manager) buildable(e *entry) error {
	c, err := open(e.kind, e.settings, m.env(e.id(), here()))
	if err != nil {
		return err
	}
	defer contain(&err)
	c.Close()
	return err
}

// commit brings the configured jobs in line with entries. It needs m.mu.
func (m *Manager) commit(entries []entry) []Result {
	var results []Result
	m.wrong = map[string]core.IntegrationRow{}
	listed := map[string]bool{}
	unnamed := map[string]bool{} // kinds of sections that have no name because they are wrong
	for i := range entries {
		e := &entries[i]
		switch {
		case e.off:
		case e.err != nil:
			results = append(results, m.reject(e))
			if e.name == "" {
				unnamed[e.section.Kind] = true
			} else {
				listed[e.id()] = true
			}
		default:
			listed[e.id()] = true
			results = append(results, m.adopt(e))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		j := m.jobs[id]
		if j.row.Origin != "configured" || listed[id] || unnamed[j.kind.Name] {
			continue
		}
		m.drop(id)
		results = append(results, Result{ID: id, Change: Removed})
	}
	return results
}

// adopt makes an entry run.
func (m *Manager) adopt(e *entry) Result {
	r := recipe{settings: e.settings, options: e.options, where: here()}
	j := m.jobs[e.id()]
	if j == nil {
		m.put(e.kind, e.name, "configured", r)
		return Result{ID: e.id(), Change: Added}
	}
	j.mu.Lock()
	j.row.Origin, j.row.Why = "configured", "configured"
	j.mu.Unlock()
	change, err := m.renew(j, r)
	if err != nil {
		err = errors.New(redact(err.Error(), r.settings))
	}
	return Result{ID: e.id(), Change: change, Err: err}
}

// reject leaves what runs under the entry's name as it is.
func (m *Manager) reject(e *entry) Result {
	id := unitID(e.section.Kind, e.name)
	err := errors.New(redact(e.err.Error(), e.settings))
	if e.name == "" {
		id = unitID(core.Clean(e.section.Kind, core.MaxName), "("+e.section.Where+")")
	}
	if j := m.jobs[id]; j != nil && e.name != "" {
		j.mu.Lock()
		j.bad = err
		j.mu.Unlock()
		return Result{ID: id, Change: Kept, Err: err}
	}
	m.wrong[id] = core.IntegrationRow{
		ID: id, Kind: core.Clean(e.section.Kind, core.MaxName), Title: e.kind.Title, Docs: e.kind.Docs, Instance: e.name,
		Origin: "configured", State: core.IntegrationFailed, Health: core.HealthPermanent,
		Why: "configured at " + e.section.Where, Message: err.Error(), Needs: core.NeedsNothing,
	}
	return Result{ID: id, Change: Rejected, Err: err}
}

// tellAll reports every row.
func (m *Manager) tellAll() {
	m.mu.Lock()
	jobs := slices.Collect(maps.Values(m.jobs))
	m.mu.Unlock()
	for _, j := range jobs {
		m.tell(j)
	}
	m.tellFound()
}
