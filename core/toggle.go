package core

// Scope is how wide a toggle reaches. The nearest scope wins:
// process over service over group over global over the kind's default.
type Scope string

// Scopes from wide to near.
const (
	ScopeGlobal  Scope = "global"
	ScopeGroup   Scope = "group"
	ScopeService Scope = "service"
	ScopeProcess Scope = "process"
)

// Choice is what somebody wants of a kind at a scope.
type Choice string

// Choices. Auto means no choice: the wider scope decides.
const (
	Auto Choice = "auto"
	On   Choice = "on"
	Off  Choice = "off"
)

// ToggleKey names one switch. Target is empty for global, else the group's or
// service's name; Proc is set for process scope only.
type ToggleKey struct {
	Kind   string
	Scope  Scope
	Target string
	Proc   ProcKey
}

// Toggles is an immutable set of choices. The zero value and nil have none.
type Toggles struct {
	Choices map[ToggleKey]Choice
	// Defaults holds for each kind whether it is on where nobody chose.
	Defaults map[string]bool
	// Shed is what is off to keep the budget, and why. Who chose "on" for a group, a
	// service or a process has it all the same.
	Shed map[Shed]string
	// Suspended is set by "detach everything": all is off until released.
	Suspended bool
}

// Shed names something that vitals lets go of to keep its budget: a kind of
// instrumentation at a service.
type Shed struct{ Kind, Service string }

// Decision is what holds for a (process, kind), and why.
type Decision struct {
	On     bool
	Scope  Scope  // the scope that decided; empty for default and Skip
	Reason string // "on by default", "off for service nginx", "kernel thread"
	Shed   bool   // it is off to keep the budget only
}

// Decide says whether kind is on for p. It allocates only for reasons that name
// a target. p.Skip beats every choice, Suspended beats everything else.
func (t *Toggles) Decide(kind string, p *Process) Decision {
	if p.Skip != "" {
		return Decision{Reason: p.Skip}
	}
	if t == nil {
		return Decision{Reason: "off by default"}
	}
	if t.Suspended {
		return Decision{Scope: ScopeGlobal, Reason: "everything is detached"}
	}
	if len(t.Choices) > 0 {
		if c := t.Choices[ToggleKey{Kind: kind, Scope: ScopeProcess, Proc: p.ProcKey}]; c == On || c == Off {
			return Decision{On: c == On, Scope: ScopeProcess, Reason: string(c) + " for this process"}
		}
		if c := t.Choices[ToggleKey{Kind: kind, Scope: ScopeService, Target: p.Service}]; p.Service != "" && (c == On || c == Off) {
			return Decision{On: c == On, Scope: ScopeService, Reason: string(c) + " for service " + p.Service}
		}
		if c := t.Choices[ToggleKey{Kind: kind, Scope: ScopeGroup, Target: p.Group}]; p.Group != "" && (c == On || c == Off) {
			return Decision{On: c == On, Scope: ScopeGroup, Reason: string(c) + " for group " + p.Group}
		}
	}
	d := t.everywhere(kind)
	if why, shed := t.Shed[Shed{kind, p.Service}]; shed && d.On {
		return Decision{Reason: why, Shed: true}
	}
	return d
}

// everywhere is what holds where nobody chose for a part of the machine.
func (t *Toggles) everywhere(kind string) Decision {
	if c := t.Choices[ToggleKey{Kind: kind, Scope: ScopeGlobal}]; c == On || c == Off {
		return Decision{On: c == On, Scope: ScopeGlobal, Reason: string(c) + " for all processes"}
	}
	if t.Defaults[kind] {
		return Decision{On: true, Reason: "on by default"}
	}
	return Decision{Reason: "off by default"}
}

// IntentOp is what an Intent asks for.
type IntentOp string

// Operations that a user interface may ask for.
const (
	IntentToggle    IntentOp = "toggle"     // Key and Choice
	IntentUndo      IntentOp = "undo"       // the last toggle, or detach-all
	IntentDetachAll IntentOp = "detach-all" // everything out of the kernel
	IntentResume    IntentOp = "resume"     // the end of detach-all
	IntentRetry     IntentOp = "retry"      // Unit, else all failed ones of Key.Kind, else all failed ones
	// IntentUninstrument switches every kind off that observes process by process
	// for Key's group, service or process, until IntentInstrument takes that back.
	IntentUninstrument IntentOp = "uninstrument"
	IntentInstrument   IntentOp = "instrument"
	IntentPushNow      IntentOp = "push-now"
	IntentReload       IntentOp = "reload" // read the configuration again
	// IntentDeleteGroup removes Group from the gateway that runs in this process.
	IntentDeleteGroup IntentOp = "delete-group"
)

// Intent is a wish of the user. It is carried out asynchronously; the result is
// seen in a later snapshot and as an event.
type Intent struct {
	Op     IntentOp
	Key    ToggleKey
	Choice Choice
	Unit   string
	Login  *Login // of IntentIntegrationLogin
	Group  string // of IntentDeleteGroup: GatewayGroup.ID
}
