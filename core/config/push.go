package config

import (
	"fmt"
	"strings"
)

func urlSetting() setting {
	s := value("push.url", "push", "Where metrics are pushed: the address of a Prometheus Pushgateway. Empty pushes\nnothing. Nothing leaves this machine without it.",
		func(c *Config) *string { return &c.Push.URL }, pushURL, func(s string) string { return quoteYAML(redactURL(s)) })
	s.example = "url: \"http://gateway:9091\""
	return s
}

// labelsSetting keeps the order of labels: it is the order of the pushed path.
func labelsSetting() setting {
	return setting{
		key: "push.group", flag: "group", form: pairs,
		help:    "More labels of the grouping key, after job and instance.",
		example: "group: {env: prod, zone: eu-1}",
		take: func(c *Config, n *node, _ *Checks) (faults []fault) {
			if n.kind != isMap || len(n.pairs) > 32 {
				return faultf(n, "needs at most 32 labels with values, for example {env: prod}")
			}
			var out []Label
			seen := map[string]bool{}
			for _, p := range n.pairs {
				err := labelName(p.name)
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
					if _, err := name(text); err != nil {
						f = faultf(p.value, "%v", err)
					}
				}
				faults = append(faults, under(p.name, f)...)
				out = append(out, Label{p.name, text})
			}
			if len(faults) == 0 {
				c.Push.Group = out
			}
			return faults
		},
		show: func(c *Config) string {
			var out []string
			for _, l := range c.Push.Group {
				out = append(out, l.Name+": "+quoteYAML(l.Value))
			}
			return "{" + strings.Join(out, ", ") + "}"
		},
	}
}

// Answers to wishes for what this version does not have yet.
const (
	ListenNotBuilt  = "serving HTTP is not built yet: use --push URL, or vitals snapshot -o prometheus"
	CaptureNotBuilt = "capturing headers and bodies is not built yet: leave it off"
	BudgetNotBuilt  = "keeping to a budget is not built yet: leave it off; what vitals costs is in the header and in vitals_cpu_utilization_ratio"
)

func listenSetting() setting {
	s := value("listen", "listen", "Address that /metrics, /health and the API are served on; empty serves nothing.\nNot built yet.",
		func(c *Config) *string { return &c.Listen }, func(s string) (string, error) {
			if s, err := listenAddress(s); err != nil || s == "" {
				return s, err
			}
			return "", fmt.Errorf("%s", ListenNotBuilt)
		}, quoteYAML)
	return s
}

func captureSetting() setting {
	return value("capture", "", "Keep headers and bodies of requests. Not built yet: always off.",
		func(c *Config) *bool { return &c.Capture }, func(s string) (bool, error) {
			if s == "off" || s == "false" {
				return false, nil
			}
			return false, fmt.Errorf("%s", CaptureNotBuilt)
		}, func(bool) string { return "off" })
}

func budgetSetting() setting {
	return value("budget", "", "The most CPU that vitals may use, as a share of the whole machine (and never less\nthan 2% of one core). Not built yet: always off.",
		func(c *Config) *float64 { return &c.Budget }, func(s string) (float64, error) {
			if v, err := parseBudget(s); err != nil || v == 0 {
				return v, err
			}
			return 0, fmt.Errorf("%s", BudgetNotBuilt)
		}, formatBudget)
}
