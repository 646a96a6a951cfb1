package config

import "strconv"

func listenSetting() setting {
	return value("listen", "listen", "Address that /metrics, /health, /sd and the API are served on: a port alone is one of\n127.0.0.1, no host is every address of this machine; empty serves nothing.",
		func(c *Config) *string { return &c.Listen }, ownAddress, quoteYAML)
}

func webConfigSetting() setting {
	return value("web_config", "web-config", "File with TLS and users for listen, in the form that Prometheus' exporters have.",
		func(c *Config) *string { return &c.WebConfig }, absolute, quoteYAML)
}

// ownAddress is an address to listen on, for this machine only where a port is
// all that is given.
func ownAddress(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = "127.0.0.1:" + s
	}
	return listenAddress(s)
}
