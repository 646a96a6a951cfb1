package budget

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vitals/core"
)

var (
	nginx = core.Shed{Kind: "requests", Service: "nginx"}
	redis = core.Shed{Kind: "requests", Service: "redis"}
)

// desk is a keeper with a machine in which load costs what it costs unless it is shed.
type desk struct {
	Keeper
	t     *testing.T
	at    time.Time
	limit float64
	base  float64
	loads map[core.Shed]float64
}

// pass looks for a while, and gives the number of changes.
func (d *desk) pass(time_ time.Duration) (changes int) {
	for end := d.at.Add(time_); d.at.Before(end); {
		d.at = d.at.Add(Period)
		l := Look{At: d.at, Limit: d.limit, Total: d.base}
		for s, ratio := range d.loads {
			if !slices.Contains(d.Shed(), s) {
				l.Total += ratio
				l.Spends = append(l.Spends, Spend{s, ratio})
			}
		}
		if d.Look(l) {
			changes++
		}
	}
	return changes
}

func (d *desk) want(want ...core.Shed) {
	d.t.Helper()
	if got := d.Shed(); !slices.Equal(got, want) {
		d.t.Fatalf("%v is shed, want %v", got, want)
	}
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, at: time.Unix(1e9, 0), limit: .1, base: .01, loads: map[core.Shed]float64{nginx: .05, redis: .02}}
}

func TestNothingIsShedWithinTheBudget(t *testing.T) {
	d := newDesk(t)
	if n := d.pass(time.Hour); n != 0 {
		t.Errorf("%d changes", n)
	}
	d.limit = 0
	d.loads[nginx] = 2
	if n := d.pass(time.Hour); n != 0 {
		t.Errorf("%d changes without a budget", n)
	}
}

func TestABurstIsNoHabit(t *testing.T) {
	d := newDesk(t)
	for range 20 {
		d.loads[nginx] = 1
		d.pass(Period)
		d.loads[nginx] = .05
		d.pass(Period)
	}
	d.want()
}

func TestTheDearestGoesAndComesBack(t *testing.T) {
	d := newDesk(t)
	d.loads[nginx] = .3
	d.pass(2 * Period)
	d.want(nginx) // redis may stay
	d.loads[nginx] = .05
	d.pass(firstPause)
	d.want()
	d.pass(time.Hour)
	d.want()
}

// As much is let go at once as it takes.
func TestAllThatItTakesGoesAtOnce(t *testing.T) {
	d := newDesk(t)
	d.loads[nginx], d.loads[redis] = .3, .2
	d.pass(2 * Period)
	d.want(nginx, redis)
}

// What stays dear is tried less and less often, and observed for a small part of
// the time.
func TestTriesBecomeRare(t *testing.T) {
	d := newDesk(t)
	d.loads[nginx] = .3
	early := d.pass(30 * time.Minute)
	d.pass(2 * time.Hour)
	late := d.pass(3 * time.Hour)
	if early < 5 || late > 14 || late < 8 {
		t.Errorf("%d changes in the first half hour, %d in three later ones", early, late)
	}
	d.want(nginx)
	d.loads[nginx] = .05 // one day it is quiet
	d.pass(longestPause + 2*rest)
	d.want()
}

// There is no waiting for what has room.
func TestRoomLetsIn(t *testing.T) {
	d := newDesk(t)
	d.loads[nginx] = .3
	d.pass(2 * Period)
	d.want(nginx)
	d.limit = 1
	d.pass(rest + Period)
	d.want()
}

func TestNoBudgetLetsAllIn(t *testing.T) {
	d := newDesk(t)
	d.loads[nginx], d.loads[redis] = .3, .2
	d.pass(2 * Period)
	d.limit = 0
	if n := d.pass(Period); n != 1 {
		t.Errorf("%d changes", n)
	}
	d.want()
}

// What would not help is left alone, and that is told once.
func TestWhatDoesNotHelpStays(t *testing.T) {
	d := newDesk(t)
	d.base, d.loads = .2, map[core.Shed]float64{nginx: .001}
	d.pass(2 * Period)
	if d.Helpless() {
		t.Error("helpless after its first attempt")
	}
	d.pass(10 * Period)
	d.want()
	if !d.Helpless() {
		t.Error("not helpless")
	}
	d.base = .01
	d.pass(Period)
	if d.Helpless() {
		t.Error("helpless within the budget")
	}
}

// Whatever the loads do: no look within rest of a change changes anything, what is
// out was there, and without load everything comes back.
func TestKeeperWithAnyLoads(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t)
		names := []core.Shed{nginx, redis, {Kind: "tls", Service: "nginx"}, {Kind: "requests", Service: "a"}}
		last := time.Time{}
		for range 500 {
			d.loads[names[rnd.IntN(len(names))]] = rnd.Float64() * .2
			if d.pass(Period) > 0 {
				if d.at.Sub(last) < rest {
					t.Fatalf("seed %d: changes at %v and %v", seed, last, d.at)
				}
				last = d.at
			}
		}
		for _, s := range d.Shed() {
			if !slices.Contains(names, s) {
				t.Fatalf("seed %d: %v is shed", seed, s)
			}
		}
		clear(d.loads)
		d.pass(2 * longestPause)
		d.want()
	}
}
