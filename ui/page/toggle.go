package page

import (
	"fmt"

	"vitals/core"
	"vitals/ui/format"
)

// Many is how many processes are switched at once without asking.
const Many = 20

// ToggleProcesses switches the chosen kinds at the processes: off where any of
// them is on, else on. With more than Many of them it asks first.
func ToggleProcesses(c *Context, rows []*core.ProcessRow) {
	var targets []*core.ProcessRow
	skipped := ""
	for _, r := range rows {
		switch {
		case r.Skip != "":
			skipped = fmt.Sprintf("%s/%d is never instrumented: %s", Name(r.Process), r.PID, r.Skip)
		case !r.Alive:
			skipped = fmt.Sprintf("%s/%d has ended", Name(r.Process), r.PID)
		case len(kindsOf(c, r)) > 0:
			targets = append(targets, r)
		default:
			skipped = "no kind of instrumentation is chosen (i chooses)"
		}
	}
	if len(targets) == 0 {
		if skipped != "" {
			c.Toast(Bad, skipped)
		}
		return
	}
	choice := core.On
	for _, r := range targets {
		if anyOn(c, r) {
			choice = core.Off
		}
	}
	who := Name(targets[0].Process) + "/" + format.Of(format.Int, targets[0].PID)
	if len(targets) > 1 {
		who = format.Plural(len(targets), "process", "processes")
	}
	do := func() { SetProcesses(c, targets, choice, who) }
	if len(targets) > Many {
		c.Confirm(fmt.Sprintf("switch %s %s?", who, choice), do)
		return
	}
	do()
}

// SetProcesses switches the chosen kinds at the processes.
func SetProcesses(c *Context, rows []*core.ProcessRow, choice core.Choice, who string) {
	var batch []core.Intent
	for _, r := range rows {
		for _, kind := range kindsOf(c, r) {
			batch = append(batch, core.Intent{Op: core.IntentToggle, Choice: choice,
				Key: core.ToggleKey{Kind: kind, Scope: core.ScopeProcess, Proc: r.ProcKey}})
		}
	}
	c.Submit(batch, who+" "+string(choice))
}

// ToggleService switches the chosen kinds for a service, for its processes of
// now and later.
func ToggleService(c *Context, s *core.ServiceRow) {
	choice := core.On
	if s.On {
		choice = core.Off
	}
	var batch []core.Intent
	for _, k := range PerProcess(c.Snap) {
		key := core.ToggleKey{Kind: k.Kind, Scope: core.ScopeService, Target: s.Name}
		if pending, ok := c.Choice(key); ok && pending == choice {
			choice = opposite(choice)
		}
		if c.Kinds == nil || c.Kinds[k.Kind] {
			batch = append(batch, core.Intent{Op: core.IntentToggle, Key: key})
		}
	}
	for i := range batch {
		batch[i].Choice = choice
	}
	c.Submit(batch, "service "+s.Name+" "+string(choice))
}

// ToggleKind switches one kind at one process.
func ToggleKind(c *Context, r *core.ProcessRow, in *core.InstrState) {
	if r.Skip != "" {
		c.Toast(Bad, "never instrumented: "+r.Skip)
		return
	}
	key := core.ToggleKey{Kind: in.Kind, Scope: core.ScopeProcess, Proc: r.ProcKey}
	choice := core.On
	if Wanted(c, key, in.On) {
		choice = core.Off
	}
	c.Submit([]core.Intent{{Op: core.IntentToggle, Key: key, Choice: choice}},
		fmt.Sprintf("%s %s at %s/%d", in.Kind, choice, Name(r.Process), r.PID))
}

// ToggleGlobal switches one kind for all processes.
func ToggleGlobal(c *Context, kind string) {
	key := core.ToggleKey{Kind: kind, Scope: core.ScopeGlobal}
	choice := core.On
	if Wanted(c, key, GlobalOn(c.Snap, kind)) {
		choice = core.Off
	}
	c.Submit([]core.Intent{{Op: core.IntentToggle, Key: key, Choice: choice}},
		fmt.Sprintf("%s %s for all processes", kind, choice))
}

// GlobalOn reports whether a kind is on where no nearer choice was made.
func GlobalOn(s *core.Snapshot, kind string) bool {
	return s.Toggles.Decide(kind, &core.Process{}).On
}

// Wanted is what holds for a switch with what was asked for a moment ago.
func Wanted(c *Context, key core.ToggleKey, now bool) bool {
	if choice, ok := c.Choice(key); ok {
		return choice == core.On
	}
	return now
}

func anyOn(c *Context, r *core.ProcessRow) bool {
	for i := range r.Instr {
		in := &r.Instr[i]
		key := core.ToggleKey{Kind: in.Kind, Scope: core.ScopeProcess, Proc: r.ProcKey}
		if c.Switched(r, i) && Wanted(c, key, in.On) {
			return true
		}
	}
	return false
}

func kindsOf(c *Context, r *core.ProcessRow) (kinds []string) {
	for i := range r.Instr {
		if c.Switched(r, i) {
			kinds = append(kinds, r.Instr[i].Kind)
		}
	}
	return kinds
}

func opposite(c core.Choice) core.Choice {
	if c == core.On {
		return core.Off
	}
	return core.On
}
