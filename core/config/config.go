// Package config knows every setting of vitals: its default, its place in the
// file, its flag, its environment variable, and what may be said to it. One
// table (settings.go) is the source of the parser, of the commented sample, of
// `config print` and of docs/config.md.
//
// A flag beats a VITALS_* variable, which beats the file, which beats the default.
package config

import (
	"log/slog"
	"time"

	"vitals/core"
)

// Config is the effective configuration. It is not modified after Load.
type Config struct {
	Refresh  time.Duration
	Theme    string // a name, or "auto"
	Color    string // "auto", "truecolor", "256", "16" or "none"
	ASCII    bool
	Plain    bool
	Instance string // empty means the host name
	Listen   string // empty means nothing is served
	// WebConfig is a file with TLS and users for what is served, "" for neither.
	WebConfig string

	Include, Exclude []string
	Instrumentation  map[string]core.Choice            // by kind, for all processes
	Services         map[string]map[string]core.Choice // by service, by kind
	Groups           []Group                           // the first that matches a process wins

	Push         Push   // the only destination, unless there are Destinations
	Destinations []Push // the list form of push; see Pushes
	Gateway      Gateway
	Budget       float64 // of the machine's CPU; 0 means no budget
	Calls        bool    // time the calls that vitals itself makes
	Capture      bool    // keep headers and bodies; always false so far
	Integrations Integrations
	Limits       Limits
	Log          Log
}

// Group is a named selection of processes with settings of its own.
type Group struct {
	Name            string
	Match           []string // rules; one that holds is enough
	Service         string   // service name for its processes; empty keeps theirs
	Attributes      map[string]string
	Instrumentation map[string]core.Choice
}

// Limits bound the memory that traffic can claim.
type Limits struct {
	RequestsRing     int64 // bytes
	Series           int
	SeriesPerProcess int
	RoutesPerProcess int
	EndedProcesses   int
	Rewind           int // snapshots
}

// Log says what is logged and where.
type Log struct {
	Level slog.Level
	File  string // empty means the default place, see Paths.Log
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Refresh: time.Second,
		Theme:   "auto",
		Color:   "auto",
		Push:    defaultPush(),
		Gateway: defaultGateway(),
		Calls:   true,
		Limits: Limits{
			RequestsRing:     2 << 20,
			Series:           20000,
			SeriesPerProcess: 1000,
			RoutesPerProcess: 200,
			EndedProcesses:   1000,
			Rewind:           300,
		},
	}
}

// Choices returns what the configuration chose at each scope, for core.Toggles.
// The map is the caller's. Auto is no choice and left out.
func (c *Config) Choices() map[core.ToggleKey]core.Choice {
	out := map[core.ToggleKey]core.Choice{}
	add := func(scope core.Scope, target string, kinds map[string]core.Choice) {
		for kind, choice := range kinds {
			if choice != core.Auto {
				out[core.ToggleKey{Kind: kind, Scope: scope, Target: target}] = choice
			}
		}
	}
	add(core.ScopeGlobal, "", c.Instrumentation)
	for name, kinds := range c.Services {
		add(core.ScopeService, name, kinds)
	}
	for _, g := range c.Groups {
		add(core.ScopeGroup, g.Name, g.Instrumentation)
	}
	return out
}
