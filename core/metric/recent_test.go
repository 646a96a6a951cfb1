package metric

import (
	"math"
	"testing"
	"time"

	"vitals/core"
)

func TestRateOverItsWindow(t *testing.T) {
	var r Rates
	start := int64(100 * second)
	told := int64(0)
	for _, c := range []struct {
		at   float64 // seconds after start
		want float64
	}{{1, 100}, {2.3, 100}, {10, 100}, {12.75, 50}, {20, 0}} {
		now := start + int64(c.at*1e9)
		for ; told < 1000 && start+told*second/100 < now; told++ { // 100 a second for ten seconds
			r.Observe(start+told*second/100, 1)
		}
		if got := r.PerSecond(now, start); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("after %v s the rate is %v, want %v", c.at, got, c.want)
		}
		if quiet := r.Quiet(now); quiet != (c.at == 20) {
			t.Errorf("after %v s quiet is %v", c.at, quiet)
		}
	}
}

// What is told late is counted where it happened, so a stall of ours is no
// spike of theirs.
func TestLateFactsFindTheirPlace(t *testing.T) {
	var late, prompt Recent
	start := int64(200 * second)
	for i := range int64(400) {
		prompt.Observe(start+i*second/50, Of(time.Millisecond), 1, i%4 == 0, true)
	}
	for i := int64(399); i >= 0; i-- {
		late.Observe(start+i*second/50, Of(time.Millisecond), 1, i%4 == 0, true)
	}
	var a, b core.RED
	var scratch Histogram
	now := start + 8*second
	prompt.RED(now, start, &scratch, &a)
	late.RED(now, start, &scratch, &b)
	if a != b || a.Rate != 50 || math.Abs(a.ErrRatio-.25) > .01 {
		t.Errorf("prompt %+v\nlate   %+v", a, b)
	}
}

func TestWindowForgets(t *testing.T) {
	var r Recent
	var scratch Histogram
	var red core.RED
	start := int64(1000 * second)
	r.Observe(start, Of(time.Second), 5, false, true)
	r.RED(start+9*second, start, &scratch, &red)
	if red.Max != 1 || scratch.Count() != 5 {
		t.Errorf("after 9 s: %+v", red)
	}
	r.RED(start+10*second, start, &scratch, &red)
	if !math.IsNaN(red.P99) || !math.IsNaN(red.Max) || !math.IsNaN(red.ErrRatio) {
		t.Errorf("after 10 s: %+v: unknown is NaN", red)
	}
}

func TestTrendsAndHeat(t *testing.T) {
	var r Recent
	var scratch Histogram
	start := int64(1000 * second) // a step's begin
	for i := range int64(20) {
		r.Observe(start+i*second, Of(time.Duration(1+i/5)*10*time.Millisecond), 10, i >= 15, true)
		r.Close(start+i*second, &scratch)
	}
	r.Close(start+20*second+second/2, &scratch)
	rate, p99 := r.Trends(start - 2*stepNanos)
	heat := r.Heat()
	for i := range 4 {
		at := Steps - 4 + i
		if rate.Points[at] != 10 {
			t.Errorf("rate %v, want 10", rate.Points[at])
		}
		if want := float64(1+i) * .01; math.Abs(float64(p99.Points[at])-want) > want*.01 {
			t.Errorf("p99 %v, want %v", p99.Points[at], want)
		}
		var n uint32
		for _, c := range heat.Columns[at] {
			n += c
		}
		if n != 50 {
			t.Errorf("heat column holds %d, want 50", n)
		}
	}
	if rate.Points[Steps-5] != 0 || !math.IsNaN(float64(p99.Points[Steps-5])) {
		t.Errorf("before the first: %v %v, want 0 and unknown", rate.Points[Steps-5], p99.Points[Steps-5])
	}
	if !math.IsNaN(float64(rate.Points[Steps-7])) {
		t.Errorf("before counting began: %v, want unknown", rate.Points[Steps-7])
	}
	usual, errs, steps := r.Usual()
	if steps != 4 || math.Abs(usual-.03) > .001 || errs != 0 {
		t.Errorf("usual %v %v %v", usual, errs, steps)
	}
	r.Close(start+400*second, &scratch)
	if r.Active() {
		t.Error("an empty history keeps its memory")
	}
}

func TestAbsorbIsTheSum(t *testing.T) {
	var a, b, both Recent
	start := int64(5000 * second)
	for i := range int64(3000) {
		at, p := start+i*second/100, Of(time.Duration(i)*time.Microsecond*50)
		both.Observe(at, p, 1, i%3 == 0, true)
		if i%2 == 0 {
			a.Observe(at, p, 1, i%3 == 0, true)
		} else {
			b.Observe(at, p, 1, i%3 == 0, true)
		}
	}
	a.Absorb(&b)
	var x, y core.RED
	var s Histogram
	now := start + 30*second
	a.RED(now, start, &s, &x)
	both.RED(now, start, &s, &y)
	if x != y {
		t.Errorf("absorbed %+v\nboth     %+v", x, y)
	}
	a.Close(now, &s)
	both.Close(now, &s)
	ra, pa := a.Trends(start)
	rb, pb := both.Trends(start)
	for i := range ra.Points {
		if (ra.Points[i] != rb.Points[i] && !math.IsNaN(float64(rb.Points[i]))) || (pa.Points[i] != pb.Points[i] && !math.IsNaN(float64(pb.Points[i]))) {
			t.Errorf("point %d: %v %v, want %v %v", i, ra.Points[i], pa.Points[i], rb.Points[i], pb.Points[i])
		}
	}
}

func TestLineIsARing(t *testing.T) {
	l := NewLine(3, time.Second)
	for i := range 5 {
		l.Add(float32(i))
	}
	if p := l.Trend().Points; p[0] != 2 || p[2] != 4 || l.Below(3) || !l.Below(5) {
		t.Errorf("%v", p)
	}
}
