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

func ran(unit, name string, run, measured time.Duration) core.Program {
	return core.Program{Unit: "instrumentation/" + unit, Name: name, RunTime: run, Measured: measured}
}

func TestMeter(t *testing.T) {
	at := time.Unix(1e9, 0)
	first := &core.Snapshot{
		Host:     core.Host{CPUs: 4},
		Programs: []core.Program{ran("requests", "send", time.Second, 5*time.Second)},
		Requests: []*core.RequestRow{row("nginx", 1000, false), row("redis", 7, false)},
	}
	m := NewMeter(first, at, time.Second)
	second := &core.Snapshot{
		Host: first.Host,
		Programs: []core.Program{ran("requests", "send", 1200*time.Millisecond, 6*time.Second), ran("requests", "recv", 100*time.Millisecond, time.Second),
			ran("tls", "read", 60*time.Millisecond, time.Second), ran("network", "state", 10*time.Millisecond, time.Second)},
		// 30,000 and 10,000 more, of them 10,000 within TLS
		Requests: []*core.RequestRow{row("nginx", 21000, false), row("nginx", 10000, true)},
		Retired:  []*core.RequestRow{row("redis", 10007, false)},
	}
	l := m.Look(second, at.Add(10*time.Second), 2*time.Second, .01)
	near(t, "limit", l.Limit, .04)
	near(t, "total", l.Total, .1+.2+.1+.06+.01)
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
	// Nothing was measured since, and nothing was asked: programs cost what they did.
	l = m.Look(second, at.Add(20*time.Second), 2*time.Second, .001)
	near(t, "total later", l.Total, .37)
	near(t, "the least limit", l.Limit, .02)
	if len(l.Spends) != 0 {
		t.Errorf("spends %v", l.Spends)
	}
	// Detached, attached anew, ended: nothing is negative, nothing is kept.
	l = m.Look(&core.Snapshot{Host: first.Host, Programs: []core.Program{ran("requests", "send", 10*time.Millisecond, time.Second)},
		Requests: []*core.RequestRow{row("nginx", 5, false)}}, at.Add(30*time.Second), 2*time.Second, 0)
	near(t, "total anew", l.Total, .01)
	near(t, "no limit", l.Limit, 0)
	if len(l.Spends) != 0 {
		t.Errorf("spends %v", l.Spends)
	}
	if l = m.Look(second, at.Add(30*time.Second), 2*time.Second, .01); l.Total != 0 {
		t.Errorf("in no time %+v", l)
	}
}
