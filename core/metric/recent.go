package metric

import (
	"math"
	"slices"
	"time"

	"vitals/core"
)

// History of a Recent: Steps steps of Step.
const (
	Step      = 5 * time.Second
	Steps     = 60
	stepNanos = int64(Step)
)

// Recent is everything about the recent past of one side of a process, a
// service or the machine: rates, the latency window, and a history for trends
// and heat maps. The zero value is ready; the history's memory is claimed by
// the first value and given back by Close once it holds nothing.
type Recent struct {
	all, failed Rates
	window      Window
	past        *past
}

// past is a ring of steps.
type past struct {
	newest int64 // number of the newest step that has something
	closed int64 // number of the newest step whose p99 is known
	heat   [Steps + 2]core.HeatColumn
	counts [Steps + 2]uint32
	errors [Steps + 2]uint32
	p99    [Steps + 2]float32
}

// Observe counts n equal requests that ended at a time. Timed is false when
// their duration is not known.
func (r *Recent) Observe(at int64, p Point, n uint32, failed, timed bool) {
	r.all.Observe(at, n)
	if failed {
		r.failed.Observe(at, n)
	}
	if timed {
		r.window.Observe(at, p, uint64(n))
	}
	if r.past == nil {
		r.past = &past{newest: at / stepNanos, closed: at/stepNanos - 1}
		for i := range r.past.p99 {
			r.past.p99[i] = float32(math.NaN())
		}
	}
	h := r.past
	step := at / stepNanos
	if step > h.newest {
		h.advance(step)
	}
	if step <= h.newest-int64(len(h.counts)) {
		return
	}
	i := step % int64(len(h.counts))
	h.counts[i] += n
	if failed {
		h.errors[i] += n
	}
	if timed {
		h.heat[i][p.heat] += n
	}
}

func (h *past) advance(step int64) {
	for s := max(h.newest+1, step-int64(len(h.counts))+1); s <= step; s++ {
		i := s % int64(len(h.counts))
		h.heat[i], h.counts[i], h.errors[i], h.p99[i] = core.HeatColumn{}, 0, 0, float32(math.NaN())
	}
	h.newest = step
}

// Close ends the steps before now, with scratch for merging, and reports
// whether a step ended. A step is ended half a second late, so that what is
// still under way finds its place.
func (r *Recent) Close(now int64, scratch *Histogram) bool {
	if r.past == nil {
		return false
	}
	h := r.past
	done := (now-second/2)/stepNanos - 1
	if done <= h.closed {
		return false
	}
	if done > h.newest {
		h.advance(done)
	}
	for s := max(h.closed+1, done-int64(len(h.counts))+1); s <= done; s++ {
		scratch.Reset()
		r.window.span(s*stepNanos/second, (s+1)*stepNanos/second, scratch)
		h.p99[s%int64(len(h.counts))] = quantile32(scratch, .99)
	}
	h.closed = done
	if r.forgotten() {
		r.past = nil
	}
	return true
}

func (r *Recent) forgotten() bool {
	for _, n := range r.past.counts {
		if n != 0 {
			return false
		}
	}
	return true
}

// Active reports whether there is any history to show.
func (r *Recent) Active() bool { return r.past != nil }

// Quiet reports whether rates and the latency window hold nothing.
func (r *Recent) Quiet(now int64) bool { return r.all.Quiet(now) && r.window.Quiet(now) }

// RED fills the recent figures of red: rate, error ratio and quantiles. Since
// is when counting began; scratch is overwritten with the latency window.
func (r *Recent) RED(now, since int64, scratch *Histogram, red *core.RED) {
	n, seconds := r.all.Count(now, since)
	bad, _ := r.failed.Count(now, since)
	red.Rate, red.ErrRatio = 0, math.NaN()
	if seconds > 0 {
		red.Rate = float64(n) / seconds
	}
	if n > 0 {
		red.ErrRatio = float64(bad) / float64(n)
	}
	r.window.Recent(now, scratch)
	if scratch.count == 0 {
		red.P50, red.P90, red.P99, red.Max = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		return
	}
	v := scratch.view()
	red.P50, red.P90, red.P99, red.Max = v.Quantile(.5), v.Quantile(.9), v.Quantile(.99), scratch.max
}

// Trends returns the history as new trends, nil when there is none. The newest
// point is that of the last ended step; while no step has ended, the current
// one stands for it. Steps before since, when counting began, are unknown.
func (r *Recent) Trends(since int64) (rate, p99 *core.Trend) {
	if r.past == nil {
		return nil, nil
	}
	rate = &core.Trend{Step: Step, Points: make([]float32, Steps)}
	p99 = &core.Trend{Step: Step, Points: make([]float32, Steps)}
	last, unknown := r.past.last(), float32(math.NaN())
	for i := range p99.Points {
		p99.Points[i] = unknown
	}
	r.past.each(func(i, at int) {
		rate.Points[i] = float32(float64(r.past.counts[at]) / Step.Seconds())
		p99.Points[i] = r.past.p99[at]
	})
	for i := 0; i < Steps && last-int64(Steps-1-i) < since/stepNanos; i++ {
		rate.Points[i] = unknown
	}
	return rate, p99
}

