package diagnose

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"vitals/core"
)

// Health is what is known of one unit's health. It is a copy.
type Health struct {
	Unit    string
	Class   core.Class
	Kind    string
	Status  core.Status
	Message string
	Level   core.Health // finer than Status: degraded and recovering units still work
	Phase   core.Phase
	Details map[string]any
	// CheckedAt is when the unit was last tested, zero when its life is all that
	// is known; Took is how long that lasted.
	CheckedAt time.Time
	Took      time.Duration
	Since     time.Time // when Status last changed
	Failures  int       // checks in a row that did not come to OK
	Cause     []string  // the error and what it wraps, outermost first, without secrets
	History   []Checked // the newest checks, oldest first
}

// Checked is one check of the past.
type Checked struct {
	At      time.Time
	Took    time.Duration
	Status  core.Status
	Message string
}

// healthJSON is the wire form: {status, message, details} as Grafana reads it, and more.
type healthJSON struct {
	Unit     string          `json:"unit,omitempty"`
	Class    core.Class      `json:"class,omitempty"`
	Kind     string          `json:"kind,omitempty"`
	Status   string          `json:"status"`
	Message  string          `json:"message"`
	Details  json.RawMessage `json:"details"`
	Health   core.Health     `json:"health,omitempty"`
	Phase    core.Phase      `json:"phase,omitempty"`
	Checked  *time.Time      `json:"checked_at,omitempty"`
	Took     float64         `json:"duration_ms"`
	Since    *time.Time      `json:"since,omitempty"`
	Failures int             `json:"consecutive_failures"`
	Cause    []string        `json:"cause,omitempty"`
	History  []checkedJSON   `json:"history,omitempty"`
}

type checkedJSON struct {
	At      time.Time `json:"at"`
	Took    float64   `json:"duration_ms"`
	Status  string    `json:"status"`
	Message string    `json:"message"`
}

// MarshalJSON writes the wire form. It does not fail: details that cannot be
// written are replaced by the reason.
func (h Health) MarshalJSON() ([]byte, error) {
	out := healthJSON{Unit: h.Unit, Class: h.Class, Kind: h.Kind, Status: h.Status.String(), Message: h.Message,
		Details: object(h.Details), Health: h.Level, Phase: h.Phase, Checked: moment(h.CheckedAt), Took: milliseconds(h.Took),
		Since: moment(h.Since), Failures: h.Failures, Cause: h.Cause}
	for _, c := range h.History {
		out.History = append(out.History, checkedJSON{c.At, milliseconds(c.Took), c.Status.String(), c.Message})
	}
	return json.Marshal(out)
}

// object writes details as a JSON object whatever they hold.
func object(details map[string]any) (b []byte) {
	defer func() {
		if recover() != nil {
			b = []byte(`{"details":"a value of them cannot be written"}`)
		}
	}()
	if len(details) == 0 {
		return []byte("{}")
	}
	b, err := json.Marshal(details)
	switch {
	case err != nil:
		b, _ = json.Marshal(map[string]string{"details": "cannot be written: " + Redact(err.Error())})
	case len(b) > maxDetails:
		b, _ = json.Marshal(map[string]string{"details": fmt.Sprintf("left out: %d bytes are more than %d", len(b), maxDetails)})
	}
	return b
}

// maxDetails bounds what a check may tell beside its message, in bytes.
const maxDetails = 64 << 10

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Summary is the health of several units: the worst one's.
type Summary struct {
	Status  core.Status
	Message string
	Units   []Health // by id
}

// MarshalJSON writes the wire form.
func (s Summary) MarshalJSON() ([]byte, error) {
	counts := map[string]any{}
	for _, u := range s.Units {
		n, _ := counts[u.Status.String()].(int)
		counts[u.Status.String()] = n + 1
	}
	return json.Marshal(struct {
		Status  string          `json:"status"`
		Message string          `json:"message"`
		Details json.RawMessage `json:"details"`
		Units   []Health        `json:"units"`
	}{s.Status.String(), s.Message, object(counts), slices.Clone(s.Units)})
}

// Summarise lets the worst win. Units that nobody wants, or that this machine
// cannot have, are listed and not judged; when no unit is left to be judged the
// status is unknown.
func Summarise(units []Health) Summary {
	s := Summary{Message: "nothing runs that could be checked", Units: units}
	var judged []Health
	for _, u := range units {
		if Judged(u) {
			judged = append(judged, u)
		}
	}
	if len(judged) == 0 {
		return s
	}
	worst := Worst(judged...)
	s.Status = worst.Status
	s.Message = fmt.Sprintf("all of %d units are well", len(judged))
	if worst.Status != core.StatusOK {
		s.Message = worst.Unit + ": " + worst.Message
	}
	return s
}

// Judged reports whether a unit counts for the whole: one that is off or not
// supported here does not.
func Judged(h Health) bool {
	switch h.Phase {
	case core.PhaseOff, core.PhaseUnsupp, core.PhaseGone, core.PhaseDetaching:
		return false
	}
	return true
}

// Worst returns the unit that is worst off; among equals the one that came to it
// last, else the first. It must be given one at least.
func Worst(units ...Health) Health {
	worst := units[0]
	for _, u := range units[1:] {
		a, b := severity(u), severity(worst)
		if a > b || a == b && u.Since.After(worst.Since) {
			worst = u
		}
	}
	return worst
}

// severity orders fatal > permanent > error > unknown > starting > ok.
func severity(h Health) int {
	switch {
	case h.Status == core.StatusOK:
		return 0
	case h.Level == core.HealthFatal:
		return 5
	case h.Level == core.HealthPermanent:
		return 4
	case h.Status == core.StatusError:
		return 3
	case h.Level == core.HealthStarting:
		return 1
	}
	return 2
}

func clone(details map[string]any) map[string]any {
	if details == nil {
		return map[string]any{}
	}
	return maps.Clone(details)
}
