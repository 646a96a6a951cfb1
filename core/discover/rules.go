package discover

import (
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"

	"vitals/core"
)

// rules is a parsed Selection. It is immutable.
type rules struct {
	include, exclude []rule
	groups           []group
}

type group struct {
	Group
	match []rule
}

// rule is one line of include or exclude: conditions that must all hold.
type rule struct {
	text  string
	conds []condition
}

type condition struct {
	value func(*core.Process) string
	other func(*core.Process) string // a second value that may match, or nil
	glob  string
}

func parseSelection(s Selection) (*rules, error) {
	r := &rules{}
	var err error
	if r.include, err = parseRules("include", s.Include); err != nil {
		return nil, err
	}
	if r.exclude, err = parseRules("exclude", s.Exclude); err != nil {
		return nil, err
	}
	for _, g := range s.Groups {
		match, err := parseRules("group "+g.Name, g.Select)
		if err != nil {
			return nil, err
		}
		if g.Name == "" || len(match) == 0 {
			return nil, ruleError("group", g.Name, "it needs a name and at least one selector")
		}
		g.Attributes = maps.Clone(g.Attributes)
		r.groups = append(r.groups, group{Group: g, match: match})
	}
	return r, nil
}

// CheckRule reports what is wrong with one rule, nil when nothing is.
func CheckRule(text string) error {
	_, err := parseRules("rule", []string{text})
	return err
}

func parseRules(where string, texts []string) ([]rule, error) {
	var out []rule
	for _, text := range texts {
		r := rule{text: strings.TrimSpace(text)}
		for _, part := range strings.Split(r.text, ",") {
			c, why := parseCondition(strings.TrimSpace(part))
			if why != "" {
				return nil, ruleError(where, text, why)
			}
			r.conds = append(r.conds, c)
		}
		out = append(out, r)
	}
	return out, nil
}

func ruleError(where, text, why string) error {
	return &core.Remedied{
		Err:       fmt.Errorf("%s %q: %s", where, text, why),
		Remedy:    "rules look like name=nginx*, user=www-data, exe=/usr/bin/*, container=3f2a*, service=shop, pid=4711",
		Permanent: true,
	}
}

func parseCondition(text string) (c condition, why string) {
	key, glob, ok := strings.Cut(text, "=")
	if !ok {
		key, glob = "name", text
	}
	if glob == "" {
		return c, "there is nothing to compare with"
	}
	if _, err := path.Match(glob, ""); err != nil {
		return c, "the pattern has an unclosed [ or a trailing \\"
	}
	c.glob = glob
	switch key {
	case "name":
		c.value = func(p *core.Process) string { return p.Comm }
		c.other = func(p *core.Process) string { return baseName(p.Exe) } // comm is cut at 15 bytes
	case "user":
		c.value = func(p *core.Process) string { return p.User }
	case "container":
		c.value = func(p *core.Process) string { return p.Container }
		c.other = func(p *core.Process) string { return p.Attributes[attrContainerName] }
	case "pod":
		c.value = func(p *core.Process) string { return p.Pod }
	case "unit":
		c.value = func(p *core.Process) string { return p.Unit }
	case "exe":
		c.value = func(p *core.Process) string { return p.Exe }
	case "service":
		c.value = func(p *core.Process) string { return p.Service }
	case "runtime":
		c.value = func(p *core.Process) string { return p.Runtime.Language }
	case "sdk":
		c.value = func(p *core.Process) string { return p.Runtime.SDK }
	case "pid":
		if pid, err := strconv.ParseInt(glob, 10, 32); err != nil || pid <= 0 {
			return c, "a pid is a positive number"
		}
		c.value = func(p *core.Process) string { return strconv.Itoa(int(p.PID)) }
	default:
		attr, ok := strings.CutPrefix(key, "attr.")
		if !ok || attr == "" {
			return c, fmt.Sprintf("%q is not a key of rules", key)
		}
		c.value = func(p *core.Process) string { return p.Attributes[attr] }
	}
	return c, ""
}

// matches reports whether every condition holds. An unknown value matches
// nothing, not even "*".
func (r *rule) matches(p *core.Process) bool {
	for _, c := range r.conds {
		if !match(c.glob, c.value(p)) && (c.other == nil || !match(c.glob, c.other(p))) {
			return false
		}
	}
	return true
}

// match is path.Match with "*" that also crosses slashes: exe=/opt/* means
// everything below.
func match(glob, s string) bool {
	if s == "" {
		return false
	}
	const slash = "\x01"
	ok, _ := path.Match(strings.ReplaceAll(glob, "/", slash), strings.ReplaceAll(s, "/", slash))
	return ok
}

// skip says why p is not observed, "" when it is.
func (r *rules) skip(p *core.Process) string {
	for i := range r.exclude {
		if r.exclude[i].matches(p) {
			return "excluded by rule " + core.Clean(r.exclude[i].text, core.MaxName)
		}
	}
	if len(r.include) == 0 {
		return ""
	}
	for i := range r.include {
		if r.include[i].matches(p) {
			return ""
		}
	}
	return "not included by any rule"
}

// group returns the group of p, nil when it belongs to none.
func (r *rules) group(p *core.Process) *group {
	for i := range r.groups {
		for j := range r.groups[i].match {
			if r.groups[i].match[j].matches(p) {
				return &r.groups[i]
			}
		}
	}
	return nil
}
