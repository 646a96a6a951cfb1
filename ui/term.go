package ui

import (
	"os"
	"strings"

	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// terminal is what was found out about the terminal before the first frame.
type terminal struct {
	plain   bool
	hint    string // why plain text is written, and what to do
	once    bool   // plain text once: nobody watches
	ascii   bool
	profile *colorprofile.Profile // nil: detect
}

// lookAround decides what the terminal can show. Everything is decided before
// Bubble Tea starts, because it asks the terminal questions whose answers would
// end up in the shell if we stopped early.
func lookAround(cfg *Config) terminal {
	env := func(name string) string {
		for i := len(cfg.Env) - 1; i >= 0; i-- {
			if v, ok := strings.CutPrefix(cfg.Env[i], name+"="); ok {
				return v
			}
		}
		return ""
	}
	t := terminal{ascii: cfg.ASCII || !utf8Locale(env) || env("TERM") == "linux"}
	if p, ok := profileOf(cfg.Color); ok {
		t.profile = &p
	} else if env("NO_COLOR") != "" {
		// Any value counts; the library takes only what parses as true.
		p := colorprofile.ASCII
		t.profile = &p
	}
	out, outFile := cfg.Out.(*os.File)
	outTTY := outFile && term.IsTerminal(int(out.Fd()))
	inTTY := cfg.In != nil
	if cfg.In == nil {
		inTTY = term.IsTerminal(int(os.Stdin.Fd())) || openable("/dev/tty")
	}
	switch {
	case cfg.Plain:
		t.plain, t.once = true, outFile && !outTTY
	case env("TERM") == "dumb":
		t.plain, t.once, t.hint = true, outFile && !outTTY, "TERM=dumb: plain text instead of the dashboard; for scripts use: vitals snapshot"
	case outFile && !outTTY || !inTTY:
		t.plain, t.once, t.hint = true, true, "no terminal: one look as plain text; for scripts use: vitals snapshot"
	}
	return t
}

func utf8Locale(env func(string) string) bool {
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

func openable(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
