package config

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"vitals/core"
)

// Push is one destination of pushes.
type Push struct {
	Name string // tells several apart; empty is the address
	Type string // "pushgateway", "textfile" or "stdout"
	URL  string // of a pushgateway, may hold user and password; empty means no destination
	Path string // of a textfile
	Mode fs.FileMode

	Interval     time.Duration
	Timeout      time.Duration
	Job          string
	Group        []Label
	Method       string // "put" or "post"
	DeleteOnExit bool

	Format      string // "auto", "protobuf", "text", "openmetrics", "json" or "influx"; empty is text
	Compression string // "gzip", "zstd" or "none"

	Keep, Drop     []string // selectors of metrics
	RemoveLabels   []string
	RenameLabels   []Label // old name, new name
	AddLabels      []Label
	RenameFamilies []Label
	Timestamps     bool

	// HTTP are the client's settings as YAML in Prometheus' shape, empty for
	// none. It may hold secrets.
	HTTP string
}

// Label is a name with a value.
type Label struct{ Name, Value string }

// The type of a destination that says none.
const pushgateway = "pushgateway"

func defaultPush() Push {
	return Push{
		Type: pushgateway, Mode: 0o644, Interval: 15 * time.Second, Timeout: 10 * time.Second, Job: "vitals",
		Method: "put", Format: "auto", Compression: "gzip",
	}
}

// Pushes are the destinations; none means that nothing is pushed.
func (c *Config) Pushes() []Push {
	if len(c.Destinations) > 0 {
		return c.Destinations
	}
	if c.Push.URL == "" && c.Push.Type == pushgateway {
		return nil
	}
	return []Push{c.Push}
}

// pushSettings are the settings of one destination, and of each in a list.
func pushSettings() []setting {
	return []setting{
		value("push.name", "", "What the destination is called on screens and in labels; empty is its address.",
			func(c *Config) *string { return &c.Push.Name }, name, quoteYAML),
		value("push.type", "", "What is pushed to: pushgateway, textfile (a .prom file for node_exporter's collector)\nor stdout (without a dashboard only).",
			func(c *Config) *string { return &c.Push.Type }, oneOf(pushgateway, "textfile", "stdout"), quoteYAML),
		urlSetting(),
		value("push.path", "", "The file of a textfile: absolute, ending in .prom.",
			func(c *Config) *string { return &c.Push.Path }, promFile, quoteYAML),
		value("push.mode", "", "Permissions of that file.",
			func(c *Config) *fs.FileMode { return &c.Push.Mode }, fileMode, func(m fs.FileMode) string { return fmt.Sprintf("\"%04o\"", uint32(m)) }),
		value("push.interval", "interval", "Time between two pushes.",
			func(c *Config) *time.Duration { return &c.Push.Interval }, durationIn(time.Second, 24*time.Hour), formatDuration),
		value("push.timeout", "", "Longest time for one push.",
			func(c *Config) *time.Duration { return &c.Push.Timeout }, durationIn(100*time.Millisecond, 5*time.Minute), formatDuration),
		value("push.job", "job", "The job of the grouping key.",
			func(c *Config) *string { return &c.Push.Job }, jobName, quoteYAML),
		labelsSetting("push.group", "group", "More labels of the grouping key, after job and instance.", "group: {env: prod, zone: eu-1}",
			func(c *Config) *[]Label { return &c.Push.Group }, labelName, nil),
		value("push.method", "", "put replaces the whole group, so that series that ended vanish there too; post only\nfamilies of the same name.",
			func(c *Config) *string { return &c.Push.Method }, oneOf("put", "post"), quoteYAML),
		value("push.delete_on_exit", "", "Remove the group from the gateway, or the file, after the final push.",
			func(c *Config) *bool { return &c.Push.DeleteOnExit }, boolean, strconv.FormatBool),
		value("push.format", "", "How metrics are written: auto (what the destination takes best), protobuf, text,\nopenmetrics, json, or influx (line protocol, stdout only); \"\" is text.",
			func(c *Config) *string { return &c.Push.Format }, formatName, quoteYAML),
		value("push.compression", "", "Of what goes over the wire: gzip, zstd or none. What a gateway refuses is sent plain.",
			func(c *Config) *string { return &c.Push.Compression }, oneOf("gzip", "zstd", "none"), quoteYAML),
		selectorsSetting("push.keep", "Which metrics are pushed: those that one of these selectors matches; none means all.",
			`keep: ["http_*", "{service_name=~\"shop|cart\"}"]`, func(c *Config) *[]string { return &c.Push.Keep }),
		selectorsSetting("push.drop", "Which are not. Drop beats keep.",
			`drop: ["process_*", "vitals_bpf_*{unit!=\"requests\"}"]`, func(c *Config) *[]string { return &c.Push.Drop }),
		stringsSetting("push.remove_labels", "Labels that are taken off.", "remove_labels: [peer]",
			func(c *Config) *[]string { return &c.Push.RemoveLabels }, func(_ *Checks, s string) error { return anyLabelName(s) }),
		labelsSetting("push.rename_labels", "", "Labels that get another name, old name first.", "rename_labels: {service_name: service}",
			func(c *Config) *[]Label { return &c.Push.RenameLabels }, anyLabelName, anyLabelName),
		labelsSetting("push.add_labels", "", "Labels that every metric gets.", "add_labels: {env: prod}",
			func(c *Config) *[]Label { return &c.Push.AddLabels }, anyLabelName, nil),
		labelsSetting("push.rename_families", "", "Metrics that get another name, old name first.", "rename_families: {vitals_push_bytes: agent_push_bytes}",
			func(c *Config) *[]Label { return &c.Push.RenameFamilies }, nil, nil),
		value("push.timestamps", "", "Stamp every metric with the time of the push: stdout only, others refuse that.",
			func(c *Config) *bool { return &c.Push.Timestamps }, boolean, strconv.FormatBool),
		httpSetting(),
	}
}

