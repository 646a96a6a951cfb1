package diagnose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
	"vitals/core/calls"
)

func TestD01_StatusesHaveStableNumbersAndNames(t *testing.T) {
	var zero core.Status
	for n, name := range map[core.Status]string{0: "UNKNOWN", 1: "OK", 2: "ERROR"} {
		if n.String() != name {
			t.Errorf("%d is %s", n, n)
		}
	}
	if zero != core.StatusUnknown || core.StatusOK != 1 || core.StatusError != 2 {
		t.Error("the numbers moved")
	}
}

func TestD02_UnknownNumberPrintsAsNumber(t *testing.T) {
	if s := core.Status(7).String(); s != "7" {
		t.Error(s)
	}
}

func TestD03_StatusMessageAndDetailsPassThrough(t *testing.T) {
	for _, want := range []core.Finding{
		core.Healthy("fine").With(map[string]any{"version": "7.0"}),
		core.Unhealthy("down").With(map[string]any{"queue": 3}),
		core.Unsure("busy").With(map[string]any{"who": "me"}),
	} {
		inLab(t, Config{Hold: 1}, finds(want, nil), func(t *testing.T, _ *lab, b *Board) {
			h := only(t, b)
			if h.Status != want.Status || h.Message != want.Message || len(h.Details) != 1 {
				t.Errorf("%+v from %+v", h, want)
			}
		})
	}
}

func TestD04_NoCheckIsUnknown(t *testing.T) {
	inLab(t, Config{}, plain{}, func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Status != core.StatusUnknown || !strings.Contains(h.Message, "no check") {
			t.Errorf("%+v", h)
		}
	})
}

func TestD05_ErrorBecomesERRORWithItsText(t *testing.T) {
	inLab(t, Config{Hold: 1}, finds(core.Finding{Status: core.StatusOK}, errors.New("connection refused")), func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Status != core.StatusError || h.Message != "connection refused" {
			t.Errorf("%+v", h)
		}
	})
}

func TestD06_ErrorBesideAResultIsERRORWithTheMessageOfTheResult(t *testing.T) {
	inLab(t, Config{Hold: 1}, finds(core.Healthy("slow").With(map[string]any{"n": 1}), errors.New("late")), func(t *testing.T, _ *lab, b *Board) {
		h := only(t, b)
		if h.Status != core.StatusError || h.Message != "slow" || h.Details["n"] != 1 || h.Cause[0] != "late" {
			t.Errorf("%+v", h)
		}
	})
}

func TestD08_ConstructorsLeaveDetailsEmptyAndWithReplacesThem(t *testing.T) {
	for _, f := range []core.Finding{core.Healthy("a"), core.Unhealthy("a"), core.Unsure("a")} {
		if f.Details != nil {
			t.Errorf("%+v", f)
		}
		f = f.With(map[string]any{"a": 1}).With(map[string]any{"b": 2})
		if len(f.Details) != 1 || f.Details["b"] != 2 {
			t.Errorf("%+v", f)
		}
	}
}

func TestD09_DetailsAreAlwaysAnObject(t *testing.T) {
	for _, details := range []map[string]any{nil, {}, {"a": math.NaN()}, {"a": make(chan int)}, {"a": panics{}},
		{"a": strings.Repeat("x", 2*maxDetails)}, {"a": []int{1}}} {
		b, err := json.Marshal(Health{Details: details})
		var out struct{ Details map[string]any }
		if err != nil || json.Unmarshal(b, &out) != nil || out.Details == nil || len(b) > 2*maxDetails {
			t.Errorf("%v: %v %.200s", len(details), err, b)
		}
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

func TestD10_RequestReachesTheChecker(t *testing.T) {
	var got core.CheckRequest
	u := &unit{check: func(_ context.Context, r core.CheckRequest) (core.Finding, error) {
		got = r
		return core.Healthy(""), nil
	}}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		b.Check(t.Context(), one, core.CheckRequest{Header: map[string][]string{"X-Scope-Orgid": {"7"}}})
		if got.Unit != one || got.Kind != "test" || got.Header["X-Scope-Orgid"][0] != "7" {
			t.Errorf("%+v", got)
		}
	})
}

func TestD17_ReportsWhenSinceHowLongHowOftenAndWhyWithoutSecrets(t *testing.T) {
	bad := fmt.Errorf("ping: %w", &core.Remedied{Err: errors.New("dial postgres://me:hunter2@db/x: password=hunter2"), Remedy: "start it"})
	u := &unit{}
	u.check = func(context.Context, core.CheckRequest) (core.Finding, error) {
		time.Sleep(20 * time.Millisecond)
		return core.Finding{}, bad
	}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		only(t, b)
		time.Sleep(10 * time.Second)
		turned := time.Now()
		only(t, b)
		time.Sleep(10 * time.Second)
		h := only(t, b)
		if h.Took != 20*time.Millisecond || h.Failures != 3 || time.Since(h.CheckedAt) != 0 || h.Since.Sub(turned) != 20*time.Millisecond {
			t.Errorf("%+v", h)
		}
		text, _ := json.Marshal(h)
		if strings.Contains(string(text), "hunter2") || len(h.Cause) != 3 || h.Details["remedy"] != "start it" || len(h.History) != 3 {
			t.Errorf("%s", text)
		}
		for _, key := range []string{"checked_at", "duration_ms", "since", "consecutive_failures", "cause", "history"} {
			if !strings.Contains(string(text), `"`+key+`"`) {
				t.Errorf("%s is missing", key)
			}
		}
	})
}

