package core

import (
	"math"
	"testing"
)

func TestCostsAreSharedByRequests(t *testing.T) {
	a, b, idle := ProcKey{PID: 1}, ProcKey{PID: 2}, ProcKey{PID: 3}
	s := &Snapshot{
		Programs: []Program{
			{Unit: "instrumentation/requests", Name: "send", Ratio: .06}, {Unit: "instrumentation/requests", Name: "recv", Ratio: .02},
			{Unit: "instrumentation/requests", Name: "new", Ratio: math.NaN()}, {Unit: "instrumentation/tls", Name: "read", Ratio: .01},
			{Unit: "instrumentation/network", Name: "state", Ratio: .5}, {Unit: "requests", Name: "strange", Ratio: 9},
		},
		Requests: []*RequestRow{{Proc: a, Rate: 30}, {Proc: a, Rate: 30, TLS: true}, {Proc: b, Rate: 20}, {Proc: idle}},
	}
	c := s.Costs()
	for _, x := range []struct {
		kind string
		p    ProcKey
		want float64
	}{
		{"requests", a, .06}, {"requests", b, .02}, {"requests", idle, 0}, {"requests", ProcKey{PID: 4}, 0},
		{"tls", a, .01}, {"tls", b, 0}, {"network", a, math.NaN()}, {"lifecycle", a, math.NaN()},
	} {
		if got := c.Of(x.kind, x.p); math.Abs(got-x.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(x.want) {
			t.Errorf("%s of %d costs %v, want %v", x.kind, x.p.PID, got, x.want)
		}
	}
	s.Programs = []Program{{Unit: "instrumentation/requests", Ratio: math.NaN()}}
	if got := s.Costs().Of("requests", a); !math.IsNaN(got) {
		t.Errorf("before it is measured it costs %v", got)
	}
	s.Programs = []Program{{Unit: "instrumentation/requests", Ratio: .3}}
	s.Requests = nil
	if got := s.Costs().Of("requests", a); got != 0 {
		t.Errorf("without requests it costs %v", got)
	}
}
