package page

import (
	"math"
	"math/rand"
	"slices"
	"testing"

	"vitals/core"
)

func count(scale int32, values []float64) *core.Distribution {
	d := &core.Distribution{Scale: scale, Min: math.Inf(1)}
	index := func(v float64) int { return int(math.Ceil(math.Log2(v)*math.Exp2(float64(scale)))) - 1 }
	low, high := math.MaxInt, math.MinInt
	for _, v := range values {
		low, high = min(low, index(v)), max(high, index(v))
	}
	d.Offset, d.Buckets = int32(low), make([]uint64, high-low+1)
	for _, v := range values {
		d.Buckets[index(v)-low]++
		d.Count++
		d.Sum += v
		d.Min, d.Max = min(d.Min, v), max(d.Max, v)
	}
	return d
}

// A merged distribution agrees with one that counted everything.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	var all []float64
	var parts []*core.Distribution
	for i, scale := range []int32{3, 5, 1} {
		var values []float64
		for range 1000 {
			values = append(values, 0.001*float64(i+1)*math.Exp(rng.NormFloat64()))
		}
		all = append(all, values...)
		parts = append(parts, count(scale, values))
	}
	parts = append(parts, nil, &core.Distribution{})
	got, want := Merge(parts), count(1, all)
	if got.Count != want.Count || math.Abs(got.Sum-want.Sum) > 1e-9 || got.Min != want.Min || got.Max != want.Max || got.Offset != want.Offset || !slices.Equal(got.Buckets, want.Buckets) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if d := Merge(nil); d != nil || !math.IsNaN(d.Quantile(0.5)) {
		t.Errorf("nothing merges to %+v", d)
	}
	var sum float64
	for _, n := range Bands(got) {
		sum += n
	}
	if sum != float64(got.Count) {
		t.Errorf("%v of %d in bands", sum, got.Count)
	}
}

func TestStateOf(t *testing.T) {
	in := func(on bool, phase core.Phase, reason string) core.InstrState {
		return core.InstrState{Kind: "k" + reason, On: on, Phase: phase, Reason: reason}
	}
	on, off := in(true, core.PhaseRunning, ""), in(false, core.PhaseOff, "off by default")
	failed, unsupported, attaching := in(true, core.PhaseFailed, "no symbols"), in(true, core.PhaseUnsupp, "no BTF"), in(true, core.PhaseAttaching, "")
	for _, c := range []struct {
		instr  []core.InstrState
		skip   string
		dead   bool
		want   State
		reason string
	}{
		{[]core.InstrState{on, on}, "", false, StateOn, ""},
		{[]core.InstrState{on, off}, "", false, StateOn, ""},
		{[]core.InstrState{off, off}, "", false, StateOff, "off by default"},
		{nil, "", false, StateOff, ""},
		{[]core.InstrState{on, failed}, "", false, StatePartly, "kno symbols: no symbols"},
		{[]core.InstrState{failed}, "", false, StateFailed, "no symbols"},
		{[]core.InstrState{unsupported}, "", false, StateOff, "no BTF"},
		{[]core.InstrState{unsupported, failed}, "", false, StateFailed, "no symbols"},
		{[]core.InstrState{on, unsupported}, "", false, StatePartly, "kno BTF: no BTF"},
		{[]core.InstrState{on, attaching}, "", false, StateChanging, "k attaching"},
		{[]core.InstrState{on}, "kernel thread", false, StateNever, "kernel thread"},
		{[]core.InstrState{on}, "", true, StateEnded, "ended"},
	} {
		row := &core.ProcessRow{Process: &core.Process{Skip: c.skip}, Alive: !c.dead, Instr: c.instr}
		if got, reason := StateOf(&Context{}, row); got != c.want || reason != c.reason {
			t.Errorf("%+v: %v %q, want %v %q", c, got, reason, c.want, c.reason)
		}
	}
}

func TestProcessByKey(t *testing.T) {
	s := &core.Snapshot{}
	for _, k := range []core.ProcKey{{PID: 1, Birth: 1}, {PID: 7, Birth: 1}, {PID: 7, Birth: 2}, {PID: 9, Birth: 1}} {
		s.Processes = append(s.Processes, &core.ProcessRow{Process: &core.Process{ProcKey: k}})
	}
	for _, r := range s.Processes {
		if Process(s, r.ProcKey) != r {
			t.Errorf("%v is not found", r.ProcKey)
		}
	}
	for _, k := range []core.ProcKey{{PID: 7, Birth: 3}, {PID: 8, Birth: 1}, {PID: 10, Birth: 1}, {}} {
		if Process(s, k) != nil {
			t.Errorf("%v is found", k)
		}
	}
}

func TestClass(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want Size
	}{{120, 36, Wide}, {110, 30, Wide}, {109, 30, Normal}, {200, 29, Normal}, {80, 24, Normal}, {79, 24, Small}, {60, 14, Small}, {59, 14, Tiny}, {60, 13, Tiny}} {
		if got := Class(c.w, c.h); got != c.want {
			t.Errorf("%dx%d is %d, want %d", c.w, c.h, got, c.want)
		}
	}
}

func TestProcessFilter(t *testing.T) {
	nan := math.NaN()
	row := &core.ProcessRow{Alive: true, CPURatio: 0.2, Process: &core.Process{ProcKey: core.ProcKey{PID: 28}, Comm: "checkout", Cmdline: "/srv/checkout --x", Service: "shop",
		User: "www", Runtime: core.Runtime{Language: "go"}, Listeners: []core.Listener{{Network: "tcp", Address: "[::]:8080"}}},
		Server: core.RED{Rate: 5, ErrRatio: 0.02, P99: 0.4, Count: 9}, Client: core.RED{ErrRatio: nan}, Usage: core.Usage{RSS: 2 << 30}}
	for line, want := range map[string]bool{"": true, "check": true, "--x": true, "pid:28": true, "pid:2": false, "lang:go|java": true, "port:8080": true, "port:80": false, "user:www service:sho": true,
		"err>1": true, "err>3": false, "p99>100ms": true, "p99<100ms": false, "rate>4": true, "cpu>15": true, "rss>1G": true, "state:off": true, "state:on": false, "!check": false} {
		if f := ParseProcesses(&Context{}, line); f.Match(row) != want {
			t.Errorf("%q matches: %v, want %v", line, !want, want)
		}
	}
}

// What the column NAME shows can be asked for by name.
func TestFilterByShownName(t *testing.T) {
	r := &core.ProcessRow{Process: &core.Process{Comm: "python3", Service: "checkout"}}
	for line, want := range map[string]bool{"name:checkout": true, "name:python": true, "name:nginx|check": true, "!name:python3": false, "name:nginx": false} {
		if f := ParseProcesses(&Context{Snap: &core.Snapshot{}}, line); f.Match(r) != want {
			t.Errorf("%s matches: %v, want %v", line, !want, want)
		}
	}
}
