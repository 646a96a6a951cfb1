package core

import "testing"

// What is shed is off where it is on by default or for all; nearer choices win.
func TestDecideWhatIsShed(t *testing.T) {
	p := &Process{ProcKey: ProcKey{PID: 7, Birth: 1}, Service: "nginx", Group: "web"}
	shed := map[Shed]string{{"requests", "nginx"}: "off to keep the budget"}
	at := func(s Scope, target string, c Choice) map[ToggleKey]Choice {
		k := ToggleKey{Kind: "requests", Scope: s, Target: target}
		if s == ScopeProcess {
			k.Proc = p.ProcKey
		}
		return map[ToggleKey]Choice{k: c}
	}
	for name, c := range map[string]struct {
		t        Toggles
		on, shed bool
	}{
		"on by default":      {Toggles{Defaults: map[string]bool{"requests": true}}, false, true},
		"on for all":         {Toggles{Choices: at(ScopeGlobal, "", On)}, false, true},
		"off for all":        {Toggles{Choices: at(ScopeGlobal, "", Off), Defaults: map[string]bool{"requests": true}}, false, false},
		"off by default":     {Toggles{}, false, false},
		"on for the service": {Toggles{Choices: at(ScopeService, "nginx", On)}, true, false},
		"on for the group":   {Toggles{Choices: at(ScopeGroup, "web", On)}, true, false},
		"on for the process": {Toggles{Choices: at(ScopeProcess, "", On)}, true, false},
		"off for a service":  {Toggles{Choices: at(ScopeService, "nginx", Off), Defaults: map[string]bool{"requests": true}}, false, false},
		"detached":           {Toggles{Defaults: map[string]bool{"requests": true}, Suspended: true}, false, false},
	} {
		c.t.Shed = shed
		if d := c.t.Decide("requests", p); d.On != c.on || d.Shed != c.shed || d.Shed && d.Reason != "off to keep the budget" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	all := Toggles{Defaults: map[string]bool{"requests": true, "tls": true}, Shed: shed}
	if !all.Decide("tls", p).On || !all.Decide("requests", &Process{Service: "redis"}).On || !all.Decide("requests", &Process{}).On {
		t.Error("more is off than was shed")
	}
}
