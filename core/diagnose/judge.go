package diagnose

import (
	"fmt"
	"slices"
	"time"

	"vitals/core"
)

// condition is what a unit's life and work say, without a check.
type condition uint8

const (
	well     condition = iota // it works, perhaps not in full
	idle                      // nobody wants it, or it cannot be had here
	starting                  // for the first time
	troubled                  // it fails and tries again
	broken                    // only a change from outside helps
)

// judge reads a unit's life, and of destinations how their last pushes went.
func judge(row *core.UnitRow, s *core.Snapshot) condition {
	switch row.Phase {
	case core.PhaseOff, core.PhaseUnsupp, core.PhaseDetaching, core.PhaseGone:
		return idle
	case core.PhaseFailed, core.PhaseStuck:
		return broken
	case core.PhaseBackoff:
		return troubled
	case core.PhaseRunning, core.PhaseTuning:
		return working(row, s)
	}
	if row.Attempts > 0 {
		return troubled
	}
	return starting
}

// working judges what runs by its last operations.
func working(row *core.UnitRow, s *core.Snapshot) condition {
	if i := asked(row, s); i != nil {
		return answering(i)
	}
	p := pushes(row, s)
	switch {
	case row.Class != core.ClassDestination:
		return well
	case p == nil, p.Pushes+p.Failures == 0:
		return starting
	case p.State == "failed":
		return broken
	case p.Consecutive > 0:
		return troubled
	}
	return well
}

// answering judges an integration by its last collections.
func answering(i *core.IntegrationRow) condition {
	switch i.Health {
	case core.HealthPermanent, core.HealthFatal:
		return broken
	case core.HealthRecovering:
		return troubled
	case core.HealthStarting, core.HealthUnknown, "":
		return starting
	case core.HealthStopped:
		return idle
	}
	return well
}

func asked(row *core.UnitRow, s *core.Snapshot) *core.IntegrationRow {
	i := slices.IndexFunc(s.Integrations, func(a *core.IntegrationRow) bool { return a.ID == row.ID })
	if i < 0 {
		return nil
	}
	return s.Integrations[i]
}

func pushes(row *core.UnitRow, s *core.Snapshot) *core.PushRow {
	i := slices.IndexFunc(s.Push, func(p *core.PushRow) bool { return p.Unit == row.ID })
	if i < 0 {
		return nil
	}
	return s.Push[i]
}

// tell joins life, work and check: the worst of them holds. A failing check is
// believed when it held for some time, a good one at once. The board is locked.
func (b *Board) tell(c *cell, row *core.UnitRow, s *core.Snapshot, found *result) Health {
	h := Health{Unit: row.ID, Class: row.Class, Kind: row.Kind, Phase: row.Phase, Level: row.Health,
		Message: b.redact.text(row.Message), Details: map[string]any{}, Since: c.since, History: slices.Clone(c.history)}
	b.life(&h, c, row, s)
	b.details(&h, row, s)
	if found != nil {
		b.checked(&h, c, found)
	} else if h.Status == core.StatusOK && attached(row.Phase) && row.Class != core.ClassDestination && asked(row, s) == nil {
		h.Status, h.Level, h.Message = core.StatusUnknown, core.HealthUnknown, "it runs, and has no check that could tell more"
	}
	if h.Status != c.shown {
		c.shown, c.since = h.Status, time.Now()
		h.Since = c.since
	}
	if h.Status == core.StatusOK {
		c.proven = true
	}
	return h
}

