package integrations

import (
	"os"
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
	vault := &memStore{}
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

// memStore keeps what is saved as a file would.
type memStore struct{ file string }

func (m *memStore) Load(into any) error {
	if m.file == "" {
		return nil
	}
	return loadJSON(m.file, into)
}

func (m *memStore) Save(from any) error {
	if m.file == "" {
		dir, err := os.MkdirTemp("", "vitals-test-*")
		if err != nil {
			return err
		}
		m.file = filepath.Join(dir, "state.json")
	}
	return saveJSON(m.file, from)
}
