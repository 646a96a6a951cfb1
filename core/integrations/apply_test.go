package integrations

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

const (
	idA = "integration/fake/a:7"
	idB = "integration/fake/b:7"
)

func TestG01_KindsAndNamesCoexist(t *testing.T) {
	f, g := &fake{}, &fake{}
	w := newWorld(t, nil, f.kind("fake", nil), g.kind("other", nil))
	w.use(section("fake", fakeSettings{Address: "a"}), section("other", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	w.untilRuns("integration/other/a:7")
}

func TestG02_SameKindWithAnotherNameCoexists(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}), section("fake", fakeSettings{Address: "b"}))
	w.untilRuns(idA)
	w.untilRuns(idB)
}

func TestG03_TheSameNameTwiceIsRefusedAndBothAreNamed(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	one, two := section("fake", fakeSettings{Address: "a"}), section("fake", fakeSettings{Address: "a", Value: 1})
	two.Where = "line 9"
	results := w.use(one, two, section("fake", fakeSettings{Address: "b"}))
	err := failure(results, idA)
	if err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "line 9") || !strings.Contains(err.Error(), "a:7") {
		t.Errorf("%v", err)
	}
	w.untilRuns(idB)
	if r := w.row(idA); r.State != core.IntegrationFailed || r.Message == "" {
		t.Errorf("the row of what was refused: %+v", r)
	}
}

func TestG04_ASingletonGivenTwiceIsRefused(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) { d.Singleton = true }))
	results := w.use(section("fake", fakeSettings{Address: "a"}), section("fake", fakeSettings{Address: "b"}))
	for _, id := range []string{idA, idB} {
		if err := failure(results, id); err == nil || !strings.Contains(err.Error(), "may only be defined once") {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestG05_EveryOffenderIsNamed(t *testing.T) {
	f := &fake{}
	only := func(d *kit.Definition[fakeSettings]) { d.Singleton = true }
	w := newWorld(t, nil, f.kind("fake", only), f.kind("other", only))
	var sections []Section
	for _, kind := range []string{"fake", "other"} {
		sections = append(sections, section(kind, fakeSettings{Address: "a"}), section(kind, fakeSettings{Address: "b"}))
	}
	refused := 0
	for _, r := range w.use(sections...) {
		if r.Err != nil {
			refused++
		}
	}
	if refused != 4 {
		t.Errorf("%d of 4 are named", refused)
	}
}

func TestG06_TwoKindsOfOneNamePanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f := &fake{}
	New(Config{Kinds: []kit.Kind{f.kind("fake", nil), f.kind("fake", nil)}})
}

func TestG08_OnlyKindsThatAreConfiguredAreBuilt(t *testing.T) {
	f, g := &fake{}, &fake{}
	w := newWorld(t, nil, f.kind("fake", nil), g.kind("other", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	if g.seen().opened != 0 {
		t.Error("a kind that nobody configured was opened")
	}
}

func TestG09_DefaultsSurvive(t *testing.T) {
	f := &fake{}
	k := f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Defaults = func() fakeSettings { return fakeSettings{Value: 42} }
	})
	w := newWorld(t, nil, k)
	w.use(Section{Kind: "fake", Decode: func(into any) error { into.(*fakeSettings).Address = "a"; return nil }})
	w.untilRuns(idA)
	f.locked(func() {
		if f.last.Value != 42 {
			t.Errorf("the default is %d", f.last.Value)
		}
	})
}

func TestG10_AnUnknownKindIsOneErrorThatNamesIt(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	results := w.use(section("fkae", fakeSettings{}), section("fake", fakeSettings{Address: "a"}))
	if results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "fkae") || !strings.Contains(results[0].Err.Error(), "fake") {
		t.Errorf("%v", results[0].Err)
	}
	w.untilRuns(idA)
}

func TestG15_WhatIsAppliedRunsOnce(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	began := time.Now()
	if c := change(w.use(section("fake", fakeSettings{Address: "a"})), idA); c != Added {
		t.Errorf("change is %q", c)
	}
	w.untilRuns(idA)
	time.Sleep(50 * time.Millisecond)
	seen := f.seen()
	if most := 1 + int(time.Since(began)/secondRound); seen.asked > most || seen.maxLive != 1 || seen.opened != 2 { // once for the look at its settings
		t.Errorf("asked %d times by %d collectors of %d, want at most %d", seen.asked, seen.maxLive, seen.opened, most)
	}
}

