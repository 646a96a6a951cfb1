package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/budget"
)

// keepBudget looks at what vitals costs and lets go of what costs most, while the
// configuration has a budget.
func (p *program) keepBudget(ctx context.Context) error {
	p.attached(ctx) // what the start costs is no habit
	k := &keeping{program: p}
	k.begin()
	for {
		var next <-chan time.Time
		if p.loaded().Budget > 0 {
			next = time.After(budget.Period)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.rebudget:
			k.begin()
		case <-next:
			k.look()
		}
	}
}

// keeping is how one run keeps to its budget.
type keeping struct {
	*program
	budget.Keeper
	meter *budget.Meter
	why   map[core.Shed]string
}

// begin measures from now on; without a budget everything is let in again.
func (k *keeping) begin() {
	k.meter = budget.NewMeter(k.engine.Latest(), time.Now(), ownCPU())
	if k.loaded().Budget == 0 {
		k.decide(budget.Look{})
	}
}

func (k *keeping) look() {
	k.decide(k.meter.Look(k.engine.Latest(), time.Now(), ownCPU(), k.loaded().Budget))
}

func (k *keeping) decide(l budget.Look) {
	percent := 100 / float64(k.engine.Latest().Host.CPUs)
	spent := fmt.Sprintf("vitals used %.2g%% of the machine, its budget is %.2g%%", l.Total*percent, l.Limit*percent)
	helpless := k.Helpless()
	if k.Look(l) {
		now := map[core.Shed]string{}
		for _, s := range k.Shed() {
			now[s] = cmp.Or(k.why[s], "off to keep the budget: "+spent)
		}
		k.why = now
		if err := k.supervisor.Shed(now); err != nil {
			k.log.Debug("nothing was let go or in", "error", err)
		}
	}
	if k.Helpless() && !helpless {
		k.engine.Event(core.Event{Kind: core.EventNotice,
			Reason: spent + ", and no service's requests cost enough that leaving them out would help"})
	}
}

// ownCPU is the CPU time that this process has used, system calls included.
func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
