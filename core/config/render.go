package config

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// Print gives the effective configuration as YAML that can be read back, each
// value with its source. Passwords are hidden.
func (l *Loaded) Print() string {
	var b strings.Builder
	file := l.File
	if file == "" {
		file = "none (looked for " + strings.Join(l.Paths.Files(), ", ") + ")"
	}
	fmt.Fprintf(&b, "# file: %s\n", file)
	listed := false
	eachSetting(&b, func(s setting, indent, name string) {
		if strings.HasPrefix(s.key, "push.") && len(l.Destinations) > 0 {
			if !listed {
				fmt.Fprintf(&b, "  # %s\n%s", l.Sources["push"], l.showDestinations())
			}
			listed = true
			return
		}
		fmt.Fprintf(&b, "%-40s # %s\n", indent+name+": "+s.show(&l.Config), l.Sources[s.key])
	})
	return b.String()
}

// Sample gives a commented configuration that says nothing but the defaults.
func Sample() string {
	var b strings.Builder
	b.WriteString("# Configuration of vitals. Every value here is the default: keep what you change.\n" +
		"# Looked for in $XDG_CONFIG_HOME/vitals/config.yaml, then /etc/vitals/config.yaml.\n" +
		"# Flags beat VITALS_* variables, which beat this file. vitals config check reads it.\n")
	c := Default()
	first := ""
	eachSetting(&b, func(s setting, indent, name string) {
		if section, _, deep := strings.Cut(s.key, "."); !deep || section == first {
			b.WriteByte('\n')
		} else {
			first = section
		}
		for line := range strings.SplitSeq(s.help, "\n") {
			fmt.Fprintf(&b, "%s# %s\n", indent, line)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, name, s.show(&c))
		if s.example != "" {
			for line := range strings.SplitSeq(s.example, "\n") {
				fmt.Fprintf(&b, "%s#   %s\n", indent, line)
			}
		}
	})
	return b.String()
}

// eachSetting visits the settings in order and writes the titles of sections.
func eachSetting(b *strings.Builder, visit func(s setting, indent, name string)) {
	section := ""
	for _, s := range settings() {
		before, name, deep := strings.Cut(s.key, ".")
		if !deep {
			visit(s, "", before)
			continue
		}
		if before != section {
			section = before
			fmt.Fprintf(b, "\n%s:\n", section)
		}
		visit(s, "  ", name)
	}
}

// Markdown gives docs/config.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\n" +
		"A flag beats a `VITALS_*` variable, which beats the file, which beats the default. The file is the first of\n" +
		"`$XDG_CONFIG_HOME/vitals/config.yaml` (of the invoking user, also under sudo) and `/etc/vitals/config.yaml`, or the one\n" +
		"that `--config` or `VITALS_CONFIG` names. Unknown keys and bad values are errors that name the key and the line: fatal in\n" +
		"a file that was named, a warning in one that was found, where the rest of the file still holds.\n\n" +
		"`vitals config print --sample` writes a commented file to start from, `vitals config print` shows every value in force and\n" +
		"who decided it, `vitals config check` lists everything that is wrong.\n\n" +
		"Under sudo, doas and pkexec only `/etc/vitals` is root's word. Any other file, and what a flag or a variable names, is read,\n" +
		"written and run with the rights of who called: certificates and secrets of destinations and integrations, text files,\n" +
		"the gateway's store, commands. An address given by a flag does not get the `push.http` of `/etc/vitals`.\n\n" +
		"In variables, rules are separated by `;` and pairs are written `a=b,c=d`.\n\n" +
		"| Key | Default | Flag | Variable | |\n|---|---|---|---|---|\n")
	c := Default()
	for _, s := range settings() {
		help := strings.ReplaceAll(strings.ReplaceAll(s.help, "\n", " "), "|", "\\|")
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", s.key, s.show(&c), code("--", s.flag), code("", s.env()), help)
	}
	b.WriteString("\nLonger values:\n\n```yaml\n")
	section := ""
	for _, s := range settings() {
		if s.example == "" {
			continue
		}
		indent := ""
		if before, _, deep := strings.Cut(s.key, "."); deep {
			indent = "  "
			if before != section {
				fmt.Fprintf(&b, "%s:\n", before)
			}
			section = before
		}
		for line := range strings.SplitSeq(s.example, "\n") {
			b.WriteString(indent + line + "\n")
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func code(prefix, s string) string {
	if s == "" {
		return ""
	}
	return "`" + prefix + s + "`"
}
