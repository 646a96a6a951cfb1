package integrations

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// IsIntent reports whether an intent is the manager's to carry out.
func IsIntent(op core.IntentOp) bool { return strings.HasPrefix(string(op), "integration-") }

// Submit takes an intent about integrations. It never blocks; false means busy.
// What came of it is seen in the row, and told by an event.
func (m *Manager) Submit(i core.Intent) bool {
	return m.in.put(func(m *Manager, now time.Time) {
		said, err := m.carryOut(i, now)
		if err != nil {
			m.notice("nothing was changed", err)
			return
		}
		m.cfg.Event(core.Event{Kind: core.EventToggle, Unit: i.Unit, Reason: core.Clean(said, core.MaxCmdline)})
	})
}

// carryOut does what the user asked for. It needs m.mu.
func (m *Manager) carryOut(i core.Intent, now time.Time) (said string, err error) {
	j, s := m.jobs[i.Unit], m.finder.serverOf(i.Unit)
	if j == nil && s == nil && m.offered(i.Unit) == nil && m.choices.of(i.Unit) == (choice{}) {
		return "", fmt.Errorf("there is no integration %q", core.Clean(i.Unit, core.MaxName))
	}
	switch i.Op {
	case core.IntentIntegrationRun:
		return m.runNow(i.Unit, j, s)
	case core.IntentIntegrationLogin:
		return m.login(i, j, s)
	case core.IntentIntegrationConsent:
		return m.consent(i.Unit, j, s)
	}
	said, change := said, func(*choice) {}
	switch i.Op {
	case core.IntentIntegrationEnable:
		said, change = "enabled", func(c *choice) { c.Enabled, c.Disabled, c.Denied = true, false, false }
	case core.IntentIntegrationDisable:
		said, change = "switched off until vitals ends", func(c *choice) { c.Enabled, c.Disabled = false, true }
	case core.IntentIntegrationDeny:
		said, change = "denied", func(c *choice) { *c = choice{Denied: true} }
	case core.IntentIntegrationPin:
		said, change = "pinned", func(c *choice) { c.Pinned, c.Denied, c.Disabled = true, false, false }
	case core.IntentIntegrationForget:
		said, change = "all that was said of it is forgotten", func(c *choice) { *c = choice{} }
	default:
		return "", fmt.Errorf("intent %q is not known", core.Clean(string(i.Op), core.MaxName))
	}
	if j != nil && j.row.Origin == "configured" && i.Op != core.IntentIntegrationForget && i.Op != core.IntentIntegrationPin {
		return "", errors.New("it is in the configuration: change it there (enabled: false switches it off)")
	}
	before := m.choices.of(i.Unit)
	if !m.choices.change(i.Unit, change) {
		return "", fmt.Errorf("there are %d decisions already, the limit", maxChoices)
	}
	m.choices.save()
	if before.login != nil && m.choices.of(i.Unit).login == nil {
		m.choices.saveLogins()
	}
	if after := m.choices.of(i.Unit); j != nil && (before.login != after.login || before.Consented != after.Consented) {
		m.relogin(j)
	}
	if s != nil {
		s.shown = ""
		if s.due.IsZero() && i.Op == core.IntentIntegrationForget {
			s.probed, s.due = false, now.Add(m.cfg.Limits.Settle)
		}
	}
	if j != nil {
		m.renewed = append(m.renewed, j)
	}
	return label(j, s, i.Unit) + " " + said, nil
}

// label names an integration for people.
func label(j *job, s *server, id string) string {
	switch {
	case j != nil:
		return j.kind.Title + " at " + j.name
	case s != nil:
		return s.kind.Title + " at " + s.name()
	}
	return core.Clean(strings.TrimPrefix(id, "integration/"), core.MaxName)
}

// runNow collects at once, or tries again at once; a probe is not hurried.
func (m *Manager) runNow(id string, j *job, s *server) (string, error) {
	if j == nil {
		return "", errors.New("it does not run (enable it first)")
	}
	if u := j.running(); u != nil {
		u.soon()
	}
	m.cfg.Retry(id)
	return label(j, s, id) + " is asked now", nil
}

// login takes a user and a password, which win over those of the configuration.
func (m *Manager) login(i core.Intent, j *job, s *server) (string, error) {
	if i.Login == nil || len(i.Login.User) > core.MaxName || len(i.Login.Password) > 4096 {
		return "", errors.New("there is no login to use: it is missing or too long")
	}
	return m.change(i.Unit, j, s, "a login was entered for ", func(c *choice) {
		l := *i.Login
		c.login, c.Denied, c.Disabled = &l, false, false
	})
}

// consent lets it log in as the server's own user.
func (m *Manager) consent(id string, j *job, s *server) (string, error) {
	if k := kindOf(j, s); !k.Ambient {
		return "", errors.New("it cannot log in as the server's own user")
	}
	return m.change(id, j, s, "the user agreed to log in as the server's own user at ", func(c *choice) {
		c.Consented, c.login, c.Denied, c.Disabled = true, nil, false, false
	})
}

func kindOf(j *job, s *server) kit.Kind {
	switch {
	case j != nil:
		return j.kind
	case s != nil:
		return s.kind
	}
	return kit.Kind{}
}

// change changes how it logs in and makes it log in anew.
func (m *Manager) change(id string, j *job, s *server, said string, f func(*choice)) (string, error) {
	if !m.choices.change(id, f) {
		return "", fmt.Errorf("there are %d decisions already, the limit", maxChoices)
	}
	m.choices.save()
	m.choices.saveLogins()
	if j != nil {
		m.relogin(j)
	}
	if s != nil {
		s.shown = ""
	}
	return said + label(j, s, id), nil
}

// relogin makes a unit log in with what holds now.
func (m *Manager) relogin(j *job) {
	r := j.recipe()
	r.settings = m.choices.withLogin(j.kind, j.id, j.base)
	j.take(r, j.kind.Digest(m.key, r.settings, *m.shared.Load()))
	m.remake(j)
}
