package main

import (
	"context"
	"fmt"
	"time"

	"vitals/core"
	"vitals/core/calls"
)

// tellFailing tells, minute by minute, that pushing has done nothing but fail
// for longer than that: a single failed push is told by the destination itself.
func (p *program) tellFailing(ctx context.Context) error {
	p.pushes.Run(ctx, func(f calls.Failing) {
		p.engine.Event(core.Event{Kind: core.EventNotice, Unit: "destination/pushgateway",
			Reason: fmt.Sprintf("every %s has failed for %v, %d in a row", f.Op, f.For.Round(time.Second), f.Count)})
	})
	return nil
}
