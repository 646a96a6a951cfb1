package main

import (
	"fmt"
	"net/url"

	"vitals/core"
	"vitals/core/config"
	"vitals/core/integrations"
	"vitals/core/integrations/kit"
	"vitals/core/serve"
	"vitals/core/supervisor"
)

// integrate makes the manager of integrations, with what the configuration says.
func (p *program) integrate(s settings) {
	p.servers = integrations.New(integrations.Config{
		Kinds: integrations.Kinds(), Shared: shared(s),
		Report: p.engine.Integration, Gone: p.engine.IntegrationGone, Event: p.engine.Event,
		Changed:  p.reapply,
		Retry:    func(unit string) { p.supervisor.Submit(core.Intent{Op: core.IntentRetry, Unit: unit}) },
		Memory:   stateFile{s.Paths, s.Paths.Integrations()},
		Vault:    stateFile{s.Paths, s.Paths.Logins()},
		Recorder: p.recorder(), Log: s.log,
	})
	for _, r := range p.servers.Apply(servers(s)) {
		if r.Err != nil {
			s.log.Warn("an integration is left out", "id", r.ID, "error", r.Err)
		}
	}
}

// servers is what the configuration says of integrations. A single look asks only
// those that it names: finding out is not worth touching anything for a moment.
func servers(s settings) integrations.Settings {
	c := s.Integrations
	out := integrations.Settings{
		Discovery: integrations.Discovery(c.Rules.Discovery), Interval: c.Rules.Interval, Timeout: c.Rules.Timeout,
		NoScrape: c.Rules.Scrape != nil && !*c.Rules.Scrape,
		Enable:   c.Rules.Enable, Deny: c.Rules.Deny, Pin: c.Rules.Pin, File: s.File, Operator: operator(s),
	}
	if out.Discovery == "" && (!s.screen && !s.push || s.Rehearse) {
		out.Discovery = integrations.DiscoverOff
	}
	for _, sec := range c.Sections {
		out.Sections = append(out.Sections, sectionOf(sec))
	}
	return out
}

func sectionOf(s config.IntegrationSection) integrations.Section {
	common := map[string]bool{}
	for _, key := range integrations.CommonKeys() {
		common[key] = true
	}
	return integrations.Section{
		Kind: s.Kind, Where: fmt.Sprintf("line %d", s.Line),
		Decode: func(into any) error { return s.Decode(into, func(key string) bool { return !common[key] }) },
		Common: func(into *integrations.Common) error {
			return s.Decode(into, func(key string) bool { return common[key] })
		},
	}
}

// checkIntegration judges a section while the configuration is read.
func checkIntegration(s config.IntegrationSection) error {
	return integrations.Check(integrations.Kinds(), sectionOf(s), kit.Shared{Instance: "instance"})
}

func integrationKinds() (names []string) {
	for _, k := range integrations.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// singletons are the kinds of which there is one for the machine.
func singletons() (names []string) {
	for _, k := range integrations.Kinds() {
		if k.Singleton {
			names = append(names, k.Name)
		}
	}
	return names
}

// shared is what all integrations have in common.
func shared(s settings) kit.Shared {
	out := kit.Shared{Instance: s.InstanceName()}
	if s.Listen != "" {
		out.BaseURL = &url.URL{Scheme: "http", Host: serve.Advertised(s.Listen, s.InstanceName())}
	}
	return out
}

// operator is who wrote what the configuration says of integrations.
func operator(s settings) kit.Operator {
	u := s.Author("integrations")
	o := kit.Operator{Other: u.Other, UID: uint32(u.UID), GID: uint32(u.GID), Name: u.Name, Home: u.Home, Do: u.Do}
	for _, g := range u.Groups {
		o.Groups = append(o.Groups, uint32(g))
	}
	return o
}

// reapply gives the supervisor the units that shall run now.
func (p *program) reapply() {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	now := p.settings
	options := *now.Options
	options.Loaded = p.loaded()
	now.Options = &options
	specs, err := p.units(now)
	if err != nil {
		p.log.Error("the units that shall run are not known", "error", err)
		return
	}
	p.supervisor.Apply(specs)
}

// stateFile keeps one value between runs, in a file that only its owner can read.
type stateFile struct {
	paths config.Paths
	file  string
}

func (f stateFile) Load(into any) error { return f.paths.LoadState(f.file, into) }
func (f stateFile) Save(from any) error { return f.paths.SaveState(f.file, from) }

// asker takes intents about integrations, and hands on the rest.
type asker struct {
	core.Control
	servers *integrations.Manager
}

// Submit queues an intent.
func (a asker) Submit(i core.Intent) bool {
	if integrations.IsIntent(i.Op) {
		return a.servers.Submit(i)
	}
	return a.Control.Submit(i)
}

// together adds what became of integrations to what became of units: a unit that
// was remade is told once, and what was applied live is told at all.
func together(units []supervisor.Result, asked []integrations.Result) []supervisor.Result {
	told := map[string]bool{}
	for _, r := range units {
		if r.Change != supervisor.Unchanged {
			told[r.ID] = true
		}
	}
	for _, r := range asked {
		if r.Err != nil || r.Change != integrations.Unchanged && !told[r.ID] {
			units = append(units, supervisor.Result{ID: r.ID, Change: supervisor.Change(r.Change), Err: r.Err})
		}
	}
	return units
}