// Heat returns the history as a new heat map, nil when there is none.
func (r *Recent) Heat() *core.Heat {
	if r.past == nil {
		return nil
	}
	heat := &core.Heat{Step: Step, Columns: make([]core.HeatColumn, Steps)}
	r.past.each(func(i, at int) { heat.Columns[i] = r.past.heat[at] })
	return heat
}

// each visits the last Steps ended steps, or those up to the current one while
// the history is in its first step.
func (h *past) each(visit func(i, at int)) {
	last := h.last()
	for i := range Steps {
		step := last - int64(Steps-1-i)
		if step < 0 || step <= h.newest-int64(len(h.counts)) || step > h.newest {
			continue
		}
		visit(i, int(step%int64(len(h.counts))))
	}
}

func (h *past) last() int64 {
	if h.fresh() {
		return h.newest
	}
	return h.closed
}

// fresh reports whether the ended steps are all empty.
func (h *past) fresh() bool {
	current := h.newest % int64(len(h.counts))
	for i, n := range h.counts {
		if n != 0 && (int64(i) != current || h.closed == h.newest) {
			return false
		}
	}
	return true
}

// Fresh reports whether the history holds nothing but the current step, so that
// trends are worth renewing before it ends.
func (r *Recent) Fresh() bool { return r.past != nil && r.past.fresh() }

// Usual tells the medians of the ended steps that had requests, and how many
// steps those are.
func (r *Recent) Usual() (p99, errRatio float64, steps int) {
	if r.past == nil {
		return math.NaN(), math.NaN(), 0
	}
	var p99s, ratios [Steps]float64
	r.past.each(func(_, at int) {
		if n := r.past.counts[at]; n > 0 && !math.IsNaN(float64(r.past.p99[at])) {
			p99s[steps] = float64(r.past.p99[at])
			ratios[steps] = float64(r.past.errors[at]) / float64(n)
			steps++
		}
	})
	return median(p99s[:steps]), median(ratios[:steps]), steps
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// LastSecond tells rate, error ratio and p99 of the newest second that is
// complete, half a second after its end; NaN where there were no requests.
func (r *Recent) LastSecond(now int64, scratch *Histogram) (rate, errRatio, p99 float32) {
	sec := (now-second/2)/second - 1
	per := second / RateSlot
	n, _ := r.all.between(sec*per, (sec+1)*per, 0)
	bad, _ := r.failed.between(sec*per, (sec+1)*per, 0)
	errRatio = float32(math.NaN())
	if n > 0 {
		errRatio = float32(float64(bad) / float64(n))
	}
	scratch.Reset()
	r.window.span(sec, sec+1, scratch)
	return float32(n), errRatio, quantile32(scratch, .99)
}

// Absorb adds what o counted and leaves o as it is.
func (r *Recent) Absorb(o *Recent) {
	r.all.absorb(&o.all)
	r.failed.absorb(&o.failed)
	r.window.absorb(&o.window)
	switch {
	case o.past == nil:
	case r.past == nil:
		own := *o.past
		r.past = &own
	default:
		r.past.absorb(o.past)
	}
}

func (r *Rates) absorb(o *Rates) {
	if o.newest > r.newest {
		r.advance(o.newest)
	}
	size := int64(len(r.ring))
	for s := max(0, r.newest-size+1, o.newest-size+1); s <= o.newest; s++ {
		r.ring[s%size] += o.ring[s%size]
	}
}

func (w *Window) absorb(o *Window) {
	if o.newest > w.newest {
		w.advance(o.newest)
	}
	for s := max(0, w.newest-latencySlots+1, o.newest-latencySlots+1); s <= o.newest; s++ {
		w.slots[s%latencySlots].Merge(&o.slots[s%latencySlots])
	}
}

func (h *past) absorb(o *past) {
	if o.newest > h.newest {
		h.advance(o.newest)
	}
	h.closed = min(h.closed, o.closed)
	size := int64(len(h.counts))
	for s := max(0, h.newest-size+1, o.newest-size+1); s <= o.newest; s++ {
		i := s % size
		h.counts[i] += o.counts[i]
		h.errors[i] += o.errors[i]
		for b := range h.heat[i] {
			h.heat[i][b] += o.heat[i][b]
		}
	}
}

// Line is a ring of points for a trend. Make one with NewLine.
type Line struct {
	step time.Duration
	ring []float32
	next int
}

// NewLine returns a history of n points, all unknown.
func NewLine(n int, step time.Duration) *Line {
	l := &Line{step: step, ring: make([]float32, n)}
	for i := range l.ring {
		l.ring[i] = float32(math.NaN())
	}
	return l
}

// Add appends a point and forgets the oldest one.
func (l *Line) Add(v float32) {
	l.ring[l.next] = v
	l.next = (l.next + 1) % len(l.ring)
}

// Trend returns a copy, oldest first.
func (l *Line) Trend() *core.Trend {
	points := make([]float32, 0, len(l.ring))
	points = append(points, l.ring[l.next:]...)
	return &core.Trend{Step: l.step, Points: append(points, l.ring[:l.next]...)}
}

// Below reports whether no point reaches v.
func (l *Line) Below(v float32) bool {
	for _, p := range l.ring {
		if p >= v {
			return false
		}
	}
	return true
}
