// Package diagnose answers "what works here, what does not, and what would
// change that". It looks at the machine without loading anything into the
// kernel; rows that need a probe's knowledge are handed in.
package diagnose

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"vitals/core"
)

// State is how far a feature works.
type State string

// States.
const (
	Works       State = "ok"
	Limited     State = "limited"     // works in part, Why tells which
	Unsupported State = "unsupported" // this kernel or user cannot
	Unknown     State = "unknown"     // could not be found out
	Info        State = "info"        // a fact, neither good nor bad
)

// Row is one finding.
type Row struct {
	Feature string `json:"feature"`
	State   State  `json:"state"`
	// Essential features decide the exit code: without them vitals does not do
	// what it is for.
	Essential bool   `json:"essential,omitempty"`
	Why       string `json:"why,omitempty"`    // what was found
	Remedy    string `json:"remedy,omitempty"` // what would change it
}

// OK reports whether every essential feature works, at least in part.
func OK(rows []Row) bool {
	for _, r := range rows {
		if r.Essential && r.State != Works && r.State != Limited && r.State != Info {
			return false
		}
	}
	return true
}

// Report is the JSON form.
type Report struct {
	Version int   `json:"version"`
	OK      bool  `json:"ok"`
	Rows    []Row `json:"features"`
}

// WriteJSON writes a Report.
func WriteJSON(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(Report{Version: 1, OK: OK(rows), Rows: cleaned(rows)})
}

// WriteText writes one line for each row, remedies below, and a closing line.
func WriteText(w io.Writer, rows []Row) error {
	rows = cleaned(rows)
	width := 0
	for _, r := range rows {
		width = max(width, len([]rune(r.Feature)))
	}
	var b strings.Builder
	missing := 0
	for _, r := range rows {
		fmt.Fprintf(&b, "%-11s  %-*s", r.State, width, r.Feature)
		if r.Why != "" {
			b.WriteString("  " + r.Why)
		}
		b.WriteByte('\n')
		if r.Remedy != "" && r.State != Works {
			fmt.Fprintf(&b, "%-11s  %-*s  -> %s\n", "", width, "", r.Remedy)
		}
		if r.State == Unsupported || r.State == Limited {
			missing++
		}
	}
	b.WriteByte('\n')
	switch {
	case OK(rows) && missing == 0:
		b.WriteString("Everything that vitals needs works here.\n")
	case OK(rows):
		b.WriteString("The essentials work here; what is listed as limited or unsupported is left out.\n")
	default:
		b.WriteString("Something essential does not work here: see the lines marked with ->.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cleaned makes what came from files and the environment safe to show.
func cleaned(rows []Row) []Row {
	out := make([]Row, len(rows))
	for i, r := range rows {
		r.Feature, r.Why, r.Remedy = core.Clean(r.Feature, core.MaxName), core.Clean(r.Why, core.MaxCmdline), core.Clean(r.Remedy, core.MaxCmdline)
		out[i] = r
	}
	return out
}
