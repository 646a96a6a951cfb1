package push

import (
	"time"

	"vitals/core"
)

// States of a destination, as PushRow carries them.
const (
	StateWaiting  = "waiting"  // not pushed yet
	StateOK       = "ok"       // the last push was taken
	StateRetrying = "retrying" // the last push failed in a way that passes; backing off
	StateFailed   = "failed"   // the gateway refuses; tried again at each interval
)

// status keeps a destination's row true and tells the log what changed.
type status struct {
	*settings
	row    core.PushRow
	told   string // the state that was published last
	warned time.Time
}

func newStatus(s *settings) *status {
	return &status{settings: s, row: core.PushRow{
		Destination: s.called(),
		Address:     s.shown,
		Kind:        s.Kind,
		Unit:        s.id,
		State:       StateWaiting,
		Interval:    s.Interval,
	}}
}

func (s *status) publish() {
	if s.Report != nil {
		s.Report(s.row)
	}
	if s.Event != nil && s.told != s.row.State {
		s.Event(core.Event{
			At: time.Now(), Kind: core.EventPush, Unit: s.id, From: s.told, To: s.row.State,
			Attempt: s.row.Consecutive, NextTry: s.row.NextAttempt, Error: s.row.LastError,
			Reason: "push to " + s.shown + ": " + s.row.State,
		})
	}
	s.told = s.row.State
}

// record takes in how a push ended.
func (s *status) record(r result, now time.Time) {
	s.row.LastAttempt, s.row.Duration = now, r.took
	switch r.verdict {
	case nothing, cancelled:
		return
	case delivered:
		s.delivered(r, now)
	default:
		s.failed(r, now)
	}
}

func (s *status) delivered(r result, now time.Time) {
	switch {
	case s.row.Consecutive > 0:
		s.Log.Info("push works again", "to", s.shown, "failures", s.row.Consecutive)
	case s.row.Pushes == 0:
		s.Log.Info("pushing", "to", s.shown, "group", s.target[len(s.shown):], "sent", r.payload.describe(), "bytes", r.bytes)
	}
	s.row.State, s.row.LastError, s.row.Consecutive = StateOK, "", 0
	s.row.LastSuccess = now
	s.row.Pushes++
	s.row.Bytes, s.row.Series = uint64(r.bytes), r.payload.series
}

func (s *status) failed(r result, now time.Time) {
	s.row.Failures++
	s.row.Consecutive++
	s.row.LastError = r.err.Error()
	s.row.State = StateRetrying
	if r.verdict == permanent {
		s.row.State = StateFailed
	}
	if s.row.Consecutive == 1 || s.row.Consecutive%10 == 0 || now.Sub(s.warned) >= time.Minute {
		s.warned = now
		s.Log.Warn("push failed", "error", s.row.LastError, "failures", s.row.Consecutive)
	}
}
