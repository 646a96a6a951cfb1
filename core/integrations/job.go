package integrations

import (
	"maps"
	"sync"
	"time"

	"vitals/core"
	"vitals/core/integrations/dial"
	"vitals/core/integrations/kit"
)

// options are the settings that every integration has, whatever its kind.
type options struct {
	Interval, Timeout time.Duration
	Scrape            bool
	Labels            map[string]string
	// What its own section says, 0 for nothing: a scrape keeps to that too.
	ownInterval, ownTimeout time.Duration
	operator                kit.Operator // whose files and commands its settings name
}

// job is one integration that shall run: its recipe, and what became of it. It
// outlives the units that the supervisor makes of it.
type job struct {
	m    *Manager
	id   string // "integration/redis/127.0.0.1:6379"
	name string // "127.0.0.1:6379"
	kind kit.Kind

	base any // the settings without what the user entered; guarded by Manager.mu

	mu       sync.Mutex
	settings any
	options  options
	where    dial.Target
	shared   kit.Shared // that it was made with; guarded by Manager.mu
	digest   string
	made     int // raised whenever a new unit is needed: the fingerprint of its spec
	unit     *unit
	refused  int // logins in a row that were refused
	figures  figures
	last     kit.Result // of the newest collection that succeeded
	row      core.IntegrationRow
	phase    core.UnitRow // as the supervisor told it
	bad      error        // why settings that came later do not hold
}

// recipe is what a unit is made from.
type recipe struct {
	settings any
	options  options
	where    dial.Target
}

func (j *job) recipe() recipe {
	j.mu.Lock()
	defer j.mu.Unlock()
	return recipe{settings: j.settings, options: j.options, where: j.where}
}

// spec is the recipe for the supervisor. What it makes is made from the settings
// that hold then: those that could be applied live are no new spec.
func (j *job) spec(print string) core.Spec {
	return core.Spec{
		ID: j.id, Class: core.ClassIntegration, Kind: j.kind.Name, Title: j.kind.Title, Help: j.kind.Help,
		Fingerprint: print, Default: true,
		Make: func() (core.Unit, error) { return newUnit(j) },
	}
}

// began and ended bracket the time in which a unit of this job runs.
func (j *job) began(u *unit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unit = u
}

func (j *job) ended(u *unit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unit == u {
		j.unit = nil
	}
}

func (j *job) running() *unit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unit
}

// collected takes the outcome of a round.
func (j *job) collected(res kit.Result, err error, began time.Time, took time.Duration, next time.Time) {
	j.mu.Lock()
	r := &j.row
	r.LastRun, r.Duration, r.NextRun, r.Interval = began, took, next, j.options.Interval
	if err != nil {
		r.Failures++
		r.Families, r.Series, r.Missing, r.Figures = nil, 0, nil, nil
		r.Message = j.hide(err.Error())
		r.Needs = needs(err)
		j.figures.miss()
		if refusal(err) {
			j.refused++
		}
	} else {
		r.Runs++
		r.Series, r.Dropped, r.Families = res.Series, res.Dropped, res.Families
		r.Missing = inWords(res.Missing, j.hide)
		r.Message, r.Needs = "", core.NeedsNothing
		r.Figures = j.figures.take(res, j.options.Interval)
		j.last, j.refused = res, 0
	}
	j.mu.Unlock()
	j.m.tell(j)
}

// snapshot is the row as it is now; health and state follow from what was seen.
func (j *job) snapshot() core.IntegrationRow {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.row
	r.Interval = j.options.Interval
	r.Labels = j.options.Labels
	switch j.phase.Phase {
	case core.PhaseBackoff, core.PhaseFailed, core.PhaseUnsupp, core.PhaseStuck:
		r.State, r.Health, r.NextRun = core.IntegrationFailed, j.phase.Health, j.phase.NextTry
		if r.Message == "" {
			r.Message = j.phase.Message
		}
	case core.PhaseOff:
		r.State, r.Health, r.NextRun = core.IntegrationDenied, core.HealthStopped, time.Time{}
		r.Message = j.phase.Message
	default:
		r.State, r.Health = core.IntegrationRunning, core.HealthOK
		switch {
		case r.Message != "":
			r.State, r.Health = core.IntegrationFailed, core.HealthRecovering
		case r.Runs == 0:
			r.Health = core.HealthStarting
		case len(r.Missing) > 0 || r.Dropped > 0:
			r.Health = core.HealthDegraded
		}
	}
	if j.bad != nil && r.Message == "" {
		r.Health, r.Message = core.HealthDegraded, "the new settings do not hold: "+j.hide(j.bad.Error())
	}
	return r
}

// hide takes the secrets of the settings, and what looks like one, out of a text,
// and makes it fit to be shown. It needs the lock.
func (j *job) hide(text string) string { return redact(text, j.settings) }

func redact(text string, settings any) string {
	kit.EachSecret(settings, func(s kit.Secret) { text = s.Hide(text) })
	return core.Clean(core.Redact(text), core.MaxCmdline)
}

func inWords(missing core.Parts, hide func(string) string) []string {
	var out []string
	for part, err := range missing {
		if err != nil {
			out = append(out, hide(part+": "+err.Error()))
		}
	}
	sortStrings(out)
	return out
}

// phased takes what the supervisor tells of the unit.
func (j *job) phased(u core.UnitRow) {
	j.mu.Lock()
	j.phase = u
	j.mu.Unlock()
	j.m.tell(j)
}

func (o options) equal(p options) bool {
	return o.operator.Same(p.operator) && o.Interval == p.Interval && o.Timeout == p.Timeout && o.Scrape == p.Scrape &&
		o.ownInterval == p.ownInterval && o.ownTimeout == p.ownTimeout && maps.Equal(o.Labels, p.Labels)
}
