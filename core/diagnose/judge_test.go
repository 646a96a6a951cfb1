package diagnose

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

func health(unit string, status core.Status, level core.Health, since int) Health {
	return Health{Unit: unit, Status: status, Level: level, Phase: core.PhaseRunning, Since: time.Unix(int64(since), 0)}
}

func TestD20_WorstWins(t *testing.T) {
	order := []Health{ // from bad to good
		health("fatal", core.StatusError, core.HealthFatal, 1),
		health("permanent", core.StatusError, core.HealthPermanent, 9),
		health("error", core.StatusError, core.HealthRecovering, 9),
		health("unknown", core.StatusUnknown, core.HealthUnknown, 9),
		health("starting", core.StatusUnknown, core.HealthStarting, 9),
		health("degraded", core.StatusOK, core.HealthDegraded, 9),
	}
	for i := range order {
		for j := i + 1; j < len(order); j++ {
			if w := Worst(order[i], order[j]); w.Unit != order[i].Unit {
				t.Errorf("%s beats %s", w.Unit, order[i].Unit)
			}
			if w := Worst(order[j], order[i]); w.Unit != order[i].Unit {
				t.Errorf("%s beats %s", w.Unit, order[i].Unit)
			}
		}
	}
	a, b := health("a", core.StatusError, core.HealthRecovering, 1), health("b", core.StatusError, core.HealthRecovering, 2)
	if Worst(a, b).Unit != "b" || Worst(b, a).Unit != "b" {
		t.Error("among equals the newest wins")
	}
	b.Since = a.Since
	if Worst(a, b).Unit != "a" || Worst(b, a).Unit != "b" {
		t.Error("among equals of one age the first wins")
	}
}

func TestD20_SummaryJudgesWhatIsWanted(t *testing.T) {
	off := health("off", core.StatusUnknown, core.HealthStopped, 1)
	off.Phase = core.PhaseOff
	unsupported := health("unsupported", core.StatusUnknown, core.HealthUnknown, 1)
	unsupported.Phase = core.PhaseUnsupp
	good := health("good", core.StatusOK, core.HealthOK, 1)
	if s := Summarise([]Health{off, unsupported, good}); s.Status != core.StatusOK || len(s.Units) != 3 {
		t.Errorf("%+v", s)
	}
	if s := Summarise([]Health{off, unsupported}); s.Status != core.StatusUnknown {
		t.Errorf("%+v", s)
	}
	bad := health("bad", core.StatusError, core.HealthRecovering, 1)
	if s := Summarise([]Health{good, bad}); s.Status != core.StatusError || !strings.HasPrefix(s.Message, "bad:") {
		t.Errorf("%+v", s)
	}
}

func TestD21_RecoverableErrorsCountAsHealthyForAWhile(t *testing.T) {
	inLab(t, Config{}, finds(core.Healthy(""), nil), func(t *testing.T, l *lab, b *Board) {
		only(t, b) // it was well
		failing := phase(one, core.PhaseBackoff, core.HealthRecovering)
		failing.Attempts, failing.Message = 1, "connection refused"
		l.set(nil, failing)
		if h := only(t, b); h.Status != core.StatusOK || h.Level != core.HealthRecovering || h.Message != "connection refused" {
			t.Errorf("at once: %+v", h)
		}
		for range 7 { // it tries again and again
			time.Sleep(10 * time.Second)
			failing.Attempts++
			l.set(nil, failing)
			only(t, b)
		}
		if h := only(t, b); h.Status != core.StatusError || h.Level != core.HealthRecovering {
			t.Errorf("after a minute: %+v", h)
		}
		l.set(nil, running(one))
		if h := only(t, b); h.Status != core.StatusOK {
			t.Errorf("again well: %+v", h)
		}
	})
}

func TestD21_WhatNeverWorkedIsNotRecovering(t *testing.T) {
	inLab(t, Config{}, nil, func(t *testing.T, l *lab, b *Board) {
		failing := phase(one, core.PhaseBackoff, core.HealthRecovering)
		failing.Attempts = 1
		l.set(nil, failing)
		if h := only(t, b); h.Status != core.StatusError {
			t.Errorf("%+v", h)
		}
	})
}

