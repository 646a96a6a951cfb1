package integrations

import (
	"slices"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// maxChoices bounds what is remembered.
const maxChoices = 1000

// choice is what the user said of one integration.
type choice struct {
	Denied, Pinned, Consented bool // remembered
	Enabled, Disabled         bool // until vitals ends
	login                     *core.Login
}

// choices are those of all, by unit id. They belong to Manager.mu.
type choices struct {
	byID  map[string]choice
	off   map[string]bool // switched off in the configuration
	store Store
	vault Store
	tell  func(what string, err error)
}

// memory is the form in which choices are kept.
type memory struct {
	Version   int      `json:"version"`
	Denied    []string `json:"denied,omitempty"`
	Pinned    []string `json:"pinned,omitempty"`
	Consented []string `json:"consented,omitempty"`
}

// vaulted is the form in which logins are kept.
type vaulted struct {
	Version int                   `json:"version"`
	Logins  map[string]vaultLogin `json:"logins"`
}

type vaultLogin struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

func (c *choices) load(cfg Config, tell func(string, error)) {
	c.byID, c.store, c.vault, c.tell = map[string]choice{}, cfg.Memory, cfg.Vault, tell
	var kept memory
	if c.store != nil {
		if err := c.store.Load(&kept); err != nil {
			tell("what was decided about integrations was not read, starting fresh", err)
		}
	}
	each := func(ids []string, f func(*choice)) {
		for _, id := range ids[:min(len(ids), maxChoices)] {
			if id == core.Clean(id, core.MaxCmdline) {
				c.change(id, f)
			}
		}
	}
	each(kept.Denied, func(k *choice) { k.Denied = true })
	each(kept.Pinned, func(k *choice) { k.Pinned = true })
	each(kept.Consented, func(k *choice) { k.Consented = true })
	var logins vaulted
	if c.vault != nil {
		if err := c.vault.Load(&logins); err != nil {
			tell("the logins that were kept were not read", err)
		}
	}
	for id, l := range logins.Logins {
		if len(c.byID) < maxChoices {
			c.change(id, func(k *choice) {
				k.login = &core.Login{User: l.User, Password: core.Secret(l.Password), Keep: true}
			})
		}
	}
}

func (c *choices) of(id string) choice { return c.byID[id] }

// change changes what is remembered of one; false when there is no room for more.
func (c *choices) change(id string, f func(*choice)) bool {
	k, known := c.byID[id]
	if !known && len(c.byID) >= maxChoices {
		return false
	}
	f(&k)
	if k == (choice{}) {
		delete(c.byID, id)
	} else {
		c.byID[id] = k
	}
	return true
}

// save writes what shall survive.
func (c *choices) save() {
	if c.store == nil {
		return
	}
	kept := memory{Version: 1}
	for id, k := range c.byID {
		if k.Denied {
			kept.Denied = append(kept.Denied, id)
		}
		if k.Pinned {
			kept.Pinned = append(kept.Pinned, id)
		}
		if k.Consented {
			kept.Consented = append(kept.Consented, id)
		}
	}
	for _, ids := range [][]string{kept.Denied, kept.Pinned, kept.Consented} {
		slices.Sort(ids)
	}
	if err := c.store.Save(kept); err != nil {
		c.tell("what was decided about integrations could not be kept for the next run", err)
	}
}

// saveLogins writes the logins that shall survive.
func (c *choices) saveLogins() {
	if c.vault == nil {
		return
	}
	kept := vaulted{Version: 1, Logins: map[string]vaultLogin{}}
	for id, k := range c.byID {
		if k.login != nil && k.login.Keep {
			kept.Logins[id] = vaultLogin{User: k.login.User, Password: string(k.login.Password)}
		}
	}
	if err := c.vault.Save(kept); err != nil {
		c.tell("the login could not be kept for the next run", err)
	}
}

// configured notes which integrations the configuration switches off.
func (c *choices) configured(entries []entry) {
	c.off = map[string]bool{}
	for _, e := range entries {
		if e.off && e.name != "" {
			c.off[e.id()] = true
		}
	}
}

// withLogin returns settings with what the user entered or agreed to.
func (c *choices) withLogin(k kit.Kind, id string, settings any) any {
	is := c.byID[id]
	if is.login == nil && !is.Consented {
		return settings
	}
	out, _ := k.WithLogin(settings, func(l *kit.Login) {
		l.Ambient = l.Ambient || is.Consented
		if is.login != nil {
			l.User, l.Password, l.Ambient = is.login.User, kit.Plain(string(is.login.Password)), false
		}
	})
	return out
}
