package integrations

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

func TestG31_ApplyNeverWaitsForARunner(t *testing.T) {
	f := &fake{}
	m := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Shared: kit.Shared{Instance: "box"}})
	done := make(chan []Result, 1)
	go func() {
		m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "a"})}}) // before Run
		m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "b"})}})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.Run(ctx)
		done <- m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "c"})}}) // after its end
	}()
	select {
	case r := <-done:
		if change(r, "integration/fake/c:7") != Added || len(m.Specs()) != 1 {
			t.Errorf("%+v %+v", r, m.Specs())
		}
	case <-time.After(patience):
		t.Fatal("Apply hangs")
	}
}

func TestG32_WhatIsRemovedStops(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}), section("fake", fakeSettings{Address: "b"}))
	w.untilRuns(idA)
	w.untilRuns(idB)
	if c := change(w.use(section("fake", fakeSettings{Address: "b"})), idA); c != Removed {
		t.Errorf("change is %q", c)
	}
	w.until("the row and the unit are gone", func() bool { return w.row(idA).ID == "" && w.unit(idA).ID == "" })
	w.stop()
	f.locked(func() {
		if f.live != 0 || f.opened != f.closed {
			t.Errorf("G33: %d collectors live, %d opened, %d closed", f.live, f.opened, f.closed)
		}
	})
}

func TestG62_NothingOfASecretIsTold(t *testing.T) {
	f := &fake{collect: func(_ context.Context, s fakeSettings, _ *kit.Batch) error {
		p, _ := s.Password.Read(context.Background())
		return fmt.Errorf("connect http://me:%s@db/: password %s is wrong\x1b[31m: %w", p, p, kit.ErrCredentials)
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Login: kit.Login{Password: kit.Plain("hunter22")}}))
	w.untilState(idA, core.IntegrationFailed)
	w.until("the back-off is told", func() bool { return w.unit(idA).Phase == core.PhaseBackoff })
	if all := w.everything(); strings.Contains(all, "hunter22") || strings.Contains(all, "\x1b") {
		t.Errorf("the secret or an escape is in %s", all)
	}
}

func TestG63_BuildingHasNoSideEffects(t *testing.T) {
	f := &fake{}
	m := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Shared: kit.Shared{Instance: "box"}})
	m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "a"})}})
	for range 2 {
		if _, err := m.Specs()[0].Make(); err != nil {
			t.Fatal(err)
		}
	}
	if f.asked != 0 || f.live != 0 {
		t.Error("building asked the server")
	}
}

func TestG64_AnIdentityThatCannotBeIsAnErrorOfThatOneAlone(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Identity = func(s fakeSettings) string { return strings.TrimSuffix(s.Address, "x:7") }
	}))
	results := w.use(section("fake", fakeSettings{Address: "x"}), section("fake", fakeSettings{Address: strings.Repeat("y", 200)}))
	if change(results, "integration/fake/box") != Added {
		t.Errorf("the agent does not name what has no name: %+v", results)
	}
	bad := 0
	for _, r := range results {
		if r.Err != nil {
			bad++
		}
	}
	if bad != 1 {
		t.Errorf("%d errors: %+v", bad, results)
	}
}

func TestG70_NeedsRemakeIsKnownThroughWrapping(t *testing.T) {
	if err := fmt.Errorf("a: %w", fmt.Errorf("b: %w", kit.ErrNeedsRemake)); !errors.Is(err, kit.ErrNeedsRemake) {
		t.Error("it is not")
	}
}

func TestG71_AKindMayCallSettingsEqual(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Equal = func(a, b fakeSettings) bool { return a.Value/10 == b.Value/10 }
	}))
	w.use(section("fake", fakeSettings{Address: "a", Value: 11}))
	w.untilRuns(idA)
	if c := change(w.use(section("fake", fakeSettings{Address: "a", Value: 12})), idA); c != Unchanged {
		t.Errorf("what the kind calls equal is %q", c)
	}
	if c := change(w.use(section("fake", fakeSettings{Address: "a", Value: 25})), idA); c != Remade {
		t.Errorf("what the kind calls different is %q", c)
	}
}

func TestG07_KindsAreFreshEachTime(t *testing.T) {
	for i, k := range Kinds() {
		for _, list := range [][]string{k.Signs.Executables, k.Signs.Sockets, k.Signs.Protocols} {
			for n := range list {
				list[n] = "changed"
			}
		}
		again := Kinds()[i]
		for _, list := range [][]string{again.Signs.Executables, again.Signs.Sockets, again.Signs.Protocols} {
			for _, s := range list {
				if s == "changed" {
					t.Errorf("%s: what one caller changes the next one sees", k.Name)
				}
			}
		}
		a, _ := k.Parse(func(any) error { return nil })
		b, _ := again.Parse(func(any) error { return nil })
		if k.Digest(nil, a, kit.Shared{}) != again.Digest(nil, b, kit.Shared{}) {
			t.Errorf("%s: its defaults differ from call to call", k.Name)
		}
	}
}

