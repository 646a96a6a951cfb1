package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Gateway is the receiver of pushes that runs beside everything else.
type Gateway struct {
	Listen    string // empty means none
	Store     string // "memory", or "disk:" and a directory
	TTL       time.Duration
	Timeout   time.Duration
	MaxBody   int64   // bytes as sent
	Rate      float64 // pushes a second of one client, 0 is no limit
	WebConfig string  // file with TLS and users; empty is plain HTTP
}

// Dir is the directory of the store, empty when groups are kept in memory.
func (g Gateway) Dir() string {
	dir, _ := strings.CutPrefix(g.Store, "disk:")
	if dir == "memory" {
		return ""
	}
	return dir
}

func defaultGateway() Gateway {
	return Gateway{Store: "memory", Timeout: 10 * time.Second, MaxBody: 16 << 20}
}

func gatewaySettings() []setting {
	return []setting{
		value("gateway.listen", "", "Address on which pushes are received, as the command gateway does; empty receives\nnone. Usually 127.0.0.1:9091.",
			func(c *Config) *string { return &c.Gateway.Listen }, listenAddress, quoteYAML),
		value("gateway.store", "", "Where pushed groups are kept: memory, or disk:DIR, which keeps them over restarts.",
			func(c *Config) *string { return &c.Gateway.Store }, groupStore, quoteYAML),
		value("gateway.ttl", "", "Remove groups that were not pushed to for so long; 0s never.",
			func(c *Config) *time.Duration { return &c.Gateway.TTL }, durationIn(0, 10*365*24*time.Hour), formatDuration),
		value("gateway.timeout", "", "Longest time for one request, its body included.",
			func(c *Config) *time.Duration { return &c.Gateway.Timeout }, durationIn(time.Millisecond, time.Hour), formatDuration),
		value("gateway.max_body", "", "Largest push, as sent; decompressed it may have 8 times that.",
			func(c *Config) *int64 { return &c.Gateway.MaxBody }, bodySize, formatSize),
		value("gateway.rate", "", "Pushes a second that one client may make on average, two seconds' worth at once; over\nit the answer is 429. 0 is no limit.",
			func(c *Config) *float64 { return &c.Gateway.Rate }, pushRate, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }),
		value("gateway.web_config", "", "File with TLS and users, in the form that Prometheus' exporters have.",
			func(c *Config) *string { return &c.Gateway.WebConfig }, absolute, quoteYAML),
	}
}

func groupStore(s string) (string, error) {
	dir, disk := strings.CutPrefix(s, "disk:")
	switch {
	case s == "memory":
		return s, nil
	case !disk:
		return "", fmt.Errorf("%s is not a store: write memory, or for example disk:/var/lib/vitals/gateway", quoted(s))
	case !strings.HasPrefix(dir, "/"):
		return "", fmt.Errorf("%s is not an absolute path: write for example disk:/var/lib/vitals/gateway", quoted(dir))
	}
	return name(s)
}

func bodySize(s string) (int64, error) {
	n, err := parseSize(s)
	if err == nil && (n < 1 || n > 1<<30) {
		err = fmt.Errorf("%s is out of range: give 1B to 1GiB", quoted(s))
	}
	return n, err
}

func pushRate(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 1e6) {
		return 0, fmt.Errorf("%s is not a number of pushes a second: write for example 10, or 0 for no limit", quoted(s))
	}
	return v, nil
}

func absolute(s string) (string, error) {
	if s != "" && !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("%s is not an absolute path", quoted(s))
	}
	return name(s)
}
