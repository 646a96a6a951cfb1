package expose

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"vitals/core"
)

// Why explains the decisions for some processes. Fields are added freely, none
// changes its meaning.
type Why struct {
	Subject   string       `json:"subject"`
	Processes []WhyProcess `json:"processes"`
}

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
	Kind   string     `json:"kind"`
	On     bool       `json:"on"`     // wanted
	State  core.Phase `json:"state"`  // what it is
	Rule   string     `json:"rule"`   // which rule decided
	Scope  core.Scope `json:"scope"`  // of that rule; empty for defaults
	Unit   string     `json:"unit"`   // what does it, and how that does
	Change string     `json:"change"` // what would change the decision, or the state
}

// Explain answers for a pid, a service, or the name of a program. An error says
// what there is instead.
func Explain(s *core.Snapshot, subject string) (*Why, error) {
	w := &Why{Subject: core.Clean(subject, core.MaxName)}
	match := subjectOf(s, subject)
	for _, p := range s.Processes {
		if p.Alive && match(p) {
			w.Processes = append(w.Processes, whyProcess(s, p))
		}
	}
	if len(w.Processes) == 0 {
		return nil, &core.Remedied{
			Err:    fmt.Errorf("there is no process and no service %q", w.Subject),
			Remedy: "vitals snapshot --for 0s -o json lists what there is", Permanent: true,
		}
	}
	return w, nil
}

// subjectOf makes a pid match that process, a service's name all of its
// processes, and only then the name of a program.
func subjectOf(s *core.Snapshot, subject string) func(*core.ProcessRow) bool {
	if pid, err := strconv.ParseInt(subject, 10, 32); err == nil {
		return func(p *core.ProcessRow) bool { return int64(p.PID) == pid }
	}
	for _, svc := range s.Services {
		if svc.Name == subject && len(svc.PIDs) > 0 {
			return func(p *core.ProcessRow) bool { return p.Service == subject }
		}
	}
	return func(p *core.ProcessRow) bool {
		return p.Comm == subject || p.Exe != "" && p.Exe[strings.LastIndexByte(p.Exe, '/')+1:] == subject
	}
}

func whyProcess(s *core.Snapshot, p *core.ProcessRow) WhyProcess {
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
func found(p *core.ProcessRow) (facts []string) {
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

func whyKind(s *core.Snapshot, p *core.ProcessRow, k core.KindRow) WhyKind {
	d := s.Toggles.Decide(k.Kind, p.Process)
	w := WhyKind{Kind: k.Kind, On: d.On, Rule: d.Reason, Scope: d.Scope, State: core.PhaseOff}
	i := slices.IndexFunc(p.Instr, func(in core.InstrState) bool { return in.Kind == k.Kind })
	if i >= 0 {
		w.State = p.Instr[i].Phase
	}
	u := unitOf(s, k.Kind)
	if u != nil {
		w.Unit = fmt.Sprintf("%s is %s", u.ID, u.Phase)
		if u.Message != "" {
			w.Unit += ": " + u.Message
		}
		for _, part := range sortedKeys(u.Parts) {
			w.Unit += fmt.Sprintf("; without %s: %s", part, u.Parts[part])
		}
	}
	w.Change = changeOf(s, p, k, d, u)
	return w
}

// changeOf says what would change how a kind stands at a process.
func changeOf(s *core.Snapshot, p *core.ProcessRow, k core.KindRow, d core.Decision, u *core.UnitRow) string {
	switch {
	case s.Toggles != nil && s.Toggles.Suspended:
		return "resume everything (it was detached by hand)"
	case !d.On && d.Scope == "":
		return fmt.Sprintf("switch it on: instrumentation: {%s: on} in the configuration, or in the dashboard", k.Kind)
	case !d.On:
		return fmt.Sprintf("take the choice %q back: in the dashboard, or where the configuration says so", d.Reason)
	case u == nil:
		return "nothing yet: no unit of this kind has been told of"
	}
	switch u.Phase {
	case core.PhaseRunning, core.PhaseTuning:
		if !k.PerProcess {
			return fmt.Sprintf("it observes the whole machine; instrumentation: {%s: off} ends it", k.Kind)
		}
		return fmt.Sprintf("switch it off for the process, for service %s, or for all, in the dashboard or the configuration", p.Service)
	case core.PhaseAttaching, core.PhaseStarting, core.PhaseNew, core.PhaseDetaching:
		return "nothing: it is on its way"
	case core.PhaseBackoff:
		return "nothing: it is tried again by itself at " + u.NextTry.Format("15:04:05")
	case core.PhaseUnsupp:
		return "another kernel or more privileges: see vitals doctor"
	case core.PhaseFailed:
		return "what the message says; then a retry in the dashboard"
	case core.PhaseStuck:
		return "nothing from here: it is tried again when the hanging call comes back"
	}
	return "nothing: it would be attached (dry run)"
}

func unitOf(s *core.Snapshot, kind string) *core.UnitRow {
	for _, u := range s.Units {
		if u.Kind == kind && u.Class == core.ClassInstrumentation {
			return u
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// maxExplained is how many processes of a service are explained one by one in
// text; JSON has all.
const maxExplained = 20

// WriteText writes w for people.
func (w *Why) WriteText(out io.Writer) error {
	var b strings.Builder
	for i, p := range w.Processes {
		if i == maxExplained {
			fmt.Fprintf(&b, "\nand %d more processes; -o json explains all of them\n", len(w.Processes)-i)
			break
		}
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s (%d), service %s\n", p.Name, p.PID, p.Service)
		for _, fact := range p.Found {
			fmt.Fprintf(&b, "  %s\n", fact)
		}
		if p.Skip != "" {
			fmt.Fprintf(&b, "  never instrumented: %s\n    to change that: %s\n", p.Skip, p.Change)
		}
		for _, k := range p.Kinds {
			fmt.Fprintf(&b, "  %-12s %s, %s\n", k.Kind, k.State, k.Rule)
			if k.Unit != "" {
				fmt.Fprintf(&b, "  %-12s %s\n", "", k.Unit)
			}
			fmt.Fprintf(&b, "  %-12s to change that: %s\n", "", k.Change)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// WriteJSON writes w as JSON.
func (w *Why) WriteJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(w)
}
