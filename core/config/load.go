package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"vitals/core"
)

// Flag is one flag that was given on the command line.
type Flag struct {
	Name   string   // "interval", without dashes
	Values []string // in the order given; one unless the flag may be repeated
}

// Options say where to look.
type Options struct {
	File   string   // --config; empty searches Paths.Files
	Env    []string // "KEY=value" entries, as os.Environ gives them
	Flags  []Flag
	Checks Checks
}

// Loaded is a configuration with its history.
type Loaded struct {
	Config
	Paths Paths
	File  string // what was read; empty when there was no file
	// Sources tells for each setting who decided: "default", "--theme",
	// "VITALS_THEME" or "/home/me/.config/vitals/config.yaml:3".
	Sources map[string]string
	// Problems are what was wrong with a file that was found, not named: those
	// settings have their defaults, and the user should be told.
	Problems []Problem
	// Warnings are not worth stopping for either: a variable that looks misspelt.
	Warnings []string

	options Options
}

// Reload reads everything again, with the same flags and variables. l itself
// does not change.
func (l *Loaded) Reload() (*Loaded, error) { return Load(l.options) }

// Load reads the configuration. A bad flag, a bad variable or anything wrong
// with a file that --config or VITALS_CONFIG named is an *Error. A bad setting
// in a file that was merely found is a Problem: it keeps its default and the
// rest of the file holds. The result is usable in both cases.
func Load(o Options) (*Loaded, error) {
	l := &Loaded{Config: Default(), Paths: FindPaths(o.Env), Sources: map[string]string{}, options: o}
	table := settings()
	for _, s := range table {
		l.Sources[s.key] = "default"
	}
	var fatal []Problem
	if problems, named := l.fromFile(o, table); named {
		fatal = append(fatal, problems...)
	} else {
		l.Problems = problems
	}
	fatal = append(fatal, l.fromEnv(o, table)...)
	fatal = append(fatal, l.fromFlags(o, table)...)
	l.keepLogin()
	if len(fatal) > 0 {
		return l, &Error{fatal}
	}
	return l, nil
}

// fromFile reads the first file there is; named says that somebody asked for it.
func (l *Loaded) fromFile(o Options, table []setting) (problems []Problem, named bool) {
	file := o.File
	if file == "" {
		file = getenv(o.Env, "VITALS_CONFIG")
	}
	if file != "" {
		text, err := l.Paths.read(file)
		if err != nil {
			return []Problem{{Where: file, Text: cause(err) + ": " + l.Paths.remedy(err)}}, true
		}
		l.File = file
		return l.take(file, text, table, &o.Checks), true
	}
	for _, file := range l.Paths.Files() {
		text, err := l.Paths.read(file)
		switch {
		case err == nil:
			l.File = file
			return l.take(file, text, table, &o.Checks), false
		case !errors.Is(err, fs.ErrNotExist) && !isNotDir(err):
			return []Problem{{Where: file, Text: cause(err) + ": defaults are used"}}, false
		}
	}
	return nil, false
}

// cause is an error without the path, which the Problem has already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// take applies a file's text. What is wrong is returned and not applied.
func (l *Loaded) take(file string, text []byte, table []setting, k *Checks) []Problem {
	var problems []Problem
	add := func(key string, faults []fault) {
		for _, f := range faults {
			full := strings.Trim(key+"."+f.key, ".")
			problems = append(problems, Problem{Where: file, Line: f.line, Key: full, Text: f.text})
		}
	}
	root, faults := parseYAML(text)
	add("", faults)
	if root == nil || root.kind == isNull {
		return problems
	}
	if root.kind != isMap {
		add("", faultf(root, "a configuration is lines of KEY: VALUE; see vitals config print --sample"))
		return problems
	}
	l.section(root, "", table, k, file, add)
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return problems
}

// section applies the entries of one mapping; prefix is "" or "push.".
func (l *Loaded) section(n *node, prefix string, table []setting, k *Checks, file string, add func(string, []fault)) {
	for _, p := range n.pairs {
		key := prefix + p.name
		if i := slices.IndexFunc(table, func(s setting) bool { return s.key == key }); i >= 0 {
			faults := table[i].take(&l.Config, p.value, k)
			add(key, faults)
			if len(faults) == 0 {
				l.Sources[key] = fmt.Sprintf("%s:%d", file, p.line)
			}
			continue
		}
		known := children(table, prefix)
		isSection := slices.ContainsFunc(table, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }) && prefix == ""
		switch {
		case !isSection:
			add(strings.TrimSuffix(prefix, "."), []fault{{line: p.line, text: unknownWord("key", p.name, known)}})
		case key == "push" && p.value.kind == isList:
			l.destinations(p.value, table, k, fmt.Sprintf("%s:%d", file, p.line), add)
		case p.value.kind == isMap:
			l.section(p.value, key+".", table, k, file, add)
		case p.value.kind != isNull:
			add(key, faultf(p.value, "is a section: put its settings (%s) below it, indented", strings.Join(children(table, key+"."), ", ")))
		}
	}
}

// children lists the names directly below a prefix.
func children(table []setting, prefix string) []string {
	var out []string
	for _, s := range table {
		if rest, ok := strings.CutPrefix(s.key, prefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (l *Loaded) fromEnv(o Options, table []setting) (problems []Problem) {
	known := []string{"VITALS_CONFIG"}
	for _, s := range table {
		env := s.env()
		if env == "" {
			continue
		}
		known = append(known, env)
		text := getenv(o.Env, env)
		if text == "" {
			continue
		}
		problems = append(problems, l.apply(&s, env, s.split(text), &o.Checks)...)
	}
	for _, e := range o.Env {
		k, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(k, "VITALS_") || slices.Contains(known, k) {
			continue
		}
		if near := Nearest(k, known); near != "" {
			l.Warnings = append(l.Warnings, fmt.Sprintf("%s is not a setting: did you mean %s?", core.Clean(k, 64), near))
		}
	}
	return problems
}

func (l *Loaded) fromFlags(o Options, table []setting) (problems []Problem) {
	for _, f := range o.Flags {
		for _, s := range table {
			if s.flag != "" && s.flag == f.Name {
				problems = append(problems, l.apply(&s, "--"+f.Name, f.Values, &o.Checks)...)
			}
		}
	}
	return problems
}

func (s *setting) split(text string) []string {
	switch s.form {
	case many:
		return strings.Split(text, ";")
	case pairs:
		return strings.Split(text, ",")
	}
	return []string{text}
}

// apply sets a setting from strings, as the file would.
func (l *Loaded) apply(s *setting, where string, values []string, k *Checks) []Problem {
	n := &node{}
	switch s.form {
	case many:
		n.kind = isList
		for _, v := range values {
			n.items = append(n.items, &node{kind: isScalar, text: strings.TrimSpace(v)})
		}
	case pairs:
		n.kind = isMap
		for _, v := range values {
			name, value, ok := strings.Cut(v, "=")
			if !ok {
				return []Problem{{Where: where, Text: quoted(v) + " is not NAME=VALUE"}}
			}
			n.pairs = append(n.pairs, pair{name: strings.TrimSpace(name), value: &node{kind: isScalar, text: value}})
		}
	default:
		n.kind, n.text = isScalar, values[len(values)-1]
	}
	faults := s.take(&l.Config, n, k)
	if len(faults) == 0 {
		l.Sources[s.key] = where
		l.everywhere(s, n, k)
	}
	var problems []Problem
	for _, f := range faults {
		problems = append(problems, Problem{Where: where, Key: f.key, Text: f.text})
	}
	return problems
}
