package calls

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

func only(t *testing.T, r *Recorder) Row {
	t.Helper()
	rows := r.Rows()
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	return rows[0]
}

func TestC03_NilRecorderIsSafe(t *testing.T) {
	var r *Recorder
	r.Begin("x")
	r.End("x", core.OutcomeOK, 1)
	r.Record("x", core.OutcomeOK, 1)
	for _, rec := range []core.Recorder{nil, r} {
		c := core.StartCall(rec, "x")
		c.End(nil)
	}
	if r.Rows() != nil {
		t.Error("a nil recorder recorded")
	}
}

func TestC04_ConcurrentCallsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				c := core.StartCall(r, fmt.Sprint("op", i%2))
				defer c.End(nil)
				time.Sleep(time.Duration(1+i/2%2) * time.Second) // half 1 s, half 2 s
			})
		}
		all.Wait()
		for _, row := range r.Rows() {
			if row.Begun != 10 || row.Ended[core.OutcomeOK] != 10 || math.Abs(row.Duration.Mean()-1.5) > 0.015 {
				t.Errorf("%+v, mean %v", row, row.Duration.Mean())
			}
		}
	})
}

func TestC05_CallsWithoutAnEndAreInFlight(t *testing.T) {
	r := New()
	a, _ := core.StartCall(r, "scrape"), core.StartCall(r, "scrape")
	a.End(nil)
	if row := only(t, r); row.Begun != 2 || row.InFlight != 1 || row.Duration.Count != 1 {
		t.Errorf("%+v", row)
	}
}

func TestC07_EndWithoutBeginAndDoubleEndAreNotCounted(t *testing.T) {
	r := New()
	r.End("push", core.OutcomeOK, time.Second)
	c := core.StartCall(r, "push")
	c.End(nil)
	c.End(errors.New("late"))
	var zero core.Call
	zero.End(nil)
	if row := only(t, r); row.Begun != 1 || len(row.Ended) != 1 || row.InFlight != 0 {
		t.Errorf("%+v", row)
	}
}

func TestC12_OldestInFlightIsKnownAndMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		first := core.StartCall(r, "query")
		time.Sleep(10 * time.Second)
		second := core.StartCall(r, "query")
		time.Sleep(5 * time.Second)
		if row := only(t, r); row.Oldest != 15*time.Second {
			t.Errorf("oldest %v", row.Oldest)
		}
		first.End(nil)
		if row := only(t, r); row.Oldest != 5*time.Second {
			t.Errorf("oldest %v after the first ended", row.Oldest)
		}
		for range 1000 { // never end
			time.Sleep(time.Millisecond)
			r.Begin("query")
		}
		if row := only(t, r); row.InFlight != 1001 || row.Oldest != 6*time.Second {
			t.Errorf("in flight %d, oldest %v", row.InFlight, row.Oldest)
		}
		second.End(nil)
		if row := only(t, r); row.InFlight != 1000 || row.Oldest != 999*time.Millisecond {
			t.Errorf("in flight %d, oldest %v", row.InFlight, row.Oldest)
		}
	})
}

func TestC13_OperationsAreBounded(t *testing.T) {
	r := New()
	for i := range 10_000 {
		r.Record(fmt.Sprint("op", i), core.OutcomeOK, time.Second)
	}
	r.Record("\x1b[31m", core.OutcomeOK, time.Second)
	rows := r.Rows()
	total := uint64(0)
	for _, row := range rows {
		total += row.Begun
	}
	if len(rows) != MaxOps || total != 10_001 {
		t.Errorf("%d operations, %d calls", len(rows), total)
	}
}

func TestC16_Outcomes(t *testing.T) {
	r := New()
	for _, err := range []error{nil, errors.New("x"), fmt.Errorf("scrape: %w", context.DeadlineExceeded), context.Canceled, &core.PanicError{Value: "x"}} {
		c := core.StartCall(r, "scrape")
		c.End(err)
	}
	row := only(t, r)
	for _, o := range outcomes {
		if row.Ended[o] != 1 {
			t.Errorf("%s counted %d times", o, row.Ended[o])
		}
	}
}

func TestC18_LastDurationIsKept(t *testing.T) {
	r := New()
	r.Record("scrape", core.OutcomeOK, time.Second)
	r.Record("scrape", core.OutcomeOK, 3*time.Second)
	if row := only(t, r); row.Last != 3*time.Second {
		t.Errorf("last %v", row.Last)
	}
}

func TestC29_CallWithTimesTakenElsewhere(t *testing.T) {
	r := New()
	r.Record("kernel", core.OutcomeTimeout, 250*time.Millisecond)
	if row := only(t, r); row.Begun != 1 || row.InFlight != 0 || row.Duration.Max != 0.25 {
		t.Errorf("%+v", row)
	}
}

func TestC11_NoAllocations(t *testing.T) {
	r := New()
	measured := func() { c := core.StartCall(r, "attach"); c.End(nil) }
	for range 100_000 { // let the histogram find its range
		measured()
	}
	for d := time.Duration(1); d < time.Hour; d *= 2 {
		r.Record("attach", core.OutcomeOK, d)
	}
	if n := testing.AllocsPerRun(1000, measured); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkC11_Call(b *testing.B) {
	r := New()
	b.ReportAllocs()
	for b.Loop() {
		c := core.StartCall(r, "attach")
		c.End(nil)
	}
}

func BenchmarkC11_CallsInParallel(b *testing.B) {
	r := New()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := core.StartCall(r, "attach")
			c.End(nil)
		}
	})
}
