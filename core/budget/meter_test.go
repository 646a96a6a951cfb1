package budget

import (
	"math"
	"testing"
	"time"

	"vitals/core"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func row(service string, n uint64, tls bool) *core.RequestRow {
	return &core.RequestRow{Service: service, Count: n, TLS: tls}
}

func ran(unit, name string, ratio float64) core.Program {
	return core.Program{Unit: "instrumentation/" + unit, Name: name, Ratio: ratio}
}

func TestMeter(t *testing.T) {
	at := time.Unix(1e9, 0)
	first := &core.Snapshot{
		Host:     core.Host{CPUs: 4},
		Requests: []*core.RequestRow{row("nginx", 1000, false), row("redis", 7, false)},
	}
	m := NewMeter(first, at, time.Second)
	second := &core.Snapshot{
		Host:     first.Host,
		Self:     core.Self{BPFRatio: .37},
		Programs: []core.Program{ran("requests", "send", .2), ran("requests", "recv", .1), ran("tls", "read", .06), ran("network", "state", .01)},
		// 30,000 and 10,000 more, of them 10,000 within TLS
		Requests: []*core.RequestRow{row("nginx", 21000, false), row("nginx", 10000, true)},
		Retired:  []*core.RequestRow{row("redis", 10007, false)},
	}
	l := m.Look(second, at.Add(10*time.Second), 2*time.Second, .01)
	near(t, "limit", l.Limit, .04)
	near(t, "total", l.Total, .1+.37)
	user := 40000 * 2e-6 / 10 // of 0.1 that were used
	want := map[core.Shed]float64{
		nginx: (.3 + user) * .75, redis: (.3 + user) * .25, {Kind: "tls", Service: "nginx"}: .06,
	}
	if len(l.Spends) != len(want) {
		t.Errorf("spends %v", l.Spends)
	}
	for _, s := range l.Spends {
		near(t, s.Service+" "+s.Kind, s.Ratio, want[s.Shed])
	}
	l = m.Look(second, at.Add(20*time.Second), 2*time.Second, .001) // nothing was asked since
	near(t, "total later", l.Total, .37)
	near(t, "the least limit", l.Limit, .02)
	if len(l.Spends) != 0 {
		t.Errorf("spends %v", l.Spends)
	}
	// Processes ended and are forgotten, programs are not measured: nothing is negative.
	l = m.Look(&core.Snapshot{Host: first.Host, Self: core.Self{BPFRatio: math.NaN()}, Programs: []core.Program{ran("requests", "send", math.NaN())},
		Requests: []*core.RequestRow{row("nginx", 5, false), row("redis", 20007, false)}}, at.Add(30*time.Second), 3*time.Second, 0)
	near(t, "total unmeasured", l.Total, .1)
	near(t, "no limit", l.Limit, 0)
	if len(l.Spends) != 1 || l.Spends[0].Shed != redis {
		t.Errorf("spends %v", l.Spends)
	}
	near(t, "redis", l.Spends[0].Ratio, 10000*2e-6/10)
	if l = m.Look(second, at.Add(30*time.Second), 3*time.Second, .01); l.Total != 0 || l.Spends != nil {
		t.Errorf("in no time %+v", l)
	}
}
