package integrations

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

func TestG25_WhatFailsIsTriedAgainLaterAndSaysWhen(t *testing.T) {
	f := &fake{collect: func(context.Context, fakeSettings, *kit.Batch) error { return errors.New("connection refused") }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.until("attempts are counted", func() bool { u := w.unit(idA); return u.Phase == core.PhaseBackoff && u.Attempts >= 3 })
	if r := w.untilState(idA, core.IntegrationFailed); !strings.Contains(r.Message, "connection refused") || r.Needs != core.NeedsTime || r.Families != nil {
		t.Errorf("%+v", r)
	}
	w.until("the next try is told", func() bool { return !w.row(idA).NextRun.IsZero() })
	f.locked(func() { f.collect = nil })
	r := w.untilRuns(idA)
	if r.Message != "" || r.Failures == 0 {
		t.Errorf("after it came back: %+v", r)
	}
	if n := f.seen().maxLive; n != 1 {
		t.Errorf("%d connections at a time", n)
	}
}

func TestG26_ThreeFailuresInARowEndARunAndOneDoesNot(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.untilRuns(idA)
	w.m.mu.Lock()
	u := w.m.jobs[idA].running()
	w.m.mu.Unlock()
	failed := 0 // before it was closed for it
	f.locked(func() {
		closed := f.closed
		f.collect = func(context.Context, fakeSettings, *kit.Batch) error {
			f.locked(func() {
				if f.closed == closed {
					failed++
				}
			})
			return errors.New("reset")
		}
	})
	w.until("the unit stopped", func() bool { u.soon(); return w.unit(idA).Failures >= 1 })
	f.locked(func() {
		if failed != failuresInARow {
			t.Errorf("it ended after %d failures", failed)
		}
	})
	for n := uint64(1); n < failuresInARow; n++ {
		r := w.untilTold(idA, func(r core.IntegrationRow) bool { return r.Failures == n })
		if r.Health != core.HealthRecovering {
			t.Errorf("after %d failures it is %s", n, r.Health)
		}
		if r.Families != nil || r.Figures != nil {
			t.Error("figures that are not true any more are still shown")
		}
	}
}

func TestG27_APanicIsThatOfOneUnit(t *testing.T) {
	f := &fake{collect: func(_ context.Context, s fakeSettings, _ *kit.Batch) error {
		if s.Value == 13 {
			panic("boom")
		}
		return nil
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 13}), section("fake", fakeSettings{Address: "b"}))
	w.untilRuns(idB)
	r := w.untilState(idA, core.IntegrationFailed)
	if !strings.Contains(r.Message, "boom") {
		t.Errorf("%q", r.Message)
	}
}

func TestG27_APanicWhileOpeningIsAnErrorOfThatOne(t *testing.T) {
	f := &fake{open: func(fakeSettings) error { panic("boom") }}
	w := newWorld(t, nil, f.kind("fake", nil))
	if err := failure(w.use(section("fake", fakeSettings{Address: "a"})), idA); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("%v", err)
	}
}

func TestG28_AContextThatEndsIsNoFailure(t *testing.T) {
	f := &fake{collect: func(ctx context.Context, s fakeSettings, _ *kit.Batch) error {
		if s.Value == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}).with(Common{Timeout: time.Minute, Interval: time.Hour}))
	w.until("it is asked", func() bool { return f.seen().asked > 0 })
	w.use()
	w.until("it is gone", func() bool { return w.unit(idA).ID == "" })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Unit == idA && e.Error != "" {
			t.Errorf("its end is told as an error: %+v", e)
		}
	}
}

func TestG30_WhatDoesNotStopIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := &fake{collect: func(_ context.Context, s fakeSettings, _ *kit.Batch) error {
		if s.Address == "a:7" {
			<-release // deaf to everything
		}
		return nil
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}).with(Common{Timeout: 20 * time.Millisecond, Interval: time.Second}), section("fake", fakeSettings{Address: "b"}))
	w.untilRuns(idB)
	r := w.untilState(idA, core.IntegrationFailed)
	if !strings.Contains(r.Message, "did not") {
		t.Errorf("%q", r.Message)
	}
	w.use(section("fake", fakeSettings{Address: "b"}))
	w.until("it is gone in spite of that", func() bool { return w.unit(idA).ID == "" })
}

// A collector that had to be closed is not asked again: a new one is.
func TestG30_WhatWasCutOffIsMadeAnew(t *testing.T) {
	var rounds atomic.Int32
	f := &fake{}
	f.collect = func(_ context.Context, _ fakeSettings, b *kit.Batch) error {
		if rounds.Add(1) == 2 { // deaf to its deadline, but not for ever
			for end := time.Now().Add(patience); f.seen().closed < 2 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}).with(Common{Timeout: 20 * time.Millisecond, Interval: time.Second}))
	w.until("it was asked again", func() bool { return rounds.Load() >= 3 })
	f.locked(func() {
		if f.closed != 2 { // that of the look at the settings, and the one that was cut off
			t.Errorf("%d collectors were closed before the third round, want 2", f.closed)
		}
		if f.opened != 3 {
			t.Errorf("%d collectors were opened, want 3", f.opened)
		}
	})
}

