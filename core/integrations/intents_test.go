package integrations

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"vitals/core"
	"vitals/core/integrations/kit"
)

func TestIntentsThatCannotBe(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) { d.Ambient = false }))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	for op, why := range map[core.IntentOp]string{
		core.IntentIntegrationDeny: "it is in the configuration", core.IntentIntegrationConsent: "cannot log in as",
		core.IntentIntegrationLogin: "there is no login", "integration-x": "is not known",
	} {
		w.m.Submit(core.Intent{Op: op, Unit: idA})
		w.until(why, func() bool { return w.said(why) })
	}
	w.m.Submit(core.Intent{Op: core.IntentIntegrationRun, Unit: "integration/x/\x1b[2J"})
	w.until("an unknown one", func() bool { return w.said("there is no integration") && !w.said("\x1b") })
}

func TestLoginsAreKeptOnlyWhenAsked(t *testing.T) {
	vault := newStore(t)
	f := &fake{}
	w := newWorld(t, func(c *Config) { c.Vault = vault }, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}), section("fake", fakeSettings{Address: "b"}))
	w.untilRuns(idA)
	w.untilRuns(idB)
	for id, keep := range map[string]bool{idA: true, idB: false} {
		w.m.Submit(core.Intent{Op: core.IntentIntegrationLogin, Unit: id, Login: &core.Login{User: "me", Password: "pw-" + core.Secret(id), Keep: keep}})
		w.until("it logs in", func() bool {
			return w.said("a login was entered for Fake at " + strings.TrimPrefix(id, "integration/fake/"))
		})
	}
	w.stop()
	again := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Vault: vault, Shared: kit.Shared{Instance: "box"}})
	if l := again.choices.of(idA).login; l == nil || l.Password != "pw-"+idA {
		t.Errorf("what was to be kept is %v", l)
	}
	if again.choices.of(idB).login != nil {
		t.Error("what was not to be kept was kept")
	}
}

// store keeps what is saved in a file.
type store struct{ file string }

func newStore(t *testing.T) store { return store{filepath.Join(t.TempDir(), "state.json")} }

func (s store) Load(into any) error {
	err := loadJSON(s.file, into)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s store) Save(from any) error { return saveJSON(s.file, from) }
