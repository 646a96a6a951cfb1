package expose

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

func explained(t *testing.T, s *core.Snapshot, subject string) string {
	t.Helper()
	w, err := Explain(s, subject)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := w.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every decision has its rule, what was found, what is attached, and what would
// change it.
func TestWhyExplainsEveryDecision(t *testing.T) {
	base := func() *core.Snapshot {
		s := sample()
		s.Toggles = &core.Toggles{Defaults: map[string]bool{"requests": true}}
		return s
	}
	unit := func(change func(*core.UnitRow)) func(*core.Snapshot) {
		return func(s *core.Snapshot) {
			u := *s.Units[0]
			change(&u)
			s.Units = []*core.UnitRow{&u}
			s.Processes[0].Instr[0].Phase = u.Phase
		}
	}
	process := func(change func(*core.Process)) func(*core.Snapshot) {
		return func(s *core.Snapshot) { change(s.Processes[0].Process) }
	}
	choice := func(k core.ToggleKey, c core.Choice) func(*core.Snapshot) {
		return func(s *core.Snapshot) {
			s.Toggles.Choices = map[core.ToggleKey]core.Choice{k: c}
			s.Processes[0].Instr[0].Phase = core.PhaseOff
		}
	}
	for name, c := range map[string]struct {
		change func(*core.Snapshot)
		want   []string
	}{
		"running":     {func(*core.Snapshot) {}, []string{"web (7), service web", "runs /usr/bin/web", "listens on tcp 127.0.0.1:8080", "running, on by default", "instrumentation/requests is running", "switch it off"}},
		"unsupported": {unit(func(u *core.UnitRow) { u.Phase, u.Message = core.PhaseUnsupp, "no BTF (use a newer kernel)" }), []string{"unsupported, on by default", "no BTF (use a newer kernel)", "vitals doctor"}},
		"failed":      {unit(func(u *core.UnitRow) { u.Phase, u.Message = core.PhaseFailed, "stripped" }), []string{"failed", "stripped", "retry"}},
		"waits":       {unit(func(u *core.UnitRow) { u.Phase, u.NextTry = core.PhaseBackoff, at.Add(time.Minute) }), []string{"backoff", "by itself at 12:01:00"}},
		"partly":      {unit(func(u *core.UnitRow) { u.Parts = map[string]string{"unix": "no hook"} }), []string{"without unix: no hook"}},
		"dry run":     {unit(func(u *core.UnitRow) { u.Phase = core.PhaseOff }), []string{"off, on by default", "would be attached (dry run)"}},
		"off for the service": {choice(core.ToggleKey{Kind: "requests", Scope: core.ScopeService, Target: "web"}, core.Off),
			[]string{"off, off for service web", `take the choice "off for service web" back`}},
		"over the budget": {func(s *core.Snapshot) {
			s.Toggles.Shed = map[core.Shed]string{{Kind: "requests", Service: "web"}: "off to keep the budget: vitals used 3% of the machine"}
		}, []string{"off to keep the budget: vitals used 3%", "tried again by itself", "a larger budget"}},
		"off by default": {func(s *core.Snapshot) { s.Toggles = &core.Toggles{} }, []string{"off by default", "instrumentation: {requests: on}"}},
		"detached":       {func(s *core.Snapshot) { s.Toggles.Suspended = true }, []string{"everything is detached", "resume"}},
		"excluded":       {process(func(p *core.Process) { p.Skip = "excluded by rule user=www" }), []string{"never instrumented: excluded by rule user=www", "out of exclude"}},
		"not included":   {process(func(p *core.Process) { p.Skip = "not included by any rule" }), []string{"pid=7"}},
		"kernel thread":  {process(func(p *core.Process) { p.Skip = "kernel thread" }), []string{"nothing: it has no life"}},
		"sdk": {process(func(p *core.Process) { p.Runtime.SDK, p.Group, p.NSPID = "opentelemetry-js", "front", 1 }),
			[]string{"carries opentelemetry-js", "sdk=*", "in configuration group front", "pid 1 in its own namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := base()
			c.change(s)
			got := explained(t, s, "7")
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestWhyFindsItsSubject(t *testing.T) {
	s := sample()
	s.Processes[1].Service = "nightly"
	s.Services[0].Name = "nightly"
	for subject, want := range map[string]string{"7": "web (7)", "web": "web (7)", "nightly": "job (9)", "job": "job (9)"} {
		if got := explained(t, s, subject); !strings.HasPrefix(got, want) || strings.Count(got, ", service ") != 1 {
			t.Errorf("%s: %s", subject, got)
		}
	}
	for _, nobody := range []string{"4711", "", "\x1b[2J", "99999999999999"} {
		_, err := Explain(s, nobody)
		if err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", nobody, err)
		}
	}
}

func TestWhyOfManyIsBoundedInTextAndWholeInJSON(t *testing.T) {
	s := sample()
	for i := range int32(100) {
		p := *s.Processes[0].Process
		p.PID = 1000 + i
		s.Processes = append(s.Processes, &core.ProcessRow{Process: &p, Alive: true})
	}
	if got := explained(t, s, "web"); strings.Count(got, ", service web\n") != maxExplained || !strings.Contains(got, "and 81 more") {
		t.Error(got)
	}
	w, _ := Explain(s, "web")
	var b bytes.Buffer
	if err := w.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Why
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Processes) != 101 || back.Processes[0].Kinds[0].Kind != "requests" {
		t.Errorf("%v: %d processes", err, len(back.Processes))
	}
}
