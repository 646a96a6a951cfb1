// Package probes is the list of everything that vitals hangs into the kernel.
// Each probe is one folder (C, Go, generated objects, tests) and one line in
// the list below; kern has what they share.
package probes

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/lifecycle"
	"vitals/probes/network"
	"vitals/probes/requests"
	"vitals/probes/usage"
)

// Env is what the program gives to its probes.
type Env = kern.Env

// Feature is one line of what this kernel and this user allow.
type Feature = kern.Feature

// probe is what every folder offers.
type probe struct {
	kind   string
	spec   func(kern.Env) core.Spec // no side effects
	needs  func() kern.Needs        // what it cannot do without
	better func() kern.Needs        // what it uses instead where that is to be had; nil for nothing
}

// list is every probe there is, in display order.
func list() []probe {
	return []probe{
		{lifecycle.Kind, lifecycle.Spec, lifecycle.Needs, nil},
		{usage.Kind, usage.Spec, usage.Needs, nil},
		{network.Kind, network.Spec, network.Needs, nil},
		{requests.Kind, requests.Spec, requests.Needs, requests.NeedsFast},
		{requests.KindTLS, requests.SpecTLS, requests.NeedsTLS, nil},
	}
}

// Set is all probes, ready to be run by a supervisor.
type Set struct {
	env   kern.Env
	specs []core.Spec
}

// New makes the specs of all probes. It touches nothing in the kernel. Env.Sink
// is required; the rest has defaults.
func New(env Env) *Set {
	env.Meter = cmp.Or(env.Meter, kern.NewMeter())
	env.Types = cmp.Or(env.Types, &kern.Types{})
	env.Shared = cmp.Or(env.Shared, &kern.Shared{})
	env.Secrets = cmp.Or(env.Secrets, kern.NewSecrets())
	env.Newcomers = cmp.Or(env.Newcomers, &kern.Newcomers{})
	env.Settling = cmp.Or(env.Settling, &kern.Settling{})
	env.Tick = cmp.Or(env.Tick, time.Second)
	env.Log = cmp.Or(env.Log, slog.New(slog.DiscardHandler))
	if env.Processes == nil {
		env.Processes = func([]core.ProcessEvent) {}
	}
	s := &Set{env: env}
	for _, p := range list() {
		s.specs = append(s.specs, p.spec(env))
	}
	return s
}

// Specs lists the probes as units of the supervisor, in display order. The
// caller must not modify the list.
func (s *Set) Specs() []core.Spec { return s.specs }

// Came and Went tell the probes of processes that were found, that became another
// program, and that ended. They never block; p must not change.
func (s *Set) Came(p *core.Process) { s.env.Newcomers.Came(p) }

// Went tells that a process ended.
func (s *Set) Went(k core.ProcKey) { s.env.Newcomers.Went(k) }

// Settle makes the probes that tell of single things, exchanges and lifecycle
// events, hand over what they captured until now, and returns when they have, or
// with ctx. It is for a last look: answers that go on are told as far as they are.
// Levels, such as usage and connections, keep their own pace.
func (s *Set) Settle(ctx context.Context) { s.env.Settling.Settle(ctx) }

// Programs lists every kernel program of ours that is attached now, with what it
// costs. It may be called from any goroutine and asks the kernel nothing.
func (s *Set) Programs() []core.Program { return s.env.Meter.Programs() }

// Run keeps the cost of the programs measured until ctx ends, and then returns
// nil. An error means that costs stay unknown; the probes work all the same.
func (s *Set) Run(ctx context.Context) error {
	if err := s.env.Meter.Run(ctx); err != nil {
		return fmt.Errorf("measure the cost of probes: %w", err)
	}
	return nil
}

// Descs lists the metrics that probes hand to the sink as samples, for
// documentation; what requests, usage and costs become is the engine's.
func Descs() []*core.Desc { return network.Descs() }

// Capabilities reports what this kernel and this user allow, feature by feature,
// with the remedy for what is missing. floor is that of Env. It loads nothing and
// needs no privilege.
func Capabilities(floor bool) []Feature {
	var needs []kern.NamedNeeds
	for _, p := range list() {
		one := kern.NamedNeeds{Kind: p.kind, Needs: p.needs()}
		if p.better != nil && !floor {
			better := p.better()
			one.Better = &better
		}
		needs = append(needs, one)
	}
	return kern.Capabilities(needs)
}