func TestD22_LifecycleStatusesAreNotOK(t *testing.T) {
	for p, level := range map[core.Phase]core.Health{core.PhaseNew: core.HealthStarting, core.PhaseAttaching: core.HealthStarting,
		core.PhaseStarting: core.HealthStarting, core.PhaseDetaching: core.HealthStopped, core.PhaseOff: core.HealthStopped, core.PhaseGone: core.HealthStopped} {
		inLab(t, Config{}, finds(core.Healthy(""), nil), func(t *testing.T, l *lab, b *Board) {
			l.set(nil, phase(one, p, level))
			if h := only(t, b); h.Status != core.StatusUnknown || h.Level != level || h.Message == "" {
				t.Errorf("%s: %+v", p, h)
			}
		})
	}
	for p, level := range map[core.Phase]core.Health{core.PhaseFailed: core.HealthPermanent, core.PhaseStuck: core.HealthFatal} {
		inLab(t, Config{}, nil, func(t *testing.T, l *lab, b *Board) {
			l.set(nil, phase(one, p, level))
			if h := only(t, b); h.Status != core.StatusError || h.Level != level {
				t.Errorf("%s: %+v", p, h)
			}
		})
	}
}

func TestD23_RedMustHoldGreenIsImmediate(t *testing.T) {
	u := &unit{}
	answer := core.Healthy("fine")
	u.check = func(context.Context, core.CheckRequest) (core.Finding, error) { return answer, nil }
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		next := func(f core.Finding) Health {
			answer = f
			time.Sleep(3 * time.Second)
			return only(t, b)
		}
		next(core.Healthy("fine"))
		if h := next(core.Unhealthy("down")); h.Status != core.StatusOK || h.Details["failing"] == nil || h.Failures != 1 {
			t.Errorf("one red: %+v", h)
		}
		if h := next(core.Healthy("fine")); h.Status != core.StatusOK || h.Failures != 0 {
			t.Errorf("green: %+v", h)
		}
		next(core.Unhealthy("down"))
		if h := next(core.Unhealthy("down")); h.Status != core.StatusError || h.Message != "down" {
			t.Errorf("two reds: %+v", h)
		}
		if h := next(core.Healthy("fine")); h.Status != core.StatusOK {
			t.Errorf("green: %+v", h)
		}
	})
	inLab(t, Config{}, finds(core.Unhealthy("down"), nil), func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Status != core.StatusUnknown {
			t.Errorf("the first check of all: %+v", h)
		}
	})
}

func TestD24_HealthComesFromTheWorkOfDestinations(t *testing.T) {
	row := running(one)
	row.Class = core.ClassDestination
	push := core.PushRow{Unit: one, State: "waiting"}
	inLab(t, Config{}, plain{}, func(t *testing.T, l *lab, b *Board) {
		says := func(want core.Status, why string) {
			t.Helper()
			p := push
			l.set([]*core.PushRow{&p}, row)
			if h := only(t, b); h.Status != want {
				t.Errorf("%s: %+v", why, h)
			}
		}
		says(core.StatusUnknown, "nothing pushed yet")
		push.Pushes, push.LastSuccess, push.State = 1, time.Now(), "ok"
		says(core.StatusOK, "pushed")
		push.Failures, push.Consecutive, push.LastError, push.State = 1, 1, "connection refused", "retrying"
		says(core.StatusOK, "one failure may pass")
		time.Sleep(2 * time.Minute)
		says(core.StatusError, "failing for minutes")
		push.Pushes, push.Consecutive, push.LastSuccess, push.State = 2, 0, time.Now(), "ok"
		says(core.StatusOK, "it works again")
		push.State, push.Consecutive, push.LastError = "failed", 1, "401"
		says(core.StatusError, "refused for good")
	})
}

func TestD24_HealthComesFromTheWorkOfIntegrations(t *testing.T) {
	for level, want := range map[core.Health]core.Status{core.HealthOK: core.StatusOK, core.HealthDegraded: core.StatusOK, core.HealthStarting: core.StatusUnknown,
		core.HealthRecovering: core.StatusError, core.HealthPermanent: core.StatusError, core.HealthUnknown: core.StatusUnknown} {
		inLab(t, Config{}, plain{}, func(t *testing.T, l *lab, b *Board) {
			l.set(nil, running(one))
			s := *l.Latest()
			s.Integrations = []*core.IntegrationRow{{ID: one, Health: level, Message: "password=hunter2 refused", Failures: 3}}
			l.now = &s
			if h := only(t, b); h.Status != want || h.Message != "password=*** refused" || h.Details["failures"] != uint64(3) {
				t.Errorf("%s: %+v", level, h)
			}
		})
	}
}

