package main

import (
	"context"
	"fmt"
	"time"

	"vitals/core/cli"
	"vitals/core/expose"
)

// why looks once and explains the decisions for a process or a service. A dry
// run attaches nothing.
func why(ctx context.Context, r *cli.Options, subject string) error {
	p, err := build(r, false, stderrLog(r, true))
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
