package config

import "fmt"

// CaptureNotBuilt answers the wish for what this version does not have yet.
const CaptureNotBuilt = "capturing headers and bodies is not built yet: leave it off"

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
	return value("budget", "", "The most CPU that vitals may use, kernel programs included, as a share of the whole\nmachine (and never less than 2% of one core), such as 1%. Over it for half a minute,\nvitals switches requests or tls off where they cost most, and tries them again later.",
		func(c *Config) *float64 { return &c.Budget }, parseBudget, formatBudget)
}
