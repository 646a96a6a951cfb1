package config

import "fmt"

// Answers to wishes for what this version does not have yet.
const (
	CaptureNotBuilt = "capturing headers and bodies is not built yet: leave it off"
	BudgetNotBuilt  = "keeping to a budget is not built yet: leave it off; what vitals costs is in the header and in vitals_cpu_utilization_ratio"
)

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