func TestG16_WhatIsEqualIsNotRestarted(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	s := section("fake", fakeSettings{Address: "a", Login: kit.Login{Password: kit.Plain("x")}})
	w.use(s)
	w.until("its unit runs", func() bool { return w.unit(idA).Phase == core.PhaseRunning })
	since := w.unit(idA).Since
	for range 3 {
		if c := change(w.use(s), idA); c != Unchanged {
			t.Errorf("change is %q", c)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if u := w.unit(idA); u.Tries != 1 || u.Since != since {
		t.Errorf("it was restarted: %+v", u)
	}
}

func TestG17_WhatCannotBeUpdatedIsMadeAnewAfterTheOldOneStopped(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) { d.Update = nil }))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}))
	w.untilRuns(idA)
	if c := change(w.use(section("fake", fakeSettings{Address: "a", Value: 2})), idA); c != Remade {
		t.Errorf("change is %q", c)
	}
	w.until("the new settings are used", func() (ok bool) { f.locked(func() { ok = f.last.Value == 2 }); return })
	f.locked(func() {
		if f.maxLive != 1 {
			t.Errorf("G19: %d collectors were at it at a time", f.maxLive)
		}
	})
	if u := w.unit(idA); u.Tries != 2 {
		t.Errorf("it was tried %d times", u.Tries)
	}
}

func TestG18_WhatCanBeUpdatedIsNotRestarted(t *testing.T) {
	f := &fake{update: func(fakeSettings) error { return nil }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}))
	w.untilRuns(idA)
	if c := change(w.use(section("fake", fakeSettings{Address: "a", Value: 2})), idA); c != Updated {
		t.Errorf("change is %q", c)
	}
	w.until("the new settings are used", func() (ok bool) { f.locked(func() { ok = f.last.Value == 2 }); return })
	if u, updated := w.unit(idA), f.seen().updated; u.Tries != 1 || updated != 1 {
		t.Errorf("tried %d times, updated %d times", u.Tries, updated)
	}
}

func TestG19_CannotLiveMeansRemake(t *testing.T) {
	f := &fake{update: func(fakeSettings) error { return fmt.Errorf("another host: %w", kit.ErrNeedsRemake) }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}))
	w.untilRuns(idA)
	if c := change(w.use(section("fake", fakeSettings{Address: "a", Value: 2})), idA); c != Remade {
		t.Errorf("change is %q", c)
	}
	w.until("the new settings are used", func() (ok bool) { f.locked(func() { ok = f.last.Value == 2 }); return })
	f.locked(func() {
		if f.maxLive != 1 {
			t.Errorf("the old one had not stopped before the new one began")
		}
	})
}

func TestG20_ARefusedUpdateLeavesTheOldSettings(t *testing.T) {
	f := &fake{update: func(fakeSettings) error { return errors.New("no such database") }}
	w := newWorld(t, nil, f.kind("fake", nil))
	a, b := section("fake", fakeSettings{Address: "a", Value: 1}), section("fake", fakeSettings{Address: "a", Value: 2})
	w.use(a)
	w.untilRuns(idA)
	results := w.use(b)
	if c, err := change(results, idA), failure(results, idA); c != Kept || err == nil || !strings.Contains(err.Error(), "no such database") {
		t.Errorf("change is %q: %v", c, err)
	}
	w.untilRow(idA, func(r core.IntegrationRow) bool { return strings.Contains(r.Message, "no such database") })
	if f.seen().last.Value != 1 || w.unit(idA).Tries != 1 {
		t.Error("the old settings do not run on")
	}
	if c := change(w.use(b), idA); c != Kept || f.seen().updated != 2 {
		t.Errorf("the same again is %q after %d updates: it must be tried again", c, f.seen().updated)
	}
	if c := change(w.use(a), idA); c != Unchanged {
		t.Errorf("back to what runs is %q", c)
	}
	w.untilRow(idA, func(r core.IntegrationRow) bool { return r.Message == "" && r.Health == core.HealthOK })
}

