package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// WhyProcess is what was found of a process and what was decided for it.
type WhyProcess struct {
	PID     int32     `json:"pid"`
	Name    string    `json:"name"`
	Service string    `json:"service"`
	Group   string    `json:"group"`
	Found   []string  `json:"found"`          // facts, in words
	Skip    string    `json:"skip,omitempty"` // why it is never instrumented
	Change  string    `json:"change,omitempty"`
	Kinds   []WhyKind `json:"kinds"`
}

// WhyKind is one kind of instrumentation at a process.
type WhyKind struct {
	Kind   string `json:"kind"`
	On     bool   `json:"on"`     // wanted
	State  Phase  `json:"state"`  // what it is
	Rule   string `json:"rule"`   // which rule decided
	Scope  Scope  `json:"scope"`  // of that rule; empty for defaults
	Unit   string `json:"unit"`   // what does it, and how that does
	Change string `json:"change"` // what would change the decision, or the state
}

// Why explains what was decided for a process of the snapshot. The texts are
// clean and ready for a screen or a terminal.
func (s *Snapshot) Why(p *ProcessRow) WhyProcess {
	w := WhyProcess{PID: p.PID, Name: p.Comm, Service: p.Service, Group: p.Group, Found: found(p), Skip: p.Skip}
	if p.Skip != "" {
		w.Change = unskip(p.Skip, p.PID)
		return w
	}
	for _, k := range s.Kinds {
		w.Kinds = append(w.Kinds, whyKind(s, p, k))
	}
	return w
}

// found lists what is known of a process, in words.
func found(p *ProcessRow) (facts []string) {
	say := func(format, value string) {
		if value != "" {
			facts = append(facts, fmt.Sprintf(format, value))
		}
	}
	say("runs %s", p.Exe)
	say("as user %s", p.User)
	say("written in %s", strings.TrimSpace(p.Runtime.Language+" "+p.Runtime.Version))
	say("carries %s already: its numbers may be counted twice (exclude sdk=* leaves such processes alone)", p.Runtime.SDK)
	say("in container %s", p.Container)
	say("in pod %s", p.Pod)
	say("of systemd unit %s", p.Unit)
	if p.NSPID != 0 && p.NSPID != p.PID {
		facts = append(facts, fmt.Sprintf("pid %d in its own namespace", p.NSPID))
	}
	for _, l := range p.Listeners {
		say("listens on %s", l.String())
	}
	if p.Group == "" {
		facts = append(facts, "no configuration group matches it")
	} else {
		say("in configuration group %s", p.Group)
	}
	return facts
}

// unskip says what would let a process be instrumented.
func unskip(why string, pid int32) string {
	switch {
	case strings.HasPrefix(why, "excluded by rule "):
		return "take that rule out of exclude"
	case why == "not included by any rule":
		return fmt.Sprintf("add a rule to include that matches it, for example pid=%d", pid)
	case why == "started by vitals":
		return fmt.Sprintf("name it: vitals -p %d", pid)
	}
	return "nothing: it has no life of its own to observe"
}

func whyKind(s *Snapshot, p *ProcessRow, k KindRow) WhyKind {
	d := s.Toggles.Decide(k.Kind, p.Process)
	w := WhyKind{Kind: k.Kind, On: d.On, Rule: d.Reason, Scope: d.Scope, State: PhaseOff}
	i := slices.IndexFunc(p.Instr, func(in InstrState) bool { return in.Kind == k.Kind })
	if i >= 0 {
		w.State = p.Instr[i].Phase
	}
	u := unitOf(s, k.Kind)
	if u != nil {
		w.Unit = fmt.Sprintf("%s is %s", u.ID, u.Phase)
		if u.Message != "" {
			w.Unit += ": " + u.Message
		}
		for _, part := range slices.Sorted(maps.Keys(u.Parts)) {
			w.Unit += fmt.Sprintf("; without %s: %s", part, u.Parts[part])
		}
	}
	w.Change = changeOf(s, p, k, d, u)
	return w
}

// changeOf says what would change how a kind stands at a process.
func changeOf(s *Snapshot, p *ProcessRow, k KindRow, d Decision, u *UnitRow) string {
	switch {
	case s.Toggles != nil && s.Toggles.Suspended:
		return "resume everything (it was detached by hand)"
	case d.Shed:
		return fmt.Sprintf("nothing: it is tried again by itself; a larger budget lets it in, and so does switching it on for service %s", p.Service)
	case !d.On && d.Scope == "":
		return fmt.Sprintf("switch it on: instrumentation: {%s: on} in the configuration, or in the dashboard", k.Kind)
	case !d.On:
		return fmt.Sprintf("take the choice %q back: in the dashboard, or where the configuration says so", d.Reason)
	case u == nil:
		return "nothing yet: no unit of this kind has been told of"
	}
	switch u.Phase {
	case PhaseRunning, PhaseTuning:
		if !k.PerProcess {
			return fmt.Sprintf("it observes the whole machine; instrumentation: {%s: off} ends it", k.Kind)
		}
		return fmt.Sprintf("switch it off for the process, for service %s, or for all, in the dashboard or the configuration", p.Service)
	case PhaseAttaching, PhaseStarting, PhaseNew, PhaseDetaching:
		return "nothing: it is on its way"
	case PhaseBackoff:
		return "nothing: it is tried again by itself at " + u.NextTry.Format("15:04:05")
	case PhaseUnsupp:
		return "another kernel or more privileges: see vitals doctor"
	case PhaseFailed:
		return "what the message says; then a retry in the dashboard"
	case PhaseStuck:
		return "nothing from here: it is tried again when the hanging call comes back"
	}
	return "nothing: it would be attached (dry run)"
}

// unitOf is the unit that does a kind of instrumentation, nil without.
func unitOf(s *Snapshot, kind string) *UnitRow {
	for _, u := range s.Units {
		if u.Kind == kind && u.Class == ClassInstrumentation {
			return u
		}
	}
	return nil
}
