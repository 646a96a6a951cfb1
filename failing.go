package main

import (
	"context"
	"fmt"
	"time"

	"vitals/core"
	"vitals/core/calls"
)

// failingAfter is for how long pushing to a destination must have done nothing
// but fail to be told, and how often that is told then.
const failingAfter = time.Minute

// tellFailing tells that nothing reaches a destination any more: a single failed
// push is told by the destination itself.
func (p *program) tellFailing(ctx context.Context) error {
	tick := time.NewTicker(failingAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.pushes.stuck(func(unit string, f calls.Failing) {
				p.engine.Event(core.Event{Kind: core.EventNotice, Unit: unit,
					Reason: fmt.Sprintf("every %s has failed for %v, %d in a row", f.Op, f.For.Round(time.Second), f.Count)})
			})
		}
	}
}
