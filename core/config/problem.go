package config

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Where string // file, "--flag" or "VITALS_NAME"
	Line  int    // in the file; 0 when it has none
	Key   string // "push.interval"; empty when the whole file is meant
	Text  string // what is wrong and what to do
}

// String gives "config.yaml:3: push.interval: 0s is not ...".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Where)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Error is a configuration that cannot be used.
type Error struct{ Problems []Problem }

// Error gives the first problem in one line, and how to see the others.
func (e *Error) Error() string {
	s := e.Problems[0].String()
	if n := len(e.Problems) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more: vitals config check lists all)", n)
	}
	return s
}

// fault is a Problem before its place is known.
type fault struct {
	line int
	key  string // below the setting's own key: "web.match"
	text string
}

func faultf(n *node, format string, args ...any) []fault {
	return []fault{{line: n.line, text: fmt.Sprintf(format, args...)}}
}

// Nearest returns the candidate that was probably meant, "" when none is close.
func Nearest(word string, candidates []string) string {
	best, at := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < at && d < len(c) {
			best, at = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// Notes are the lines that the user should see although nothing is stopped.
func (l *Loaded) Notes() []string {
	var out []string
	for _, p := range l.Problems {
		out = append(out, p.String())
	}
	return append(out, l.Warnings...)
}

// AllProblems joins those that stop Load (its error) with those that do not.
func (l *Loaded) AllProblems(err error) []Problem {
	var bad *Error
	if errors.As(err, &bad) {
		return append(bad.Problems, l.Problems...)
	}
	return l.Problems
}
