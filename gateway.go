package main

import (
	"context"
	"fmt"
	"net"

	"vitals/core/cli"
	"vitals/push/gateway"
)

// receive takes pushes until it is told to stop; what was acknowledged is
// stored by then.
func receive(ctx context.Context, r *cli.Options) error {
	ctx, stop := untilHangup(ctx)
	defer stop()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	o, log := r.Gateway, stderrLog(r, false)
	c := gateway.Config{
		Limits: gateway.Limits{Body: o.MaxBody}, Timeout: o.Timeout, TTL: o.TTL,
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
		d, err := gateway.OpenDisk(o.Dir, log)
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
