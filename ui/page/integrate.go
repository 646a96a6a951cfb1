package page

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/widget"
)

// IntegrationSign is an integration's glyph by its state and health.
func IntegrationSign(r *core.IntegrationRow) (rune, canvas.Token) {
	switch r.State {
	case core.IntegrationRunning:
		switch r.Health {
		case core.HealthDegraded, core.HealthRecovering, core.HealthPermanent, core.HealthFatal:
			return '▲', canvas.Warn
		case core.HealthStarting:
			return '◌', canvas.Info
		}
		return '●', canvas.OK
	case core.IntegrationFailed:
		return '✖', canvas.Crit
	case core.IntegrationSuggested:
		return '◌', canvas.Info
	case core.IntegrationDenied:
		return '·', canvas.Faint
	}
	return '○', canvas.Off
}

// ServerGone reports whether all processes of an integration's server ended.
func ServerGone(s *core.Snapshot, r *core.IntegrationRow) bool {
	for _, k := range r.Procs {
		if p := Process(s, k); p != nil && p.Alive {
			return false
		}
	}
	return len(r.Procs) > 0
}

// Integrate carries out what a key asks of an integration and reports whether it
// was such a key.
func Integrate(c *Context, r *core.IntegrationRow, a keys.Action) bool {
	name := r.Title + " " + r.Instance
	send := func(op core.IntentOp, done string) { c.Send(core.Intent{Op: op, Unit: r.ID}, done) }
	switch a {
	case keys.Toggle:
		if r.State == core.IntegrationRunning || r.State == core.IntegrationFailed {
			send(core.IntentIntegrationDisable, name+" is not asked any more")
		} else {
			send(core.IntentIntegrationEnable, "asking "+name)
		}
	case keys.Run:
		send(core.IntentIntegrationRun, "asking "+name+" now")
	case keys.Pin:
		if r.Pinned {
			send(core.IntentIntegrationForget, name+" goes with its server again")
		} else {
			send(core.IntentIntegrationPin, name+" is kept, also while its server is gone")
		}
	case keys.Deny:
		if r.State == core.IntegrationDenied {
			send(core.IntentIntegrationForget, name+" may be asked again")
		} else {
			send(core.IntentIntegrationDeny, name+" is never asked again")
		}
	case keys.Login:
		give(c, r, name)
	default:
		return false
	}
	return true
}

// give asks for what an integration needs: consent where the server's own user
// will do, else a login.
func give(c *Context, r *core.IntegrationRow, name string) {
	switch {
	case r.Ambient && (r.Needs == core.NeedsConsent || !r.Login):
		c.Confirm("log in to "+name+" as the server's own user, read only?", func() {
			c.Send(core.Intent{Op: core.IntentIntegrationConsent, Unit: r.ID}, "logging in to "+name)
		})
	case r.Login:
		c.Ask(Form{Title: "Login for " + name, Help: "It is used read only. Without keeping it is forgotten when vitals ends.",
			Fields: []Field{{Label: "user"}, {Label: "password", Hidden: true}, {Label: "keep in a file of yours", Check: true}},
			Done: func(v []string) {
				c.Send(core.Intent{Op: core.IntentIntegrationLogin, Unit: r.ID,
					Login: &core.Login{User: v[0], Password: core.Secret(v[1]), Keep: v[2] == "yes"}}, "logging in to "+name)
			}})
	default:
		c.Toast(Note, name+" needs no login")
	}
}

// Line is a line of text with a key before it.
type Line struct {
	Key, Text string
	Token     canvas.Token
}

