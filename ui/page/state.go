package page

import (
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
)

// State is what the instrumentation of a process is doing, in one sign.
type State uint8

// States, from good to bad.
const (
	StateOn State = iota
	StateChanging
	StatePartly // on, but not all of it works
	StateFailed
	StateOff
	StateNever // never instrumented, see Process.Skip
	StateEnded
)

// Sign is a state's glyph; every sign comes with a word and a colour.
func (s State) Sign() (rune, canvas.Token) {
	switch s {
	case StateOn:
		return '●', canvas.OK
	case StateChanging:
		return '◌', canvas.Info
	case StatePartly:
		return '▲', canvas.Warn
	case StateFailed:
		return '✖', canvas.Crit
	case StateOff:
		return '○', canvas.Off
	case StateEnded:
		return '†', canvas.Faint
	}
	return '·', canvas.Faint
}

// String is the state in a word.
func (s State) String() string {
	return [...]string{"on", "changing", "partly", "failed", "off", "never", "ended"}[s]
}

// StateOf tells what the instrumentation of a process is doing, and why when it
// is not simply on or off.
func StateOf(c *Context, row *core.ProcessRow) (State, string) {
	switch {
	case !row.Alive:
		return StateEnded, "ended"
	case row.Skip != "":
		return StateNever, row.Skip
	}
	var running, broken, unsupported, wanted int
	reason, kind := "", ""
	for i := range row.Instr {
		in := &row.Instr[i]
		if !c.Selectable(row, i) {
			continue
		}
		if c.App != nil {
			if _, pending := c.Choice(core.ToggleKey{Kind: in.Kind, Scope: core.ScopeProcess, Proc: row.ProcKey}); pending {
				return StateChanging, "asked for"
			}
		}
		if !in.On {
			if reason == "" {
				reason = in.Reason
			}
			continue
		}
		wanted++
		switch in.Phase {
		case core.PhaseRunning:
			running++
		case core.PhaseUnsupp, core.PhaseFailed, core.PhaseStuck, core.PhaseBackoff:
			broken++
			if in.Phase == core.PhaseUnsupp {
				unsupported++
			}
			reason, kind = in.Reason, in.Kind+": "
		default:
			return StateChanging, in.Kind + " " + string(in.Phase)
		}
	}
	switch {
	case wanted == 0:
		return StateOff, reason
	case broken == 0:
		return StateOn, ""
	case running > 0:
		return StatePartly, kind + reason
	case broken == unsupported: // without root nothing has gone wrong: it cannot be had
		return StateOff, reason
	}
	return StateFailed, reason
}

// PhaseState is the state of a unit's phase.
func PhaseState(p core.Phase, h core.Health) State {
	switch p {
	case core.PhaseRunning:
		if h == core.HealthDegraded || h == core.HealthRecovering {
			return StatePartly
		}
		return StateOn
	case core.PhaseFailed, core.PhaseStuck:
		return StateFailed
	case core.PhaseBackoff:
		return StatePartly
	case core.PhaseOff, core.PhaseNew, core.PhaseGone, core.PhaseUnsupp:
		return StateOff
	}
	return StateChanging
}

// ServiceSign is a service's glyph by its health and whether it is watched.
func ServiceSign(s *core.ServiceRow) (rune, canvas.Token) {
	switch {
	case Over(s):
		return StateEnded.Sign()
	case s.Health == core.HealthFatal || s.Health == core.HealthPermanent:
		return '✖', canvas.Crit
	case s.Health == core.HealthDegraded || s.Health == core.HealthRecovering:
		return '▲', canvas.Warn
	case !s.On && len(s.PIDs) > 0:
		return '○', canvas.Off
	}
	return '●', canvas.OK
}

// RED is the side of a process or service that matters: what it serves, else
// what it asks of others.
func RED(server, client *core.RED) (*core.RED, string) {
	if server.Count == 0 && client.Count > 0 {
		return client, "client"
	}
	return server, "server"
}

// Language is a runtime in a few characters: "go 1.26", "python 3.12", "C".
func Language(r core.Runtime) string {
	name := r.Language
	if name == "c" {
		name = "C"
	}
	if r.Version == "" || name == "" {
		return name
	}
	parts := strings.SplitN(strings.TrimPrefix(r.Version, name), ".", 3)
	return name + " " + strings.Join(parts[:min(len(parts), 2)], ".")
}

// Name is how a process is called: its service, else its command.
func Name(p *core.Process) string {
	if p.Service != "" {
		return p.Service
	}
	return p.Comm
}

// ErrorToken colours an error ratio, LatencyToken nothing: what is slow depends.
func ErrorToken(ratio float64) canvas.Token {
	switch {
	case ratio >= 0.05:
		return canvas.Crit
	case ratio >= 0.01:
		return canvas.Warn
	}
	return canvas.Inherit
}