func TestG21_AfterABAItIsA(t *testing.T) {
	f := &fake{update: func(fakeSettings) error { return nil }}
	w := newWorld(t, nil, f.kind("fake", nil))
	for i, v := range []int{1, 2, 1, 1} {
		w.use(section("fake", fakeSettings{Address: "a", Value: v}))
		w.until(fmt.Sprintf("step %d: value %d", i, v), func() (ok bool) { f.locked(func() { ok = f.last.Value == v }); return })
		if i == 0 {
			w.untilRuns(idA)
		}
	}
	if n := f.seen().updated; n != 2 {
		t.Errorf("%d updates, want 2: B and A, and nothing for the second A", n)
	}
}

func TestG22_ASecretAloneIsApplied(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	with := func(p string) Section {
		return section("fake", fakeSettings{Address: "a", Login: kit.Login{User: "u", Password: kit.Plain(p)}})
	}
	w.use(with("old-secret"))
	w.untilRuns(idA)
	if c := change(w.use(with("new-secret")), idA); c != Remade {
		t.Errorf("change is %q", c)
	}
	w.until("the new secret is used", func() (ok bool) {
		f.locked(func() { s, _ := f.last.Password.Read(t.Context()); ok = s == "new-secret" })
		return
	})
}

func TestG23_SharedSettingsReachWhatIsEqual(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	s := section("fake", fakeSettings{Address: "a"})
	w.use(s)
	w.untilRuns(idA)
	base, _ := url.Parse("http://box:1")
	w.m.Share(kit.Shared{Instance: "box", BaseURL: base})
	if c := change(w.use(s), idA); c != Remade {
		t.Errorf("change is %q", c)
	}
	w.until("the base URL arrives", func() (ok bool) {
		f.locked(func() { ok = f.shared.BaseURL != nil && f.shared.BaseURL.Host == "box:1" })
		return
	})
	f.locked(func() { f.shared.BaseURL.Host = "changed" })
	if base.Host != "box:1" || w.m.sharedCopy().BaseURL.Host != "box:1" {
		t.Error("G65: the base URL is not a copy")
	}
	if c := change(w.set(Settings{Interval: 2 * time.Second, Sections: []Section{s}}), idA); c != Updated {
		t.Errorf("a new interval for all is %q", c)
	}
	w.untilRow(idA, func(r core.IntegrationRow) bool { return r.Interval == 2*time.Second })
}

func TestG24_ABadOneNeverBlocksTheGoodOrHalfApplies(t *testing.T) {
	f := &fake{open: func(s fakeSettings) error {
		if s.Value == 13 {
			return errors.New("cannot be built")
		}
		return nil
	}, update: func(fakeSettings) error { return nil }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}), section("fake", fakeSettings{Address: "b", Value: 1}))
	w.untilRuns(idA)
	w.untilRuns(idB)
	results := w.use(section("fake", fakeSettings{Address: "a", Value: 2}), section("fake", fakeSettings{Address: "b", Value: 13}),
		section("fake", fakeSettings{Address: "c", Value: -1}), section("fake", fakeSettings{Address: "d"}))
	for id, want := range map[string]Change{idA: Updated, idB: Kept, "integration/fake/c:7": Rejected, "integration/fake/d:7": Added} {
		if c := change(results, id); c != want {
			t.Errorf("%s is %q, want %q", id, c, want)
		}
	}
	w.untilRuns("integration/fake/d:7")
	if w.unit(idA).Tries != 1 || w.unit(idB).Tries != 1 {
		t.Error("what ran was restarted")
	}
	if w.unit("integration/fake/c:7").ID != "" {
		t.Error("what was rejected runs")
	}
}

// A section that is so wrong that it has no name must not end what it stood for.
func TestG24_ABrokenSectionKeepsWhatRan(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	results := w.use(section("fake", fakeSettings{Address: "a b"}))
	if len(results) != 1 || results[0].Err == nil {
		t.Errorf("%+v", results)
	}
	if u := w.unit(idA); u.Phase != core.PhaseRunning {
		t.Errorf("what ran is %s", u.Phase)
	}
}
