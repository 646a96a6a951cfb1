package metric

import (
	"math"

	"vitals/core"
)

// Times in this file are nanoseconds of CLOCK_MONOTONIC. A value is counted at
// the time when it happened, so that one that is told late is still in its place.

const (
	second = int64(1e9)

	// RateSlot is the resolution of rates; rates end one to two slots ago, since
	// the newest facts are still under way.
	RateSlot  = second / 4
	rateSlots = int(int64(core.RateWindow) / RateSlot)

	latencySlots = int64(core.LatencyWindow)/second + 2
)

// Rates counts events over the last core.RateWindow. The zero value is ready.
type Rates struct {
	newest int64 // number of the newest slot
	ring   [rateSlots + 4]uint32
}

// Observe counts n events at a time. Events older than the window are left out.
func (r *Rates) Observe(at int64, n uint32) {
	slot := at / RateSlot
	if slot > r.newest {
		r.advance(slot)
	}
	if slot > r.newest-int64(len(r.ring)) {
		r.ring[slot%int64(len(r.ring))] += n
	}
}

func (r *Rates) advance(slot int64) {
	if slot-r.newest >= int64(len(r.ring)) {
		clear(r.ring[:])
	} else {
		for s := r.newest + 1; s <= slot; s++ {
			r.ring[s%int64(len(r.ring))] = 0
		}
	}
	r.newest = slot
}

// Count returns how many events the window before now holds and how many
// seconds it covers; counting began at since.
func (r *Rates) Count(now, since int64) (n uint64, seconds float64) {
	return r.between(now/RateSlot-1-int64(rateSlots), now/RateSlot-1, since)
}

// between sums the slots from first up to and without end.
func (r *Rates) between(first, end, since int64) (n uint64, seconds float64) {
	begin := float64(max(first*RateSlot, since))
	if s := (float64(end*RateSlot) - begin) / float64(second); s > 0 {
		seconds = s
	}
	for s := max(first, r.newest-int64(len(r.ring))+1); s < end && s <= r.newest; s++ {
		n += uint64(r.ring[s%int64(len(r.ring))])
	}
	return n, seconds
}

// PerSecond returns the rate, 0 before there is anything to tell.
func (r *Rates) PerSecond(now, since int64) float64 {
	n, seconds := r.Count(now, since)
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

// Quiet reports whether nothing was counted lately.
func (r *Rates) Quiet(now int64) bool {
	return now/RateSlot-r.newest >= int64(len(r.ring))
}

// Window is a histogram of the last core.LatencyWindow, kept by the second.
// The zero value is ready.
type Window struct {
	newest int64 // number of the newest second
	slots  [latencySlots]Histogram
}

// Observe counts n equal values at a time.
func (w *Window) Observe(at int64, p Point, n uint64) {
	sec := at / second
	if sec > w.newest {
		w.advance(sec)
	}
	if sec > w.newest-latencySlots {
		w.slots[sec%latencySlots].Observe(p, n)
	}
}

func (w *Window) advance(sec int64) {
	for s := max(w.newest+1, sec-latencySlots+1); s <= sec; s++ {
		w.slots[s%latencySlots].Reset()
	}
	w.newest = sec
}

// Recent merges the last core.LatencyWindow before now into h, which it resets first.
func (w *Window) Recent(now int64, h *Histogram) {
	h.Reset()
	sec := now / second
	w.span(sec-int64(core.LatencyWindow)/second+1, sec+1, h)
}

// span adds the seconds from first up to and without end to h.
func (w *Window) span(first, end int64, h *Histogram) {
	for s := max(first, w.newest-latencySlots+1); s < end && s <= w.newest; s++ {
		h.Merge(&w.slots[s%latencySlots])
	}
}

// Quiet reports whether nothing was counted in the window before now.
func (w *Window) Quiet(now int64) bool { return now/second-w.newest >= latencySlots }

// quantile32 is a quantile as a trend's point; NaN without values.
func quantile32(h *Histogram, q float64) float32 {
	if h.count == 0 {
		return float32(math.NaN())
	}
	return float32(h.Quantile(q))
}
