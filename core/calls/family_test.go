package calls

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// Each operation is a client of its own from its first call on, and none before.
func TestC01_EachOperationHasItsRow(t *testing.T) {
	r := New()
	if len(r.Rows()) != 0 {
		t.Fatal("rows before any call")
	}
	for _, op := range []string{"push", "attach", "scrape", "attach"} {
		c := core.StartCall(r, op)
		c.End(nil)
	}
	var got []string
	for _, row := range r.Rows() {
		got = append(got, row.Op)
	}
	if strings.Join(got, " ") != "attach push scrape" {
		t.Errorf("rows %q", got)
	}
}

// A call holds its own start, so the end cannot be taken for that of another,
// and a copy that ends twice is counted once for each begin.
func TestC06_ACallHoldsItsOwnStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		goroutines := runtime.NumGoroutine()
		long := core.StartCall(r, "query")
		time.Sleep(20 * time.Millisecond)
		short := core.StartCall(r, "query")
		time.Sleep(time.Millisecond)
		short.End(nil)
		if row := only(t, r); row.Last != time.Millisecond || row.InFlight != 1 {
			t.Errorf("the short call took %v, %d in flight", row.Last, row.InFlight)
		}
		long.End(nil)
		if row := only(t, r); row.Last != 21*time.Millisecond || row.Duration.Min < 0 {
			t.Errorf("the long call took %v", row.Last)
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("%d goroutines for two calls", n-goroutines)
		}
	})
}

type broken struct{ begin, end bool }

func (b broken) Begin(string) {
	if b.begin {
		panic("begin")
	}
}
func (b broken) End(string, core.Outcome, time.Duration) {
	if b.end {
		panic("end")
	}
}

func TestC08_PanickingRecorderDoesNotReachTheCaller(t *testing.T) {
	for _, b := range []broken{{begin: true}, {end: true}, {true, true}} {
		done := false
		err := core.Do(t.Context(), b, "push", func(context.Context) error { done = true; return nil })
		if !done || err != nil {
			t.Errorf("%+v: done %v, %v", b, done, err)
		}
	}
}

func TestC09_PanicOfTheCallIsCountedAndGoesOn(t *testing.T) {
	r := New()
	boom := errors.New("boom")
	func() {
		defer func() {
			if got := recover(); got != boom {
				t.Errorf("recovered %v: the panic must go on as it was", got)
			}
		}()
		_ = core.Do(t.Context(), r, "push", func(context.Context) error { panic(boom) })
	}()
	if row := only(t, r); row.Ended[core.OutcomePanic] != 1 || row.InFlight != 0 {
		t.Errorf("%+v", row)
	}
}

// So many calls at once that keys of 24 random bits would collide: every end
// finds its begin.
func TestC10_NoTwoCallsAreTakenForOne(t *testing.T) {
	const callers, each = 8, 29_000
	r := New()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			open := make([]core.Call, 0, each)
			for range each {
				open = append(open, core.StartCall(r, "query"))
			}
			for i := range open {
				open[i].End(nil)
			}
		})
	}
	all.Wait()
	row := only(t, r)
	if row.Begun != callers*each || row.Ended[core.OutcomeOK] != callers*each || row.InFlight != 0 {
		t.Errorf("of %d calls: begun %d, ended %v, in flight %d", callers*each, row.Begun, row.Ended, row.InFlight)
	}
}

func TestC17_TheContextCarriesTheCall(t *testing.T) {
	r := New()
	var inner, outer string
	err := core.Do(t.Context(), r, "scrape", func(ctx context.Context) error {
		outer = core.ParentCall(ctx)
		return core.Do(ctx, r, "query", func(ctx context.Context) error {
			inner = core.ParentCall(ctx)
			return nil
		})
	})
	if err != nil || outer != "scrape" || inner != "query" || core.ParentCall(t.Context()) != "" {
		t.Errorf("%v: outer %q, inner %q", err, outer, inner)
	}
}

// Switched off, recording is a no-op; switched on, it is on for everybody.
func TestC28_SwitchedOffRecordsNothing(t *testing.T) {
	var off *Recorder // what main hands out when calls are off in the configuration
	c := core.StartCall(off, "push")
	c.End(nil)
	if off.Rows() != nil {
		t.Error("rows although recording is off")
	}
	if n := testing.AllocsPerRun(100, func() { c := core.StartCall(off, "push"); c.End(nil) }); n != 0 {
		t.Errorf("%v allocations although recording is off", n)
	}
}

func TestC30_OperationsMayCollectDifferently(t *testing.T) {
	counts := &Counts{}
	tracker := NewTracker(New(), time.Nanosecond, time.Hour)
	var r core.Recorder = Family{Ops: map[string]Rower{"read": counts, "push": tracker}, Other: New()}
	for op, err := range map[string]error{"read": nil, "push": errors.New("refused"), "attach": nil} {
		_ = core.Do(t.Context(), r, op, func(context.Context) error { return err })
	}
	r.End("read", core.OutcomeOK, time.Second) // without a begin
	time.Sleep(time.Millisecond)
	rows := r.(Rower).Rows()
	if len(rows) != 3 || rows[0].Op != "attach" || rows[0].Duration == nil || rows[1].Op != "push" || rows[1].Duration == nil {
		t.Fatalf("%+v", rows)
	}
	if read := rows[2]; read.Op != "read" || read.Duration != nil || read.Begun != 1 || read.Ended[core.OutcomeOK] != 1 || read.InFlight != 0 {
		t.Errorf("counts only: %+v", read)
	}
	if s := tracker.Stuck(); len(s) != 1 || s[0].Op != "push" {
		t.Errorf("failing: %+v", s)
	}
}