func TestBoardForgetsUnitsThatAreGoneAndFollowsLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.set(nil, running(one), running("integration/test/two"))
		b := New(Config{Source: l, Directory: l})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		if len(b.cells) != 2 {
			t.Errorf("%d cells", len(b.cells))
		}
		l.set(nil, running(one))
		synctest.Wait()
		if len(b.cells) != 1 {
			t.Errorf("%d cells", len(b.cells))
		}
		if _, err := b.Check(ctx, "integration/test/two", core.CheckRequest{}); !errors.Is(err, ErrNoUnit) {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`dial http://u:p@h/: refused`:                    "dial http://***@h/: refused",
		`Authorization: Bearer abc.def failed`:           "Authorization: Bearer *** failed",
		`dsn user=me password=hunter2 host=db`:           "dsn user=me password=*** host=db",
		`{"api_key":"abc","n":1}`:                        `{"api_key":"***","n":1}`,
		"two\nlines \x1b[31m":                            "two lines ·[31m",
		"the token of the row is fine, 3 words: as they": "the token of the row is fine, 3 words: as they",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q -> %q, want %q", in, got, want)
		}
	}
}

func TestD29_SpecThatDoesNotRunCanBeChecked(t *testing.T) {
	good, bad := finds(core.Healthy("7 ms"), nil), finds(core.Finding{}, errors.New("connection refused"))
	unattached := finds(core.Healthy(""), nil)
	unattached.attach = func(context.Context) error {
		return &core.Remedied{Err: errors.New("no rights"), Remedy: "grant them", Permanent: true}
	}
	for _, c := range []struct {
		name   string
		spec   core.Spec
		unit   *unit
		status core.Status
		says   string
	}{
		{"good", core.Spec{Class: core.ClassIntegration}, good, core.StatusOK, "7 ms"},
		{"bad", core.Spec{Class: core.ClassIntegration}, bad, core.StatusError, "connection refused"},
		{"attach", core.Spec{Class: core.ClassIntegration}, unattached, core.StatusError, "attach: no rights (grant them)"},
		{"init", core.Spec{Make: func() (core.Unit, error) { return nil, errors.New("bad url") }}, nil, core.StatusError, "init: bad url"},
		{"nothing", core.Spec{Make: func() (core.Unit, error) { return nil, nil }}, nil, core.StatusError, "made nothing"},
		{"panic", core.Spec{Make: func() (core.Unit, error) { panic("oops") }}, nil, core.StatusError, "oops"},
		{"plain", core.Spec{Make: func() (core.Unit, error) { return plain{}, nil }}, nil, core.StatusUnknown, "no check"},
		{"gateway", core.Spec{Class: core.ClassGateway, Make: func() (core.Unit, error) { return plain{}, nil }}, nil, core.StatusUnknown, "settings are fine"},
		{"probe", core.Spec{Class: core.ClassInstrumentation, Check: func() error { return nil }}, nil, core.StatusOK, "can be attached"},
		{"unchecked probe", core.Spec{Class: core.ClassInstrumentation}, nil, core.StatusUnknown, "attaching"},
		{"unsupported", core.Spec{Class: core.ClassInstrumentation, Check: func() error { return core.ErrUnsupported }}, nil, core.StatusUnknown, "not supported"},
	} {
		c.spec.ID = one
		if c.unit != nil {
			c.spec.Make = func() (core.Unit, error) { return c.unit, nil }
		}
		h := Try(t.Context(), c.spec, core.CheckRequest{}, 20*time.Second)
		if h.Status != c.status || !strings.Contains(h.Message, c.says) || h.Unit != one {
			t.Errorf("%s: %+v", c.name, h)
		}
		if c.unit != nil && c.unit.detached.Load() != 1 {
			t.Errorf("%s: detached %d times", c.name, c.unit.detached.Load())
		}
	}
}

func TestD29_TryNeverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		u := &unit{check: func(context.Context, core.CheckRequest) (core.Finding, error) {
			<-release
			return core.Healthy(""), nil
		}}
		began := time.Now()
		h := Try(t.Context(), core.Spec{ID: one, Make: func() (core.Unit, error) { return u, nil }}, core.CheckRequest{}, time.Second)
		if h.Status != core.StatusUnknown || time.Since(began) > 4*time.Second {
			t.Errorf("%+v after %v", h, time.Since(began))
		}
		close(release)
	})
}
