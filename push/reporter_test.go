package push

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// failing answers n requests with a status, and 200 then.
func failing(down, status int) func(int, *http.Request) (int, http.Header, error) {
	return func(n int, _ *http.Request) (int, http.Header, error) {
		if n <= down {
			return status, http.Header{}, nil
		}
		return 200, http.Header{}, nil
	}
}

func TestT39_ReportsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.Interval = time.Hour }, always(200))
		synctest.Wait()
		if at := b.wire.times(); len(at) != 1 || at[0] != 0 {
			t.Errorf("pushes at %v, want one at once", at)
		}
		b.end(t)
	})
}

func TestT40_ThenEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, always(200))
		time.Sleep(61 * time.Second)
		at := b.wire.times()
		if len(at) != 5 && len(at) != 6 {
			t.Fatalf("pushes at %v", at)
		}
		for i := 2; i < len(at); i++ {
			if at[i]-at[i-1] != 15*time.Second {
				t.Errorf("pushes at %v", at)
			}
		}
		row := b.rows.last()
		if row.State != StateOK || row.Pushes != uint64(len(at)) || row.Skipped != 0 || time.Until(row.NextAttempt) <= 0 || time.Until(row.NextAttempt) > 15*time.Second {
			t.Errorf("row %+v", row)
		}
		b.end(t)
	})
}

// T45_: the second push comes a part of an interval after the first, another
// part for each instance.
func TestT45_ThePhaseIsThatOfTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for _, instance := range []string{"web-1", "web-2", "web-3"} {
			b := start(t, func(c *Config) { c.Instance = instance }, always(200))
			time.Sleep(16 * time.Second)
			at := b.wire.times()
			if len(at) < 2 || at[1] <= 0 || at[1] > 15*time.Second {
				t.Fatalf("%s: pushes at %v", instance, at)
			}
			seen[at[1]] = true
			b.end(t)
		}
		if len(seen) != 3 {
			t.Errorf("three instances push at %v", seen)
		}
	})
}

func TestT41_StopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, always(200))
		time.Sleep(20 * time.Second)
		b.end(t)
		n := len(b.wire.times()) // the final push included
		time.Sleep(time.Hour)
		if now := len(b.wire.times()); now != n {
			t.Errorf("%d pushes after the end", now-n)
		}
	})
}

// T42_: whatever a push came to, the next one comes.
func TestT42_AFailedPushDoesNotStopTheOthers(t *testing.T) {
	for _, status := range []int{500, 503, 403, 302} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, nil, failing(3, status))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if row := b.rows.last(); row.State != StateOK || row.Failures != 3 || row.Pushes < 2 {
				t.Errorf("%d: row %+v", status, row)
			}
			b.end(t)
		})
	}
}

// T43_: the first failure is told, of the following some, and the end of it.
func TestT43_FailuresAreVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const down = 12
		var events []string
		b := start(t, func(c *Config) {
			c.Interval = time.Hour
			c.Event = func(e core.Event) { events = append(events, e.From+">"+e.To) }
		}, failing(down, 503))
		synctest.Wait()
		if n := strings.Count(b.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings of the first failure", n)
		}
		row := b.rows.last()
		if row.Consecutive != 1 || row.LastError == "" || row.NextAttempt.IsZero() || !row.LastSuccess.IsZero() {
			t.Errorf("row %+v", row)
		}
		time.Sleep(13 * time.Minute)
		synctest.Wait()
		warned := strings.Count(b.log.String(), "push failed")
		if warned < 2 || warned >= down {
			t.Errorf("%d warnings for %d failures", warned, down)
		}
		mustContain(t, b.log.String(), "push works again", "failures=12")
		if got := strings.Join(events, " "); got != ">waiting waiting>retrying retrying>ok" {
			t.Errorf("events %s", got)
		}
		if row := b.rows.last(); row.LastSuccess.IsZero() || row.LastError != "" {
			t.Errorf("row %+v", row)
		}
		b.end(t)
	})
}

func TestT38_TransientFailuresBackOffAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const down = 12
		b := start(t, func(c *Config) { c.Interval = time.Hour }, failing(down, 503))
		synctest.Wait()
		row := b.rows.last()
		if row.State != StateRetrying || row.Consecutive != 1 || time.Until(row.NextAttempt) > time.Second+time.Millisecond {
			t.Errorf("row %+v", row)
		}
		mustContain(t, row.LastError, "503 Service Unavailable: said")
		time.Sleep(13 * time.Minute)
		synctest.Wait()
		at := b.wire.times()
		if len(at) < down+1 {
			t.Fatalf("pushes at %v", at)
		}
		for i := 1; i <= down; i++ {
			if limit := min(time.Minute, time.Second<<(i-1)) + time.Millisecond; at[i]-at[i-1] > limit {
				t.Errorf("retry %d after %v, limit %v", i, at[i]-at[i-1], limit)
			}
		}
		row = b.rows.last()
		if row.State != StateOK || row.Consecutive != 0 || row.Failures != down || row.LastError != "" {
			t.Errorf("row %+v", row)
		}
		b.end(t)
	})
}

func TestT46_TheLastPushIsOfAFreshSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []uint64
		b := start(t, func(c *Config) {
			c.Fresh = func(context.Context) *core.Snapshot { return &core.Snapshot{Seq: 99} }
			inner := c.Families
			c.Families = func(s *core.Snapshot) []*dto.MetricFamily { sent = append(sent, s.Seq); return inner(s) }
		}, always(200))
		synctest.Wait()
		b.end(t)
		time.Sleep(time.Hour)
		if len(sent) != 2 || sent[0] != 1 || sent[1] != 99 {
			t.Errorf("snapshots pushed %v, want the newest and then a fresh one", sent)
		}
		if row := b.rows.last(); row.State != StateOK || row.Pushes != 2 || !row.NextAttempt.IsZero() {
			t.Errorf("row %+v", row)
		}
	})
}
