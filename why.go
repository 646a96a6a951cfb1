package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vitals/core"
	"vitals/core/cli"
	"vitals/core/expose"
	"vitals/probes"
)

// why looks once and explains the decisions for a process or a service. A dry
// run attaches nothing.
func why(ctx context.Context, r *cli.Options, subject string) error {
	p, err := build(r, settings{log: stderrLog(r, true)})
	if err != nil {
		return cli.Usage(err)
	}
	defer p.announcement.Close()
	p.start(context.WithoutCancel(ctx))
	for !p.discover.Ready() && ctx.Err() == nil {
		wait(ctx, 5*time.Millisecond)
	}
	p.attached(ctx)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	look := p.engine.Flush(flush)
	if err := p.stop(); err != nil {
		fmt.Fprintf(r.Stderr, "vitals: %v\n", err)
	}
	w, err := expose.Explain(look, subject)
	if err != nil {
		return err
	}
	if r.Output == "json" {
		return w.WriteJSON(r.Stdout)
	}
	return w.WriteText(r.Stdout)
}

// checked returns the specs with a check of what this kernel and user allow, for
// a rehearsal: nothing is attached to find that out.
func checked(specs []core.Spec) []core.Spec {
	features := probes.Capabilities(floored())
	specs = slices.Clone(specs)
	for i, spec := range specs {
		specs[i].Check = func() error {
			for _, f := range features {
				if f.Name == "probe "+spec.Kind && !f.OK {
					return &core.Remedied{Err: unavailable(f.Why), Remedy: f.Remedy, Permanent: true}
				}
			}
			return nil
		}
	}
	return specs
}

// unavailable says why this kernel or user cannot do a thing.
type unavailable string

func (u unavailable) Error() string { return string(u) }
func (unavailable) Unwrap() error   { return core.ErrUnsupported }
