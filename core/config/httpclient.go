package config

import (
	"fmt"
	"strconv"
	"strings"

	"vitals/core"
)

// httpSetting is the client of a destination in the shape that Prometheus has
// for it. Here it is only carried, as text; Checks.HTTPClient knows the shape.
func httpSetting() setting {
	return setting{
		key: "push.http", form: fileOnly,
		help: "How the gateway is talked to, as Prometheus' http_config: basic_auth, authorization,\noauth2, tls_config, proxy_url, http_headers and so on. Files are read again when they\nchange.",
		example: "http:\n  basic_auth: {username: vitals, password_file: /etc/vitals/password}\n" +
			"  tls_config: {ca_file: /etc/vitals/ca.pem}",
		take: func(c *Config, n *node, k *Checks) []fault {
			if n.kind == isMap && len(n.pairs) == 0 {
				c.Push.HTTP = ""
				return nil
			}
			if n.kind != isMap {
				return faultf(n, "needs settings of an HTTP client, for example {basic_auth: {username: vitals, password_file: /etc/vitals/password}}")
			}
			w := yamlText{}
			w.block(n, 0)
			if k.HTTPClient != nil {
				if line, err := k.HTTPClient(w.b.String()); err != nil {
					at := n.line
					if line > 0 && line <= len(w.lines) {
						at = w.lines[line-1]
					}
					return []fault{{line: at, text: oneLine(err)}}
				}
			}
			c.Push.HTTP = w.b.String()
			return nil
		},
		show: func(c *Config) string {
			n, faults := parseYAML([]byte(c.Push.HTTP))
			if n == nil || len(faults) > 0 {
				return "{}"
			}
			return redactedFlow(n, "")
		},
	}
}

// yamlText writes nodes as YAML again, one value on each line, and remembers
// which line of the file each one came from.
type yamlText struct {
	b     strings.Builder
	lines []int
}

func (w *yamlText) line(n int, text string) {
	w.lines = append(w.lines, n)
	w.b.WriteString(text)
	w.b.WriteByte('\n')
}

func (w *yamlText) block(n *node, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, p := range n.pairs {
		w.entry(p.value, p.line, indent+strconv.Quote(p.name)+":", depth)
	}
	for _, it := range n.items {
		w.entry(it, it.line, indent+"-", depth)
	}
}

func (w *yamlText) entry(n *node, line int, lead string, depth int) {
	switch {
	case n.kind == isScalar:
		w.line(line, lead+" "+scalarYAML(n.text))
	case n.kind == isNull:
		w.line(line, lead)
	case len(n.pairs)+len(n.items) > 0:
		w.line(line, lead)
		w.block(n, depth+1)
	case n.kind == isMap:
		w.line(line, lead+" {}")
	default:
		w.line(line, lead+" []")
	}
}

// scalarYAML leaves plain what has a type of its own.
func scalarYAML(s string) string {
	if s == "true" || s == "false" {
		return s
	}
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return s
	}
	return strconv.Quote(s)
}

// public are the keys of client settings whose values may be shown. All others
// are hidden: a list of what is secret would miss one.
func public(key string) bool {
	switch key {
	case "username", "type", "client_id", "scopes", "server_name", "insecure_skip_verify", "min_version", "max_version",
		"no_proxy", "proxy_from_environment", "follow_redirects", "enable_http2", "files":
		return true
	}
	return strings.HasSuffix(key, "_file")
}

func redactedFlow(n *node, key string) string {
	switch n.kind {
	case isMap:
		var out []string
		for _, p := range n.pairs {
			out = append(out, quoteYAML(p.name)+": "+redactedFlow(p.value, p.name))
		}
		return "{" + strings.Join(out, ", ") + "}"
	case isList:
		var out []string
		for _, it := range n.items {
			out = append(out, redactedFlow(it, key))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case isNull:
		return "null"
	}
	switch {
	case key == "proxy_url" || key == "token_url":
		return strconv.Quote(core.Redact(redactURL(n.text)))
	case public(key):
		return scalarYAML(n.text)
	}
	return `"***"`
}

// anyLabelName checks the name of a label.
func anyLabelName(s string) error {
	if s == "job" || s == "instance" {
		return nil
	}
	if err := labelName(s); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