// life sets what follows from the unit's life and from its last operations.
func (b *Board) life(h *Health, c *cell, row *core.UnitRow, s *core.Snapshot) {
	say := func(status core.Status, level core.Health, message string) {
		h.Status, h.Level = status, level
		if h.Message == "" {
			h.Message = message
		}
	}
	if i := asked(row, s); i != nil && h.Message == "" {
		h.Message = b.redact.text(i.Message)
	}
	p := pushes(row, s)
	if p != nil && p.Consecutive > 0 && h.Message == "" {
		h.Message, h.Failures = b.redact.text(p.LastError), p.Consecutive
	}
	switch judge(row, s) {
	case well:
		h.Status, h.Level = core.StatusOK, core.HealthOK
		switch {
		case h.Message != "" || len(row.Parts) > 0:
			h.Level = core.HealthDegraded
		case p != nil && row.Class == core.ClassDestination:
			h.Message = "the last push succeeded " + s.At.Sub(p.LastSuccess).Round(time.Second).String() + " ago"
		default:
			h.Message = "it runs"
		}
	case idle:
		message := "nobody wants it: nothing of it is attached"
		level := core.HealthStopped
		if row.Phase == core.PhaseUnsupp {
			message, level = "not supported here", core.HealthUnknown
		}
		say(core.StatusUnknown, level, message)
	case starting:
		say(core.StatusUnknown, core.HealthStarting, "it is starting")
	case broken:
		level := core.HealthPermanent
		if row.Phase == core.PhaseStuck {
			level = core.HealthFatal
		}
		say(core.StatusError, level, "it failed")
	case troubled:
		for_ := s.At.Sub(c.trouble)
		if c.proven && !c.trouble.IsZero() && for_ < b.cfg.Recovery {
			say(core.StatusOK, core.HealthRecovering, "it failed and tries again")
			h.Details["recovering_for_seconds"] = for_.Seconds()
			return
		}
		say(core.StatusError, core.HealthRecovering, "it failed and tries again")
	}
}

// details tells of the life what a reader may want to know.
func (b *Board) details(h *Health, row *core.UnitRow, s *core.Snapshot) {
	if row.Attempts > 0 {
		h.Details["attempts"] = row.Attempts
	}
	if !row.NextTry.IsZero() {
		h.Details["next_try"] = row.NextTry
	}
	if len(row.Parts) > 0 {
		parts := map[string]string{}
		for name, text := range row.Parts {
			parts[name] = b.redact.text(text)
		}
		h.Details["parts"] = parts
		if h.Status == core.StatusOK && h.Message == "" {
			h.Message = fmt.Sprintf("it runs, %d of its parts do not", len(row.Parts))
		}
	}
	if i := asked(row, s); i != nil {
		h.Details["collections"], h.Details["failures"], h.Details["series"] = i.Runs, i.Failures, i.Series
		if !i.LastRun.IsZero() {
			h.Details["last_run"] = i.LastRun
		}
	}
	if p := pushes(row, s); p != nil {
		h.Details["pushes"], h.Details["failures"] = p.Pushes, p.Failures
		if !p.LastSuccess.IsZero() {
			h.Details["last_success"] = p.LastSuccess
		}
	}
}

// checked adds what the check found.
func (b *Board) checked(h *Health, c *cell, found *result) {
	h.CheckedAt, h.Took, h.Cause = found.at, found.took, found.cause
	h.Failures = max(h.Failures, c.bad)
	for name, v := range found.Details {
		h.Details[name] = v
	}
	if h.Status != core.StatusOK {
		return // the life says worse, or that it is not known yet
	}
	switch {
	case found.Status == core.StatusOK:
		if h.Level == core.HealthOK && found.Message != "" {
			h.Message = found.Message
		}
	case found.Status == core.StatusUnknown:
		h.Status, h.Level, h.Message = core.StatusUnknown, core.HealthUnknown, found.Message
	case c.red >= b.cfg.Hold:
		h.Status, h.Level, h.Message = core.StatusError, core.HealthRecovering, found.Message
	default: // not believed yet
		h.Details["failing"] = fmt.Sprintf("%d of %d checks before it is believed: %s", c.red, b.cfg.Hold, found.Message)
		h.Status, h.Level = c.shown, core.HealthRecovering
		if c.shown != core.StatusOK {
			h.Message = "its first check failed, another one decides: " + found.Message
		}
	}
}
