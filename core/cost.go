package core

import (
	"math"
	"strings"
)

// Kernel is what the programs of an instrumentation's kind cost, as a share of one
// core, as they were measured last; NaN before they were.
func (s *Snapshot) Kernel(kind string) float64 {
	sum := math.NaN()
	for i := range s.Programs {
		p := &s.Programs[i]
		if unit, ok := strings.CutPrefix(p.Unit, string(ClassInstrumentation)+"/"); !ok || unit != kind || math.IsNaN(p.Ratio) {
			continue
		}
		if math.IsNaN(sum) {
			sum = 0
		}
		sum += p.Ratio
	}
	return sum
}

// Costs shares out what kinds of instrumentation cost in the kernel.
type Costs struct {
	snap        *Snapshot
	all, inside float64 // requests a second; of them inside TLS
	of          map[ProcKey]share
}

type share struct{ all, inside float64 }

// Costs looks at all requests of the snapshot once.
func (s *Snapshot) Costs() *Costs {
	c := &Costs{snap: s, of: map[ProcKey]share{}}
	for _, r := range s.Requests {
		if !(r.Rate > 0) {
			continue
		}
		n := c.of[r.Proc]
		n.all, c.all = n.all+r.Rate, c.all+r.Rate
		if r.TLS {
			n.inside, c.inside = n.inside+r.Rate, c.inside+r.Rate
		}
		c.of[r.Proc] = n
	}
	return c
}

// Of is what a kind costs at a process in the kernel, as a share of one core: of
// requests and tls, whose programs run as often as there are requests, its part of
// the requests of the last RateWindow. Of other kinds, and before the kernel has
// measured the programs, it is NaN: unknown.
func (c *Costs) Of(kind string, p ProcKey) float64 {
	n := c.of[p]
	part, whole := n.all, c.all
	switch kind {
	case "requests":
	case "tls":
		part, whole = n.inside, c.inside
	default:
		return math.NaN()
	}
	kernel := c.snap.Kernel(kind)
	switch {
	case math.IsNaN(kernel):
		return kernel
	case part == 0:
		return 0
	}
	return kernel * part / whole
}
