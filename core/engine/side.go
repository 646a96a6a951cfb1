package engine

import (
	"math"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// side is one side, server or client, of a process or a service.
type side struct {
	recent        *metric.Recent // nil without requests
	count, errors uint64
	inFlight      int
	oldest        int64
	stepped       bool
	rate, p99     *core.Trend
	heat          *core.Heat
}

func (d *side) observe(at int64, pt metric.Point, n uint32, failed, timed bool) {
	if d.recent == nil {
		d.recent = &metric.Recent{}
	}
	d.count += uint64(n)
	if failed {
		d.errors += uint64(n)
	}
	d.recent.Observe(at, pt, n, failed, timed)
}

// close ends the steps of the history that are over.
func (d *side) close(s *state) bool {
	if d.recent == nil || !d.recent.Active() {
		return false
	}
	ended := d.recent.Close(s.mono, &s.scratch)
	if d.count >= historyFrom && (ended || d.recent.Fresh() || d.rate == nil) {
		d.stepped = true
	}
	return ended
}

// quiet reports whether the recent figures hold nothing any more.
func (d *side) quiet(now int64) bool {
	return d.inFlight == 0 && (d.recent == nil || d.recent.Quiet(now))
}

// forget drops the recent past; the counts stay.
func (d *side) forget() {
	d.recent, d.rate, d.p99, d.heat = nil, nil, nil, nil
	d.inFlight, d.oldest, d.stepped = 0, 0, false
}

// red renders the recent figures; the latency window is left in s.scratch.
func (d *side) red(s *state) core.RED {
	r := core.RED{ErrRatio: math.NaN(), P50: math.NaN(), P90: math.NaN(), P99: math.NaN(), Max: math.NaN()}
	if d.recent != nil {
		d.recent.RED(s.mono, s.startedMono, &s.scratch, &r)
	} else {
		s.scratch.Reset()
	}
	r.Count, r.Errors, r.InFlight = d.count, d.errors, d.inFlight
	if d.inFlight > 0 && d.oldest > 0 {
		r.Oldest = time.Duration(max(0, s.mono-d.oldest))
	}
	return r
}

// historyFrom is how many requests make a history worth its 4 KiB a step: a
// machine full of clients that make one request each is full of them otherwise.
const historyFrom = 10

// past renders trends and heat, renewed when a step ended.
func (d *side) past(s *state) (rate, p99 *core.Trend, heat *core.Heat) {
	if d.recent == nil || d.count < historyFrom {
		return nil, nil, nil
	}
	if d.stepped {
		d.stepped = false
		d.rate, d.p99 = d.recent.Trends(s.startedMono)
		d.heat = d.recent.Heat()
	}
	return d.rate, d.p99, d.heat
}
