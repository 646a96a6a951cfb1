package diagnose

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/logfile"
)

// maxCause is how deep a chain of causes is told.
const maxCause = 8

// secretPattern finds "password=x", "token: x", "Authorization: Bearer x" and
// the like; what is hidden is the last group.
func secretPattern() *regexp.Regexp {
	return regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[-_]?key|authorization|cookie)["']?\s*[=:]\s*["']?(?:(?:bearer|basic|digest)\s+)?|\b(?:bearer|basic)\s+)([^\s"'&,;]+)`)
}

// redactor hides secrets in texts of errors.
type redactor struct{ secrets *regexp.Regexp }

func newRedactor() redactor { return redactor{secretPattern()} }

// Redact hides what looks like a secret in a text that came from elsewhere, and
// makes it fit for one line of a screen.
func Redact(s string) string { return newRedactor().text(s) }

func (r redactor) text(s string) string {
	if len(s) > 4*core.MaxCmdline {
		s = s[:4*core.MaxCmdline]
	}
	s = r.secrets.ReplaceAllString(logfile.Redact(s), "${1}***")
	return core.Clean(strings.Join(strings.Fields(s), " "), core.MaxCmdline)
}

// chain tells err and what it wraps, outermost first, each text once.
func (r redactor) chain(err error) []string {
	var texts []string
	for _, e := range unwrapped(err, nil) {
		text := r.text(textOf(e))
		if text != "" && !slices.Contains(texts, text) && len(texts) < maxCause {
			texts = append(texts, text)
		}
	}
	return texts
}

func unwrapped(err error, list []error) []error {
	if err == nil || len(list) >= 4*maxCause {
		return list
	}
	list = append(list, err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return unwrapped(e.Unwrap(), list)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			list = unwrapped(one, list)
		}
	}
	return list
}

// textOf is the text of an error whose Error may panic.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error whose text cannot be told"
		}
	}()
	return err.Error()
}

// remedyOf is what an error says about what to do, "" when it says nothing.
func remedyOf(err error) string {
	var r *core.Remedied
	if errors.As(err, &r) {
		return r.Remedy
	}
	return ""
}