func TestD18_OneCheckAtATimeIsShared(t *testing.T) {
	u := &unit{}
	u.check = func(context.Context, core.CheckRequest) (core.Finding, error) {
		time.Sleep(time.Second)
		return core.Healthy(fmt.Sprint(u.calls.Load())), nil
	}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if h := only(t, b); h.Message != "1" {
					t.Error(h.Message)
				}
			})
		}
		all.Wait()
		time.Sleep(1900 * time.Millisecond) // the TTL is 2 s
		only(t, b)
		if u.calls.Load() != 1 {
			t.Errorf("%d checks within the TTL", u.calls.Load())
		}
		time.Sleep(200 * time.Millisecond)
		if only(t, b); u.calls.Load() != 2 {
			t.Errorf("%d checks after the TTL", u.calls.Load())
		}
	})
}

func TestD18_CheckThatOverrunsIsUnknownAndNeverRunsTwice(t *testing.T) {
	release := make(chan struct{})
	u := &unit{}
	u.check = func(context.Context, core.CheckRequest) (core.Finding, error) {
		<-release
		return core.Healthy("late"), nil
	}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		release = make(chan struct{})
		began := time.Now()
		h := only(t, b)
		if h.Status != core.StatusUnknown || h.Message != "timed out after 5s" || time.Since(began) > 6*time.Second {
			t.Errorf("%+v after %v", h, time.Since(began))
		}
		time.Sleep(time.Minute)
		if h = only(t, b); h.Status != core.StatusUnknown || !strings.Contains(h.Message, "still runs") || u.calls.Load() != 1 {
			t.Errorf("%+v, %d calls", h, u.calls.Load())
		}
		close(release)
		synctest.Wait()
		if h = only(t, b); h.Status != core.StatusOK || u.calls.Load() != 2 {
			t.Errorf("%+v, %d calls", h, u.calls.Load())
		}
	})
}

type slow struct{ *unit }

func (slow) CheckTimeout() time.Duration { return time.Minute }

func TestD18_DeadlineIsTheCheckersOwn(t *testing.T) {
	u := slow{&unit{check: func(ctx context.Context, _ core.CheckRequest) (core.Finding, error) {
		<-ctx.Done()
		return core.Finding{}, ctx.Err()
	}}}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Message != "timed out after 1m0s" || h.Took != time.Minute {
			t.Errorf("%+v", h)
		}
	})
}

func TestD18_WhoAsksMayLeave(t *testing.T) {
	u := &unit{check: func(ctx context.Context, _ core.CheckRequest) (core.Finding, error) {
		<-ctx.Done()
		return core.Finding{}, ctx.Err()
	}}
	inLab(t, Config{}, u, func(t *testing.T, _ *lab, b *Board) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		h, _ := b.Check(ctx, one, core.CheckRequest{})
		if h.Status != core.StatusUnknown || time.Since(began) != time.Second {
			t.Errorf("%+v after %v", h, time.Since(began))
		}
		time.Sleep(10 * time.Second) // the check ends by itself
	})
}

func TestD19_PanicIsERROR(t *testing.T) {
	u := &unit{check: func(context.Context, core.CheckRequest) (core.Finding, error) { panic("token=hunter2") }}
	rec := calls.New()
	inLab(t, Config{Hold: 1, Recorder: rec}, u, func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Status != core.StatusError || h.Message != "panic: token=***" {
			t.Errorf("%+v", h)
		}
	})
	if rows := rec.Rows(); len(rows) != 1 || rows[0].Op != "check" || rows[0].Ended[core.OutcomePanic] != 1 {
		t.Errorf("%+v", rows)
	}
}

// costed is a probe: it is checked by what it has in the kernel.
type costed struct {
	plain
	programs []core.Program
}

func (c *costed) Programs() []core.Program { return c.programs }

func TestD24_ProbeIsWellWhenItsProgramsAreThere(t *testing.T) {
	u := &costed{programs: []core.Program{{Misses: 2}, {Misses: 3}}}
	inLab(t, Config{Hold: 1}, u, func(t *testing.T, _ *lab, b *Board) {
		if h := only(t, b); h.Status != core.StatusOK || h.Details["programs"] != 2 || h.Details["misses"] != uint64(5) {
			t.Errorf("%+v", h)
		}
		u.programs = nil
		time.Sleep(3 * time.Second)
		if h := only(t, b); h.Status != core.StatusError {
			t.Errorf("%+v", h)
		}
	})
}
