package expose

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vitals/core"
)

// Why explains the decisions for some processes. Fields are added freely, none
// changes its meaning.
type Why struct {
	Subject   string            `json:"subject"`
	Processes []core.WhyProcess `json:"processes"`
}

// Explain answers for a pid, a service, or the name of a program. An error says
// what there is instead.
func Explain(s *core.Snapshot, subject string) (*Why, error) {
	w := &Why{Subject: core.Clean(subject, core.MaxName)}
	match := subjectOf(s, subject)
	for _, p := range s.Processes {
		if p.Alive && match(p) {
			w.Processes = append(w.Processes, s.Why(p))
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