func TestG34_WhatEndedByItselfIsFreedAndAReloadStartsIt(t *testing.T) {
	f := &fake{collect: func(_ context.Context, s fakeSettings, _ *kit.Batch) error {
		if s.Value == 1 {
			return errors.New("no")
		}
		return nil
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 1}))
	w.until("it ended and was closed", func() (ok bool) {
		f.locked(func() { ok = f.asked > 0 && f.live == 0 })
		return
	})
	w.use(section("fake", fakeSettings{Address: "a", Value: 2}))
	w.untilRuns(idA)
}

func TestG37_RunningMeansThatItWasUseful(t *testing.T) {
	hold := make(chan struct{})
	f := &fake{collect: func(ctx context.Context, _ fakeSettings, _ *kit.Batch) error {
		select {
		case <-hold:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.until("it is asked", func() bool { return f.seen().asked > 0 })
	if p := w.unit(idA).Phase; p == core.PhaseRunning {
		t.Error("it is running before it told anything")
	}
	if h := w.row(idA).Health; h == core.HealthOK {
		t.Error("it is well before it told anything")
	}
	close(hold)
	w.until("it runs", func() bool { return w.unit(idA).Phase == core.PhaseRunning })
}

func TestG57_TheFirstCollectionIsAtOnce(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}).with(Common{Interval: time.Hour}))
	w.untilRuns(idA)
}

func TestG61_FailuresAreCountedByIntegration(t *testing.T) {
	f := &fake{collect: func(context.Context, fakeSettings, *kit.Batch) error { return errors.New("no") }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.until("failures are counted", func() bool { return w.unit(idA).Failures >= 2 && w.row(idA).Failures >= 2 })
}

func TestG68_TargetsAreThereBeforeItRuns(t *testing.T) {
	f := &fake{}
	m := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Shared: kit.Shared{Instance: "box"}})
	no := false
	m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "a"}).with(Common{Scrape: &no, Labels: map[string]string{"team": "x"}}), section("fake", fakeSettings{Address: "b"})}})
	for i, s := range m.Specs() {
		u, err := s.Make()
		if err != nil {
			t.Fatal(err)
		}
		targets := u.(core.Scrapeable).Targets()
		if len(targets) != 1 || targets[0].Manual != (i == 0) || (targets[0].Labels["team"] == "x") != (i == 0) {
			t.Errorf("G69: %s has %+v", s.ID, targets)
		}
	}
}

func TestRefusedLoginsAreNotRepeatedSoon(t *testing.T) {
	f := &fake{collect: func(context.Context, fakeSettings, *kit.Batch) error {
		return fmt.Errorf("log in: %w", kit.ErrCredentials)
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	w.until("it waits", func() bool { return w.unit(idA).Phase == core.PhaseBackoff })
	time.Sleep(150 * time.Millisecond)
	u := w.unit(idA)
	f.locked(func() {
		if f.asked != 1 {
			t.Errorf("asked %d times", f.asked)
		}
	})
	if wait := time.Until(u.NextTry); wait < 50*time.Second || wait > 70*time.Second {
		t.Errorf("the next try is in %v", wait)
	}
	if r := w.row(idA); r.Needs != core.NeedsLogin || r.Grants == "" {
		t.Errorf("%+v", r)
	}
	f.locked(func() { f.collect = nil })
	w.use(section("fake", fakeSettings{Address: "a", Login: kit.Login{Password: kit.Plain("right")}}))
	w.untilRuns(idA) // at once, not after the minute
}

func TestFiguresFollowFromFamilies(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a", Value: 5}))
	r := w.untilTold(idA, func(r core.IntegrationRow) bool { return r.Runs == 1 })
	if len(r.Figures) != 2 || r.Figures[0].V != 5 || !math.IsNaN(r.Figures[1].V) {
		t.Fatalf("%+v", r.Figures)
	}
	if r.Series != 2 || len(r.Families) != 2 || r.Families[1].Name != "fake_value" {
		t.Errorf("%+v", r)
	}
	w.m.Submit(core.Intent{Op: core.IntentIntegrationRun, Unit: idA})
	r = w.untilTold(idA, func(r core.IntegrationRow) bool { return r.Runs == 2 })
	if rate := r.Figures[1].V; !(rate > 0) || len(r.Figures[0].Trend.Points) != 2 {
		t.Errorf("rate %v, trend %+v", rate, r.Figures[0].Trend)
	}
}

func TestHealthIsCheckedByWork(t *testing.T) {
	f := &fake{}
	m := New(Config{Kinds: []kit.Kind{f.kind("fake", nil)}, Shared: kit.Shared{Instance: "box"}})
	m.Apply(Settings{Sections: []Section{section("fake", fakeSettings{Address: "a"})}})
	made, err := m.Specs()[0].Make()
	if err != nil {
		t.Fatal(err)
	}
	u := made.(*unit)
	got, err := u.CheckHealth(t.Context(), core.CheckRequest{}) // of a spec that does not run
	if err != nil || got.Status != core.StatusOK || f.asked != 1 {
		t.Errorf("%+v %v after %d questions", got, err, f.asked)
	}
	if got, err = u.CheckHealth(t.Context(), core.CheckRequest{}); err != nil || got.Status != core.StatusOK || f.asked != 1 {
		t.Errorf("what was just asked is asked again: %+v %v %d", got, err, f.asked)
	}
	families, err := u.Collect(t.Context(), core.CheckRequest{})
	if err != nil || len(families) != 2 || f.asked != 1 {
		t.Errorf("%d families, %v", len(families), err)
	}
	u.Detach(t.Context())
	if _, err = u.CheckHealth(t.Context(), core.CheckRequest{}); err == nil {
		t.Error("a unit that was detached is well")
	}
}

func TestMissingPartsDegrade(t *testing.T) {
	f := &fake{collect: func(_ context.Context, _ fakeSettings, b *kit.Batch) error {
		b.Missing("slowlog", errors.New("no permission"))
		return nil
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}))
	r := w.untilRuns(idA)
	if r.Health != core.HealthDegraded || len(r.Missing) != 1 || r.Missing[0] != "slowlog: no permission" || r.Series != 2 {
		t.Errorf("%+v", r)
	}
}

// What a collector says when it is stopped, whatever it is, is no failure.
func TestG29_TheEndOfAContextIsHiddenWhateverItIsCalled(t *testing.T) {
	f := &fake{collect: func(ctx context.Context, _ fakeSettings, _ *kit.Batch) error {
		<-ctx.Done()
		return errors.New("driver: bad connection: operation was canceled")
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "a"}).with(Common{Timeout: time.Minute, Interval: time.Hour}))
	w.until("it is asked", func() bool { return f.seen().asked > 0 })
	w.use()
	w.until("it is gone", func() bool { return w.unit(idA).ID == "" })
	if w.said("bad connection") {
		t.Error("its end is told as a failure")
	}
}

