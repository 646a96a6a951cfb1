package page

import (
	"fmt"
	"math"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
)

// Where says in a line where a process lives: its unit, container, pod, user,
// parent.
func Where(p *core.Process) string {
	var parts []string
	add := func(what, v string) {
		if v != "" {
			parts = append(parts, what+" "+v)
		}
	}
	add("unit", p.Unit)
	if len(p.Container) > 12 {
		add("container", p.Container[:12])
	} else {
		add("container", p.Container)
	}
	add("pod", p.Pod)
	add("group", p.Group)
	add("user", p.User)
	if p.PPID > 0 {
		add("parent", format.Of(format.Int, p.PPID))
	}
	return strings.Join(parts, "  ")
}

// DrawInstr lists the kinds of instrumentation at a process with their states
// and the rule that decided, one in a line.
func DrawInstr(c *Context, a canvas.Area, r *core.ProcessRow) {
	if r.Skip != "" {
		a.Fit(0, 0, a.W, "never instrumented: "+r.Skip, canvas.Fg(canvas.Muted))
		return
	}
	if len(r.Instr) == 0 {
		a.Fit(0, 0, a.W, "no kind of instrumentation is there", canvas.Fg(canvas.Muted))
	}
	y := 0
	for i := range r.Instr {
		if c.Selectable(r, i) {
			InstrLine(c, a.Sub(0, y, a.W, 1), r, &r.Instr[i])
			y++
		}
	}
}

// InstrLine draws one kind at a process: sign, name, state, reason.
func InstrLine(c *Context, a canvas.Area, r *core.ProcessRow, in *core.InstrState) {
	s, word := InstrOf(c, r, in)
	g, tok := s.Sign()
	a.Set(0, 0, g, canvas.Fg(tok))
	a.Fit(2, 0, 10, in.Kind, canvas.Fg(canvas.FG))
	a.Fit(13, 0, 11, word, canvas.Fg(tok))
	a.Fit(25, 0, a.W-25, in.Reason, canvas.Fg(canvas.Muted))
}

// InstrOf is the state of one kind at a process, in a sign and a word.
func InstrOf(c *Context, r *core.ProcessRow, in *core.InstrState) (State, string) {
	key := core.ToggleKey{Kind: in.Kind, Scope: core.ScopeProcess, Proc: r.ProcKey}
	if choice, ok := c.Choice(key); ok {
		return StateChanging, "going " + string(choice)
	}
	if !in.On {
		return StateOff, "off"
	}
	s := PhaseState(in.Phase, core.HealthOK)
	if s == StateOn {
		return s, "on"
	}
	return s, string(in.Phase)
}

// Cost writes a share of one core: "0.06% of a core".
func Cost(ratio float64) string {
	if math.IsNaN(ratio) {
		return format.Unknown
	}
	return fmt.Sprintf("%s%% of a core", format.Of(format.Percent, ratio))
}
