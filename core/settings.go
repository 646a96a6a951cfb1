package core

import (
	"cmp"
	"maps"
)

// Settings is what somebody configured beyond switching kinds on and off. The
// zero Settings says nothing. Service names and resource attributes are no part
// of it: they belong to the Process.
type Settings struct {
	// Sampling is the share of requests that are looked at, above 0 up to 1;
	// 0 says nothing and means all. What is not looked at is counted all the same.
	Sampling float64
	// Parts switches components of a unit by name; those not named stay as the
	// unit has them. It is not modified once handed over.
	Parts map[string]bool
}

// Equal reports whether s and o say the same.
func (s Settings) Equal(o Settings) bool {
	return s.Sampling == o.Sampling && maps.Equal(s.Parts, o.Parts)
}

// Over returns s where it says something, else what wider says.
func (s Settings) Over(wider Settings) Settings {
	out := Settings{Sampling: cmp.Or(s.Sampling, wider.Sampling), Parts: wider.Parts}
	if len(s.Parts) > 0 {
		out.Parts = make(map[string]bool, len(s.Parts)+len(wider.Parts))
		maps.Copy(out.Parts, wider.Parts)
		maps.Copy(out.Parts, s.Parts)
	}
	return out
}

// Setting says which Settings hold at a scope. It replaces what was said for
// the same scope before; zero Settings take that back. The nearest scope wins,
// field by field.
type Setting struct {
	Scope  Scope
	Target string  // of group and service scope: the name
	Proc   ProcKey // of process scope
	Settings
}

// Tunable is implemented by units that take settings while they run. Calls are
// serialised with those of Select and come between Attach and Detach; the first
// one, with everything that holds, comes before Serve.
type Tunable interface {
	// Tune applies changes. It takes effect before it returns and does not
	// disturb processes that it does not name.
	Tune(Tuning) error
}

// Tuning is a change of the settings of processes.
type Tuning struct {
	Default Settings             // of processes without their own
	Set     map[ProcKey]Settings // to add or replace
	Clear   []ProcKey            // to remove: back to Default, or the process is gone
}