// IntegrationLines are what there is to say about an integration, wrapped to w.
func IntegrationLines(c *Context, r *core.IntegrationRow, w int) (out []Line) {
	add := func(key, text string, tok canvas.Token) {
		for i, part := range widget.Wrap(text, max(w-10, 20)) {
			if i > 0 {
				key = ""
			}
			out = append(out, Line{key, part, tok})
		}
	}
	if r.Message != "" {
		tok := canvas.FG
		if r.State == core.IntegrationFailed {
			tok = canvas.Crit
		}
		add("says", r.Message, tok)
	}
	if need := needs(r); need != "" {
		add("needs", need, canvas.Warn)
	}
	if r.Why != "" {
		add("why", r.Why, canvas.FG)
	}
	if r.Grants != "" && (r.Needs == core.NeedsRights || r.Needs == core.NeedsLogin) {
		for line := range strings.Lines(r.Grants) {
			add("grants", strings.TrimRight(line, "\n"), canvas.Info)
		}
	}
	if r.Runs > 0 || r.Failures > 0 {
		text := fmt.Sprintf("%d collections, %d failed, every %v", r.Runs, r.Failures, r.Interval)
		if wait := r.NextRun.Sub(c.Snap.At); wait > 0 {
			text += ", next in " + format.Of(format.Age, wait)
		}
		if r.Dropped > 0 {
			text += fmt.Sprintf("; %d series left out", r.Dropped)
		}
		add("runs", text, canvas.Muted)
	}
	for _, m := range r.Missing {
		add("missing", m, canvas.Warn)
	}
	return out
}

// needs says what a user can do about it, with the key.
func needs(r *core.IntegrationRow) string {
	switch r.Needs {
	case core.NeedsLogin:
		return "a login: c asks for it, or user and password in the configuration"
	case core.NeedsConsent:
		return "your consent to log in as the server's own user: c"
	case core.NeedsRights:
		return "more rights at the server"
	case core.NeedsServer:
		return "a change at the server"
	case core.NeedsEnable:
		return "your word, since only one thing speaks for it: space asks it"
	case core.NeedsTime:
		return "nothing: it is tried again by itself"
	}
	return ""
}

// wanting reports whether only the user can help.
func wanting(needs string) bool {
	return needs == core.NeedsLogin || needs == core.NeedsConsent || needs == core.NeedsRights || needs == core.NeedsServer
}

// Wanting is a hint at servers that could tell more if somebody helped, until
// the page of integrations was looked at; empty when there are none.
func Wanting(c *Context) string {
	if c.Hinted {
		return ""
	}
	var names []string
	for _, r := range c.Snap.Integrations {
		if (r.State == core.IntegrationSuggested || r.State == core.IntegrationFailed) && wanting(r.Needs) && !ServerGone(c.Snap, r) {
			names = append(names, r.Title)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return ""
	case len(names) > 3:
		names = append(names[:3:3], "...")
	}
	return strings.Join(names, ", ") + " could tell more: page Integrations says what is needed"
}

// WrapLines breaks lines that are longer than w columns.
func WrapLines(lines []Line, w int) (out []Line) {
	for _, l := range lines {
		for _, part := range widget.Wrap(l.Text, max(w-11, 20)) {
			out = append(out, Line{l.Key, part, l.Token})
			l.Key = ""
		}
	}
	return out
}

// DrawLines writes lines one below the other.
func DrawLines(a canvas.Area, lines []Line) {
	for y, l := range lines[:min(len(lines), max(a.H, 0))] {
		a.Text(1, y, l.Key, canvas.Fg(canvas.Muted))
		a.Fit(10, y, a.W-11, l.Text, canvas.Fg(l.Token))
	}
}

// IntegrationText is all of it as text, for the clipboard.
func IntegrationText(r *core.IntegrationRow) string {
	return strings.TrimSpace(strings.Join([]string{r.ID, string(r.State), r.Message, r.Why, r.Grants}, "\n"))
}

// Figure writes a figure of an integration in its unit.
func Figure(f *core.IntegrationFigure) string {
	switch f.Unit {
	case "bytes":
		return format.Of(format.Bytes, f.V)
	case "seconds":
		return format.Of(format.Seconds, f.V)
	case "ratio":
		return Percent(f.V)
	case "per_second":
		return format.Of(format.Count, f.V) + "/s"
	case "state":
		switch {
		case math.IsNaN(f.V):
			return format.Unknown
		case f.V == 0:
			return "down"
		}
		return "up"
	}
	return format.Of(format.Count, f.V)
}