func urlSetting() setting {
	s := value("push.url", "push", "Where metrics are pushed: the address of a Prometheus Pushgateway. Empty pushes\nnothing. Nothing leaves this machine without it. push may be a list of destinations,\neach with these keys.",
		func(c *Config) *string { return &c.Push.URL }, pushURL, func(s string) string { return quoteYAML(redactURL(s)) })
	s.example = "url: \"http://gateway:9091\""
	return s
}

// labelsSetting keeps the order of labels: it is the order of the pushed path.
func labelsSetting(key, flag, help, example string, field func(*Config) *[]Label, checkName, checkValue func(string) error) setting {
	return setting{
		key: key, flag: flag, form: pairs, help: help, example: example,
		take: func(c *Config, n *node, _ *Checks) []fault {
			out, faults := labels(n, checkName, checkValue)
			if len(faults) == 0 {
				*field(c) = out
			}
			return faults
		},
		show: func(c *Config) string {
			var out []string
			for _, l := range *field(c) {
				out = append(out, quoteYAML(l.Name)+": "+quoteYAML(l.Value))
			}
			return "{" + strings.Join(out, ", ") + "}"
		},
	}
}

func labels(n *node, checkName, checkValue func(string) error) (out []Label, faults []fault) {
	if n.kind != isMap || len(n.pairs) > 32 {
		return nil, faultf(n, "needs at most 32 names with values, for example {env: prod}")
	}
	seen := map[string]bool{}
	for _, p := range n.pairs {
		_, err := name(p.name)
		if checkName != nil {
			err = checkName(p.name)
		}
		if err == nil && seen[p.name] {
			err = fmt.Errorf("%s is given twice", p.name)
		}
		seen[p.name] = true
		if err != nil {
			faults = append(faults, fault{line: p.line, text: err.Error()})
			continue
		}
		text, f := scalarOf(p.value)
		if f == nil {
			_, err := name(text)
			if err == nil && checkValue != nil {
				err = checkValue(text)
			}
			if err != nil {
				f = faultf(p.value, "%v", err)
			}
		}
		faults = append(faults, under(p.name, f)...)
		out = append(out, Label{p.name, text})
	}
	return out, faults
}

func selectorsSetting(key, help, example string, field func(*Config) *[]string) setting {
	return stringsSetting(key, help, example, field, func(k *Checks, s string) error {
		if k.Selector == nil {
			return nil
		}
		return k.Selector(s)
	})
}

// stringsSetting is a list; a single one needs no list.
func stringsSetting(key, help, example string, field func(*Config) *[]string, check func(*Checks, string) error) setting {
	return setting{
		key: key, help: help, example: example, form: many,
		take: func(c *Config, n *node, k *Checks) []fault {
			list, faults := listOf(n, func(s string) error { return check(k, s) })
			if len(faults) == 0 {
				*field(c) = list
			}
			return faults
		},
		show: func(c *Config) string { return flowList(*field(c)) },
	}
}

func listOf(n *node, check func(string) error) (out []string, faults []fault) {
	items := n.items
	switch {
	case n.kind == isScalar:
		items = []*node{n}
	case n.kind != isList:
		return nil, faultf(n, "needs a list; write [] for none")
	}
	if len(items) > maxEntries {
		return nil, faultf(n, "more than %d entries", maxEntries)
	}
	for _, it := range items {
		text, f := scalarOf(it)
		if f == nil {
			err := check(text)
			if err == nil && core.Clean(text, core.MaxCmdline) != text {
				err = fmt.Errorf("%s has characters that cannot be shown, or more than %d bytes", quoted(text), core.MaxCmdline)
			}
			if err != nil {
				f = faultf(it, "%s", oneLine(err))
			}
		}
		faults = append(faults, f...)
		out = append(out, text)
	}
	return out, faults
}

func formatName(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	return oneOf("auto", "protobuf", "text", "openmetrics", "json", "influx")(s)
}

func promFile(s string) (string, error) {
	switch {
	case s == "":
		return s, nil
	case !strings.HasPrefix(s, "/"):
		return "", fmt.Errorf("%s is not an absolute path", quoted(s))
	case !strings.HasSuffix(s, ".prom"):
		return "", fmt.Errorf("%s does not end in .prom: the collector reads no other files", quoted(s))
	}
	return name(s)
}

func fileMode(s string) (fs.FileMode, error) {
	m, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || m > 0o777 || m == 0 {
		return 0, fmt.Errorf("%s are not permissions: write for example \"0644\"", quoted(s))
	}
	return fs.FileMode(m), nil
}
