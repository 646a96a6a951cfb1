package engine

import (
	"testing"
	"time"

	"vitals/core"
)

// What grows evenly has one rate, however often it is told.
func TestRateOfACounterDoesNotDependOnTheLooks(t *testing.T) {
	const begin = int64(time.Hour)
	for _, every := range []time.Duration{250 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 5100 * time.Millisecond} {
		v := value{desc: &core.Desc{Kind: core.Counter}}
		next, last := begin, int64(0)
		for now := begin; now < begin+int64(time.Minute); now += int64(50 * time.Millisecond) {
			if now >= next {
				v.add(1000*every.Seconds(), next)
				last, next = next, next+int64(every)
			}
			if rate := v.render(now).Rate; now > begin+int64(12*time.Second) && (rate < 999 || rate > 1001) {
				t.Fatalf("told every %v: %.0f a second %v after the last time, want 1000", every, rate, time.Duration(now-last))
			}
		}
		fell := v.render(last + int64(4*time.Second)).Rate
		if every <= 2*time.Second && !(fell < 999) {
			t.Errorf("told every %v, nothing for 4 s: still %.0f a second", every, fell)
		}
		if rate := v.render(last + silence).Rate; rate != 0 {
			t.Errorf("told every %v, nothing for %v: %.0f a second", every, time.Duration(silence), rate)
		}
	}
}
