package diagnose

import "strings"

// UTF8 reports whether the locale of an environment says UTF-8.
func UTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

func (s System) terminal() Row {
	term := s.getenv("TERM")
	r := Row{Feature: "terminal", State: Works, Why: "TERM=" + term + ", " + s.colours(term)}
	switch {
	case !s.TTY:
		r.State, r.Why, r.Remedy = Info, "standard output is not a terminal: vitals prints text once", "vitals snapshot -o json for scripts"
	case term == "" || term == "dumb":
		r.State, r.Why, r.Remedy = Limited, "TERM="+term+" cannot draw: vitals prints lines of text", "set TERM, for example TERM=xterm-256color"
	}
	return r
}

func (s System) colours(term string) string {
	colorterm := strings.ToLower(s.getenv("COLORTERM"))
	switch {
	case s.getenv("NO_COLOR") != "":
		return "no colours (NO_COLOR is set)"
	case colorterm == "truecolor" || colorterm == "24bit" || strings.HasSuffix(term, "-direct"):
		return "16 million colours"
	case strings.Contains(term, "256color"):
		if s.getenv("SUDO_USER") != "" {
			return "256 colours (sudo drops COLORTERM: --color truecolor for more)"
		}
		return "256 colours"
	case term == "linux":
		return "16 colours, no braille characters"
	}
	return "16 colours"
}

func (s System) locale() Row {
	r := Row{Feature: "locale", State: Works, Why: "UTF-8"}
	if !UTF8(s.getenv) {
		r.State, r.Why, r.Remedy = Limited, "not UTF-8: drawn with ASCII characters", "export LC_ALL=C.UTF-8"
	}
	return r
}

func (s System) user() Row {
	r := Row{Feature: "settings of", State: Info, Why: "the user who runs vitals"}
	if s.User != "" {
		r.Why = s.User + ", who called sudo"
	}
	return r
}