func BenchmarkRound(b *testing.B) {
	m := &kit.Metric{Name: "bench_value", Help: "a value", Kind: core.Counter, Labels: []string{"db", "table"}}
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprintf("table_%03d", i)
	}
	f := figures{of: []kit.Figure{{Title: "a", Of: kit.PerSecond("bench_value")}, {Title: "b", Of: kit.Level("bench_value", "table", "table_007")}}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch := kit.NewBatch(time.Unix(int64(i), 0), 0, 8)
		for _, n := range names {
			batch.Add(m, float64(i), "db0", n)
		}
		if r := batch.Done(); r.Series != 500 || len(f.take(r, time.Second)) != 2 {
			b.Fatal("not all series")
		}
	}
}

func TestFilesWithSecretsThatOthersCanReadAreTold(t *testing.T) {
	dir := t.TempDir()
	open, shut, config := filepath.Join(dir, "open"), filepath.Join(dir, "shut"), filepath.Join(dir, "config.yaml")
	for file, mode := range map[string]os.FileMode{open: 0o644, shut: 0o600, config: 0o640} {
		if err := os.WriteFile(file, []byte("pw"), mode); err != nil {
			t.Fatal(err)
		}
	}
	with := func(text string) Section {
		var s kit.Secret
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return section("fake", fakeSettings{Address: filepath.Base(text), Login: kit.Login{Password: s}})
	}
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.set(Settings{File: config, Sections: []Section{with("file:" + open), with("file:" + shut)}})
	if !w.said(open+" can be read") || w.said(shut) || w.said(config) {
		t.Errorf("%+v", w.events)
	}
	w.set(Settings{File: config, Sections: []Section{with("literal")}})
	if !w.said(config + " can be read") {
		t.Errorf("%+v", w.events)
	}
}

func TestAFigureThatPanicsIsUnknown(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Figures = []kit.Figure{{Title: "bad", Of: func(kit.Reading) float64 { panic("boom") }}, {Title: "none", Of: kit.Share("x", "x")}, {Title: "good", Of: kit.Level("fake_value")}}
	}))
	w.use(section("fake", fakeSettings{Address: "a", Value: 3}))
	if r := w.untilRuns(idA); !math.IsNaN(r.Figures[0].V) || !math.IsNaN(r.Figures[1].V) || r.Figures[2].V != 3 {
		t.Errorf("%+v", r.Figures)
	}
}

// What it costs that one of a thousand processes that listen changes.
func BenchmarkOneOfAThousandChanges(b *testing.B) {
	m := New(Config{Kinds: Kinds(), Shared: kit.Shared{Instance: "box"}})
	procs := make([]*core.Process, 1000)
	for i := range procs {
		procs[i] = proc(int32(i+100000), fmt.Sprintf("service-%d", i), fmt.Sprintf("tcp 127.0.0.1:%d", i+10000))
		m.ProcessUp(procs[i])
	}
	m.in.take(m, time.Now())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := *procs[i%1000]
		p.Cmdline = fmt.Sprint(i)
		m.ProcessChanged(&p)
		m.in.take(m, time.Now())
		m.look(b.Context(), time.Now(), nil)
	}
}