func TestG33_TheEndWaitsForAll(t *testing.T) {
	before := runtime.NumGoroutine()
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	var sections []Section
	for i := range 20 {
		sections = append(sections, section("fake", fakeSettings{Address: fmt.Sprintf("h%d", i)}))
	}
	w.use(sections...)
	w.until("all run", func() (ok bool) { f.locked(func() { ok = f.live == 20 }); return })
	w.stop()
	f.locked(func() {
		if f.live != 0 || f.opened != f.closed {
			t.Errorf("%d live, %d opened, %d closed", f.live, f.opened, f.closed)
		}
	})
	w.until("no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestG59_WithoutIntegrationsNothingRuns(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	w.use()
	w.until("all is closed", func() (ok bool) { f.locked(func() { ok = f.live == 0 && f.opened == f.closed }); return })
	asked := f.seen().asked
	time.Sleep(30 * time.Millisecond)
	f.locked(func() {
		if f.asked != asked {
			t.Error("it is still asked")
		}
	})
}

func TestG60_OnAndOffAndOn(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	yes, no := true, false
	on, off := section("fake", fakeSettings{Address: "a"}).with(Common{Enabled: &yes}), section("fake", fakeSettings{Address: "a"}).with(Common{Enabled: &no})
	for range 2 {
		w.use(on)
		w.untilRuns(idA)
		if c := change(w.use(off), idA); c != Removed {
			t.Errorf("switched off it is %q", c)
		}
		w.until("it stopped", func() bool { return w.unit(idA).ID == "" })
	}
	targets := func() core.Target {
		_, u, _ := w.sup.Lookup(idA)
		return u.(core.Scrapeable).Targets()[0]
	}
	w.use(on)
	w.untilRuns(idA)
	if targets().Manual {
		t.Error("it is not to be scraped though nobody said so")
	}
	if c := change(w.set(Settings{NoScrape: true, Sections: []Section{on}}), idA); c != Updated || !targets().Manual {
		t.Errorf("switched off for all it is %q, %+v", c, targets())
	}
	if c := change(w.set(Settings{NoScrape: true, Sections: []Section{section("fake", fakeSettings{Address: "a"}).with(Common{Scrape: &yes})}}), idA); c != Updated || targets().Manual {
		t.Errorf("its own setting does not win: %q, %+v", c, targets())
	}
	if w.unit(idA).Tries != 1 {
		t.Error("scrape settings restarted it")
	}
}

func TestG65_TheBaseURLIsACopyAndMayBeAbsent(t *testing.T) {
	f := &fake{}
	base, _ := url.Parse("http://box:1/x")
	m := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Shared: kit.Shared{Instance: "box", BaseURL: base}})
	m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "a"})}})
	f.shared.BaseURL.Host = "changed"
	if _, err := m.Specs()[0].Make(); err != nil || f.shared.BaseURL.Host != "box:1" || base.Host != "box:1" {
		t.Errorf("%v, %v, %v", f.shared.BaseURL, base, err)
	}
	m.Share(kit.Shared{Instance: "box"})
	if _, err := m.Specs()[0].Make(); err != nil || f.shared.BaseURL != nil {
		t.Errorf("%v, %v", f.shared.BaseURL, err)
	}
}

func TestG69_IntervalAndTimeoutAreTheirOwnOrThoseOfAll(t *testing.T) {
	k := (&fake{}).kind("fake", func(d *kit.Definition[fakeSettings]) { d.Interval = 40 * time.Second })
	for _, c := range []struct {
		all  Settings
		own  Common
		want options
	}{
		{Settings{}, Common{}, options{Interval: 40 * time.Second, Timeout: 5 * time.Second}},
		{Settings{Interval: 2 * time.Second}, Common{}, options{Interval: 2 * time.Second, Timeout: 2 * time.Second}},
		{Settings{Interval: 2 * time.Second, Timeout: time.Second}, Common{Interval: time.Minute}, options{Interval: time.Minute, Timeout: time.Second}},
		{Settings{}, Common{Timeout: 20 * time.Second}, options{Interval: 40 * time.Second, Timeout: 20 * time.Second}},
	} {
		got := c.all.options(k, c.own)
		c.want.Scrape, c.want.ownInterval, c.want.ownTimeout = true, c.own.Interval, c.own.Timeout
		if !got.equal(c.want) {
			t.Errorf("%+v %+v: %+v, want %+v", c.all, c.own, got, c.want)
		}
	}
}
