package main

import (
	"context"
	"net"
	"slices"

	"vitals/core"
	"vitals/core/diagnose"
	"vitals/core/expose"
	"vitals/core/serve"
	"vitals/probes"
)

// open takes the address that is to be served, before anything is attached: one
// that is taken is an error of the start. It does nothing without an address.
func (p *program) open() error {
	s := p.settings
	if s.Listen == "" {
		return nil
	}
	p.web.board = diagnose.New(diagnose.Config{Source: p.engine, Directory: p.supervisor, Recorder: p.recorder(), Log: p.log})
	server, err := serve.New(serve.Config{
		Source: p.engine, Directory: p.supervisor, Board: p.web.board, OfKind: measures, Fresh: p.engine.Flush,
		Ready:    p.ready,
		Instance: s.InstanceName(), Advertise: serve.Advertised(s.Listen, s.InstanceName()), WebConfig: s.WebConfig,
		Recorder: p.recorder(), Log: p.log,
	})
	if err != nil {
		return err
	}
	if p.web.listener, err = serve.Listen(s.Listen); err != nil {
		return err
	}
	p.web.server = server
	return nil
}

// serving runs what open prepared.
func (p *program) serving(ctx context.Context) []<-chan error {
	if p.web.server == nil {
		return nil
	}
	p.log.Info("serving", "address", p.web.listener.Addr().String())
	return []<-chan error{
		p.run(ctx, "health", p.web.board.Run),
		p.run(ctx, "http", func(ctx context.Context) error { return p.web.server.Serve(ctx, p.web.listener) }),
	}
}

// web is what serves HTTP; empty when nothing is served.
type web struct {
	board    *diagnose.Board
	server   *serve.Server
	listener net.Listener
}

// recorder is that of our own calls, nil when they are not timed.
func (p *program) recorder() core.Recorder {
	if p.calls == nil {
		return nil
	}
	return p.calls
}

// measures reports whether a kind of instrumentation measures a family.
func measures(kind, family string) bool {
	if kind == "network" {
		return slices.ContainsFunc(probes.Descs(), func(d *core.Desc) bool { return d.Name == family })
	}
	return expose.OfKind(kind, family)
}

// ready reports whether everything that is wanted runs, or cannot, and the
// snapshot, which is what is served, says so.
func (p *program) ready() bool {
	if !p.settled() {
		return false
	}
	for _, u := range p.engine.Latest().Units {
		if u.Class == core.ClassInstrumentation && (u.Phase == core.PhaseAttaching || u.Phase == core.PhaseStarting) {
			return false
		}
	}
	return true
}
