package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// wire is a transport inside a test's bubble of time: it notes when requests
// come and answers as told. The real one is tested with real servers.
type wire struct {
	mu     sync.Mutex
	start  time.Time
	at     []time.Duration
	method []string
	answer func(n int, r *http.Request) (status int, header http.Header, err error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.mu.Lock()
	w.at = append(w.at, time.Since(w.start))
	w.method = append(w.method, r.Method)
	n := len(w.at)
	w.mu.Unlock()
	status, header, err := w.answer(n, r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("said")), Request: r}, nil
}

func (w *wire) times() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.at...)
}

func always(status int) func(int, *http.Request) (int, http.Header, error) {
	return func(int, *http.Request) (int, http.Header, error) { return status, http.Header{}, nil }
}

// bubble is a destination that runs in a bubble of time.
type bubble struct {
	unit   *unit
	wire   *wire
	rows   rows
	log    bytes.Buffer
	cancel context.CancelFunc
	served chan error
}

// start begins to serve; phase 0 is arranged by the choice of the instance.
func start(t *testing.T, change func(*Config), answer func(int, *http.Request) (int, http.Header, error)) *bubble {
	t.Helper()
	b := &bubble{wire: &wire{start: time.Now(), answer: answer}, served: make(chan error, 1)}
	c := testConfig("http://gw:9091")
	c.Report = b.rows.report
	c.Log = slog.New(slog.NewTextHandler(&b.log, nil))
	if change != nil {
		change(&c)
	}
	spec, err := NewSpec(c)
	if err != nil {
		t.Fatal(err)
	}
	u, err := spec.Make()
	if err != nil {
		t.Fatal(err)
	}
	b.unit = u.(*unit)
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.unit.pusher.sender.(*gatewaySender).http.Transport = b.wire
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(context.Background())
	go func() { b.served <- u.Serve(ctx, func() {}) }()
	return b
}

// end cancels Serve, waits for it and detaches.
func (b *bubble) end(t *testing.T) {
	t.Helper()
	b.cancel()
	if err := <-b.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := b.unit.Detach(t.Context()); err != nil {
		t.Errorf("Detach: %v", err)
	}
}

func TestT45_FleetsSpread(t *testing.T) {
	begin := time.Now()
	for _, every := range []time.Duration{time.Second, 15 * time.Second, time.Hour} {
		var quarters [4]int
		limit := min(every, 30*time.Second)
		for i := range 1000 {
			phase := newSchedule(begin, every, "web-"+time.Duration(i).String()).origin.Sub(begin)
			if phase < 0 || phase >= limit {
				t.Fatalf("phase %v of interval %v", phase, every)
			}
			quarters[phase*4/limit]++
		}
		for _, n := range quarters {
			if n < 150 {
				t.Errorf("interval %v: quarters %v", every, quarters)
			}
		}
	}
}

func TestScheduleGrid(t *testing.T) {
	o := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := schedule{origin: o, every: 10 * time.Second}
	at := func(s float64) time.Time { return o.Add(time.Duration(s * float64(time.Second))) }
	for in, want := range map[float64]float64{-5: 0, 0: 10, 0.5: 10, 9.9: 10, 10: 20, 25: 30} {
		if got := g.after(at(in)); !got.Equal(at(want)) {
			t.Errorf("after(%v) = %v, want %v", in, got.Sub(o), want)
		}
	}
	for _, c := range []struct {
		a, b float64
		want uint64
	}{{-5, 0, 0}, {-5, 1, 1}, {0, 10, 0}, {0, 10.1, 1}, {0, 20, 1}, {0, 20.1, 2}, {5, 5, 0}, {9, 3, 0}, {1, 35, 3}} {
		if got := g.between(at(c.a), at(c.b)); got != c.want {
			t.Errorf("between(%v, %v) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestFirstPushWaitsForAFirstSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(0)
		b := start(t, func(c *Config) { c.Source = src }, always(200))
		time.Sleep(70 * time.Millisecond)
		if at := b.wire.times(); len(at) != 0 {
			t.Fatalf("pushes at %v", at)
		}
		src.publish(1)
		synctest.Wait()
		if at := b.wire.times(); len(at) != 1 || at[0] != 70*time.Millisecond {
			t.Fatalf("pushes at %v", at)
		}
		b.end(t)
	})
}

func TestT46_FinalPushHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, func(n int, r *http.Request) (int, http.Header, error) {
			if n == 1 {
				return 200, http.Header{}, nil
			}
			if r.Context().Err() != nil {
				t.Error("the final push began with an ended context")
			}
			<-r.Context().Done()
			return 0, nil, r.Context().Err()
		})
		synctest.Wait()
		began := time.Now()
		b.end(t)
		if took := time.Since(began); took != FinalTimeout {
			t.Errorf("the final push took %v, want %v", took, FinalTimeout)
		}
		mustContain(t, b.log.String(), "the final push failed", "no answer in time")
		if row := b.rows.last(); row.Failures != 1 || row.LastError == "" {
			t.Errorf("row %+v", row)
		}
	})
}

// An engine that cannot flush must not take the final push with it.
func TestT46_FinalPushWithoutAFreshSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) {
			c.Fresh = func(ctx context.Context) *core.Snapshot { <-ctx.Done(); return nil }
		}, always(200))
		synctest.Wait()
		began := time.Now()
		b.end(t)
		if took := time.Since(began); took != FinalTimeout/2 {
			t.Errorf("took %v", took)
		}
		if row := b.rows.last(); row.Pushes != 2 {
			t.Errorf("row %+v", row)
		}
	})
}

func TestT46_DeleteComesAfterTheFinalPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.DeleteOnExit = true }, always(202))
		synctest.Wait()
		b.end(t)
		if got := strings.Join(b.wire.method, " "); got != "PUT PUT DELETE" {
			t.Errorf("requests %s", got)
		}
	})
}

func TestDetachStopsAndKeepsItsDeadline(t *testing.T) {
	hang := func(_ int, r *http.Request) (int, http.Header, error) {
		<-r.Context().Done()
		return 0, nil, r.Context().Err()
	}
	synctest.Test(t, func(t *testing.T) { // while a push hangs
		b := start(t, nil, hang)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.unit.Detach(ctx); err != nil {
			t.Errorf("Detach: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		if err := <-b.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := b.unit.Detach(ctx); err != nil {
			t.Errorf("second Detach: %v", err)
		}
		b.cancel()
	})
	synctest.Test(t, func(t *testing.T) { // a gatherer that takes too long
		b := start(t, func(c *Config) {
			c.Fresh = func(context.Context) *core.Snapshot { time.Sleep(3 * time.Second); return nil }
		}, always(200))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.unit.Detach(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Detach: %v", err)
		}
		<-b.served
		b.cancel()
	})
	synctest.Test(t, func(t *testing.T) { // before Serve, which then does nothing
		b := start(t, func(c *Config) { c.Name = "x" }, always(200))
		synctest.Wait()
		b.end(t)
		early := newUnit(b.unit.settings)
		if _, err := early.Attach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := early.Detach(t.Context()); err != nil {
			t.Errorf("Detach: %v", err)
		}
		if err := early.Serve(t.Context(), func() { t.Error("ready after Detach") }); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, func(n int, _ *http.Request) (int, http.Header, error) {
			if n == 1 {
				return 429, http.Header{"Retry-After": {"100"}}, nil
			}
			return 200, http.Header{}, nil
		})
		time.Sleep(101 * time.Second)
		at := b.wire.times()
		if len(at) < 2 || at[1] != 100*time.Second {
			t.Fatalf("pushes at %v", at)
		}
		// 100 s of an interval of 15 s, from a phase below 15 s on.
		if s := b.rows.last().Skipped; s != 6 && s != 7 {
			t.Errorf("skipped %d", s)
		}
		b.end(t)
	})
}

func TestT38_PermanentRefusalWaitsForTheNextInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, always(403))
		time.Sleep(61 * time.Second)
		if n := len(b.wire.times()); n != 5 && n != 6 {
			t.Errorf("%d pushes in four intervals", n)
		}
		row := b.rows.last()
		if row.State != StateFailed || row.Pushes != 0 || row.Consecutive != len(b.wire.times()) {
			t.Errorf("row %+v", row)
		}
		mustContain(t, row.LastError, "403 Forbidden: said", "check user and password")
		b.end(t)
	})
}

func TestT38_InternalErrorsAreRetriedAFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.Interval = time.Hour; c.Instance = "late" }, always(500))
		if due := time.Until(b.unitPhase()); due < 8*time.Second {
			t.Fatalf("phase of %v: choose another instance name", due)
		}
		time.Sleep(time.Until(b.unitPhase()) - time.Millisecond)
		if n := len(b.wire.times()); n != 1+doubtfulTries {
			t.Errorf("%d pushes, want the first and %d tries", n, doubtfulTries)
		}
		if row := b.rows.last(); row.State != StateFailed {
			t.Errorf("row %+v", row)
		}
		b.end(t)
	})
}

// unitPhase is when the second regular push is due.
func (b *bubble) unitPhase() time.Time {
	return newSchedule(b.wire.start, b.unit.Interval, b.unit.Instance).origin
}

func TestT44_SlowPushesNeverOverlapAndSkippedTicksAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		inFlight, most := 0, 0
		b := start(t, func(c *Config) { c.Interval = time.Second }, func(int, *http.Request) (int, http.Header, error) {
			mu.Lock()
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			time.Sleep(3500 * time.Millisecond)
			mu.Lock()
			inFlight--
			mu.Unlock()
			return 200, http.Header{}, nil
		})
		time.Sleep(41 * time.Second)
		synctest.Wait()
		row := b.rows.last()
		// A push every four seconds: three points of the grid are skipped each time.
		if most != 1 || row.Pushes < 9 || row.Pushes > 11 || row.Skipped < 3*(row.Pushes-2) || row.Skipped > 3*row.Pushes+1 {
			t.Errorf("%d at a time, %d pushes, %d skipped", most, row.Pushes, row.Skipped)
		}
		if row.Duration != 3500*time.Millisecond {
			t.Errorf("duration %v", row.Duration)
		}
		b.end(t)
	})
}

func TestPushNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := make(chan struct{}, 1)
		b := start(t, func(c *Config) { c.Now = now; c.Interval = time.Hour }, always(200))
		time.Sleep(10 * time.Minute)
		before := len(b.wire.times())
		now <- struct{}{}
		synctest.Wait()
		at := b.wire.times()
		if len(at) != before+1 || at[before] != 10*time.Minute {
			t.Errorf("pushes at %v", at)
		}
		b.end(t)
	})
}
