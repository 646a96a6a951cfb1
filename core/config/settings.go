package config

import (
	"strconv"
	"strings"
	"time"
)

// setting is one line of the configuration: everything that the parser, the
// sample, `config print` and docs/config.md know about it.
type setting struct {
	key     string // "push.interval"
	flag    string // "interval", without dashes; empty when only the file has it
	help    string // what it does, one or more lines, for the sample and the docs
	example string // lines of YAML shown, commented out, below the default
	form    form
	// take puts a value into c. Nothing is changed when it returns faults.
	take func(c *Config, n *node, k *Checks) []fault
	// show gives the value as YAML on one line, secrets hidden.
	show func(c *Config) string
}

// form says how flags and variables, which are plain strings, spell a setting.
type form uint8

const (
	one      form = iota // the string is the value
	many                 // values, separated by ; in a variable, repeated as a flag
	pairs                // NAME=VALUE, separated by commas
	fileOnly             // too deep for a string
)

// env is the setting's environment variable.
func (s *setting) env() string {
	if s.form == fileOnly {
		return ""
	}
	return "VITALS_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settings is the one list of settings, in the order of the sample.
func settings() []setting {
	all := []setting{
		value("refresh", "refresh", "How often the screen moves.",
			func(c *Config) *time.Duration { return &c.Refresh }, durationIn(100*time.Millisecond, time.Minute), formatDuration),
		checked("theme", "theme", "How the screen looks: a name of `vitals themes list`, or auto, which follows the\nterminal's background. Files in themes/ beside this one are themes too.",
			func(c *Config) *string { return &c.Theme }, name, func(k *Checks, s string) error { return k.theme(s) }),
		value("color", "color", "Colours of the terminal: auto, truecolor, 256, 16 or none. NO_COLOR means none.",
			func(c *Config) *string { return &c.Color }, oneOf("auto", "truecolor", "256", "16", "none"), quoteYAML),
		value("ascii", "ascii", "Draw with ASCII characters only.",
			func(c *Config) *bool { return &c.ASCII }, boolean, strconv.FormatBool),
		value("plain", "plain", "Lines of text instead of a screen: for screen readers and pipes.",
			func(c *Config) *bool { return &c.Plain }, boolean, strconv.FormatBool),
		value("instance", "instance", "The name of this agent in labels and grouping keys; empty is the host name.",
			func(c *Config) *string { return &c.Instance }, name, quoteYAML),
		rulesSetting("include", "Which processes are observed: those that one of these rules matches; none means\nall. A rule is KEY=PATTERN with the keys name, user, container, pod, unit, exe,\nservice, runtime, sdk, pid and attr.NAME; a bare word means name=; conditions\njoined by commas must all hold.",
			"include: [\"name=nginx*\", \"service=shop,user=www-data\"]", func(c *Config) *[]string { return &c.Include }),
		rulesSetting("exclude", "Which processes are never observed. Exclude beats include.",
			"exclude: [\"user=backup\", \"exe=/usr/lib/*\"]", func(c *Config) *[]string { return &c.Exclude }),
		instrumentationSetting(),
		servicesSetting(),
		groupsSetting(),
		listenSetting(),
		webConfigSetting(),
		budgetSetting(),
		value("calls", "", "Time the calls that vitals itself makes: attach, push, scrape and the like.",
			func(c *Config) *bool { return &c.Calls }, boolean, formatOnOff),
		captureSetting(),
		integrationsSetting(),
	}
	all = append(append(all, pushSettings()...), gatewaySettings()...)
	return append(all, []setting{
		value("limits.requests_ring", "", "Size of the ring that carries requests out of the kernel; what does not fit is\ncounted as lost.",
			func(c *Config) *int64 { return &c.Limits.RequestsRing }, ringSize, formatSize),
		value("limits.series", "", "Rows of requests kept in all; what comes beyond goes to the route \"other\".",
			func(c *Config) *int { return &c.Limits.Series }, integerIn(100, 1_000_000), strconv.Itoa),
		value("limits.series_per_process", "", "The same for one process.",
			func(c *Config) *int { return &c.Limits.SeriesPerProcess }, integerIn(10, 100_000), strconv.Itoa),
		value("limits.routes_per_process", "", "Different routes of one process.",
			func(c *Config) *int { return &c.Limits.RoutesPerProcess }, integerIn(10, 10_000), strconv.Itoa),
		value("limits.ended_processes", "", "Ended processes whose counts are still shown.",
			func(c *Config) *int { return &c.Limits.EndedProcesses }, integerIn(0, 1_000_000), strconv.Itoa),
		value("limits.rewind", "", "How many refreshes the screen can go back.",
			func(c *Config) *int { return &c.Limits.Rewind }, integerIn(10, 3600), strconv.Itoa),
		value("log.level", "log-level", "What is logged: debug, info, warn or error.",
			func(c *Config) *slogLevel { return &c.Log.Level }, parseLevel, formatLevel),
		value("log.file", "", "Where the dashboard logs, since it cannot use the screen; empty is\nvitals/vitals.log in the state directory. Headless, the log goes to stderr.",
			func(c *Config) *string { return &c.Log.File }, absolute, quoteYAML),
	}...)
}

// value is a setting with one scalar value.
func value[T any](key, flag, help string, field func(*Config) *T, parse func(string) (T, error), format func(T) string) setting {
	return setting{
		key: key, flag: flag, help: help, form: one,
		take: func(c *Config, n *node, _ *Checks) []fault {
			text, faults := scalarOf(n)
			if faults != nil {
				return faults
			}
			v, err := parse(text)
			if err != nil {
				return faultf(n, "%v", err)
			}
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return format(*field(c)) },
	}
}

// checked is a string that somebody else judges after parse.
func checked(key, flag, help string, field func(*Config) *string, parse func(string) (string, error), check func(*Checks, string) error) setting {
	s := value(key, flag, help, field, parse, quoteYAML)
	take := s.take
	s.take = func(c *Config, n *node, k *Checks) []fault {
		if n.kind == isScalar {
			if err := check(k, n.text); err != nil {
				return faultf(n, "%s", oneLine(err))
			}
		}
		return take(c, n, k)
	}
	return s
}

func scalarOf(n *node) (string, []fault) {
	switch n.kind {
	case isScalar:
		return n.text, nil
	case isNull:
		return "", faultf(n, "has no value: give one or remove the line (values that begin with # or * need quotes)")
	}
	return "", faultf(n, "needs one value, not a list or a section")
}

// quoteYAML writes a string so that it is read back as the same string.
func quoteYAML(s string) string {
	plain := s != "" && len(s) < 64
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			plain = false
		}
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "nan", "inf":
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", ", ") }
