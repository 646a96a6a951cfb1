package main

import (
	"context"
	"fmt"
	"net"

	"vitals/core"
	"vitals/core/cli"
	"vitals/push/gateway"
)

// receiver is the gateway that runs beside everything else, as the configuration
// says; ok is false when it says none.
func (p *program) receiver(s settings) (spec core.Spec, ok bool, err error) {
	o := s.Config.Gateway
	if o.Listen == "" {
		return core.Spec{}, false, nil
	}
	spec, err = gateway.NewSpec(gateway.UnitConfig{
		Config: gateway.Config{
			Limits: gateway.Limits{Body: o.MaxBody}, Timeout: o.Timeout, TTL: o.TTL, Rate: o.Rate, WebConfig: o.WebConfig,
			Version: version, Log: s.log,
		},
		Listen: o.Listen, Dir: o.Dir(), As: as(s.Author("gateway.store")),
		Report: p.engine.Gateway, Gone: p.engine.GatewayGone, Event: p.engine.Event, Delete: p.deletions,
	})
	return spec, true, err
}

// control is the supervisor, and the gateway for what only that can do.
type control struct {
	core.Control
	deletions chan<- string
}

// Submit queues an intent.
func (c control) Submit(i core.Intent) bool {
	if i.Op != core.IntentDeleteGroup {
		return c.Control.Submit(i)
	}
	select {
	case c.deletions <- i.Group:
		return true
	default:
		return false
	}
}

// receive takes pushes until it is told to stop; what was acknowledged is
// stored by then.
func receive(ctx context.Context, r *cli.Options) error {
	ctx, stop := untilHangup(ctx)
	defer stop()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	o, log := r.Gateway, stderrLog(r, false)
	c := gateway.Config{
		Limits: gateway.Limits{Body: o.MaxBody}, Timeout: o.Timeout, TTL: o.TTL, Rate: o.Rate, WebConfig: o.WebConfig,
		Unchecked: o.Unchecked, UTF8Names: o.UTF8Names, Admin: o.Admin,
		Flags: o.Flags, Version: version, Log: log,
	}
	if o.Lifecycle {
		c.Quit = quit
	}
	// The address first: nothing is touched when it is taken.
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer l.Close()
	switch o.Store {
	case "disk":
		d, err := gateway.OpenDisk(o.Dir, as(r.Paths.User), log)
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		c.Store = d
	case "log":
		c.Sinks = []gateway.Sink{gateway.LogSink{Log: log}}
	}
	g, err := gateway.New(c)
	if err != nil {
		return err
	}
	log.Info("gateway receives", "address", l.Addr().String(), "store", o.Store)
	return g.Serve(ctx, l)
}
