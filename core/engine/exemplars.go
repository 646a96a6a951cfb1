package engine

import (
	"cmp"
	"math"
	"slices"
	"time"

	"vitals/core"
)

// Which requests are kept one by one.
const (
	keptSlow   = core.MaxServiceExemplars / 2 // of each service, in each of two windows
	keptFailed = core.MaxServiceExemplars / 2
	// slowWindow is how long the slowest are the slowest: what was slow an hour
	// ago is no news.
	slowWindow = int64(time.Minute)
	// outlier is how many times the median a request takes that is worth a line in
	// the stream.
	outlier = 2
	// streamedFailed and streamedSlow are how many of each service get into the
	// stream in a second.
	streamedFailed = 20
	streamedSlow   = 10
)

// exemplars is the stream of single requests.
type exemplars struct {
	seq     uint64
	ring    [core.MaxExemplars]*core.Exemplar
	shown   []*core.Exemplar // published, by the end of the request
	changed bool
}

// notable is what a service keeps of single requests.
type notable struct {
	slow, before []*core.Exemplar // the slowest of this window and of the one before
	began        int64
	floor        time.Duration // what a request must take to be among the slowest
	failed       [keptFailed]*core.Exemplar
	failures     uint64
	second       int64
	left         struct{ failed, slow int } // how many more may be streamed in this second
	shown        []*core.Exemplar
	changed      bool
	typical      [3]time.Duration // median of the last window, by role; 0 unknown
}

// notice keeps a request when it failed or is among the slowest. It costs a
// comparison when neither is the case.
func (s *state) notice(se *series, r *core.Request, at int64, timed bool) {
	n := &se.svc.notable
	slow := timed && r.Duration > n.floor
	if !slow && !r.Failed {
		return
	}
	if sec := at / int64(time.Second); sec != n.second {
		n.second, n.left.failed, n.left.slow = sec, streamedFailed, streamedSlow
	}
	typical := n.typical[r.Role]
	s.exemplars.seq++
	x := &core.Exemplar{
		Seq: s.exemplars.seq, At: s.wall(at), Proc: r.Proc, Service: se.svc.name, Role: r.Role, Protocol: r.Protocol,
		Peer: r.Peer, TLS: r.TLS, Method: r.Method, Route: r.Route, Status: r.Status, Code: r.Code, Error: r.Error, Failed: r.Failed,
		FirstByte: r.FirstByte, Duration: r.Duration, Typical: typical, BytesIn: r.BytesIn, BytesOut: r.BytesOut, Partial: r.Partial,
	}
	if slow {
		n.keepSlow(x)
	}
	if r.Failed {
		n.failed[n.failures%keptFailed] = x
		n.failures++
	}
	n.changed = true
	left := &n.left.failed
	if !r.Failed {
		if left = &n.left.slow; typical == 0 || r.Duration < outlier*typical {
			s.exemplars.seq-- // nothing for the stream
			x.Seq = 0
			return
		}
	}
	if *left > 0 {
		*left--
		s.exemplars.ring[x.Seq%core.MaxExemplars] = x
		s.exemplars.changed = true
	}
}

func (n *notable) keepSlow(x *core.Exemplar) {
	at, _ := slices.BinarySearchFunc(n.slow, x, slower)
	n.slow = slices.Insert(n.slow, at, x)
	if len(n.slow) > keptSlow {
		n.slow = n.slow[:keptSlow]
	}
	if len(n.slow) == keptSlow {
		n.floor = n.slow[keptSlow-1].Duration
	}
}

func slower(a, b *core.Exemplar) int { return cmp.Compare(b.Duration, a.Duration) }

// tick begins a new window when the old one is over.
func (n *notable) tick(now int64, row *core.ServiceRow) {
	if now-n.began >= slowWindow {
		n.changed = n.changed || len(n.before) > 0
		n.began, n.floor = now, 0
		n.before, n.slow = n.slow, n.before[:0]
		clear(n.slow[:cap(n.slow)])
	}
	n.typical = [3]time.Duration{}
	if row != nil {
		n.typical[core.RoleServer], n.typical[core.RoleClient] = seconds(row.Server.P50), seconds(row.Client.P50)
	}
}

func seconds(v float64) time.Duration {
	if math.IsNaN(v) {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// list is what the service shows: the slowest first, then the newest that failed.
func (n *notable) list() []*core.Exemplar {
	if !n.changed {
		return n.shown
	}
	n.changed = false
	slow := append(slices.Clone(n.slow), n.before...)
	slices.SortStableFunc(slow, slower)
	list := slow[:min(len(slow), keptSlow)]
	for i := uint64(1); i <= keptFailed && i <= n.failures; i++ {
		if x := n.failed[(n.failures-i)%keptFailed]; !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	n.shown = slices.Clip(list)
	return n.shown
}

// list is the stream.
func (e *exemplars) list() []*core.Exemplar {
	if !e.changed {
		return e.shown
	}
	e.changed = false
	list := make([]*core.Exemplar, 0, len(e.ring))
	for _, x := range e.ring {
		if x != nil {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *core.Exemplar) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Seq, b.Seq)) })
	e.shown = list
	return list
}

// rename gives the exemplars of a process to the service that it turned out to
// belong to.
func (s *state) rename(p *process, from, to *service) {
	moved := map[*core.Exemplar]*core.Exemplar{}
	move := func(list []*core.Exemplar) {
		for i, x := range list {
			if x == nil || x.Proc != p.ProcKey || x.Service != from.name {
				continue
			}
			if moved[x] == nil {
				y := *x
				y.Service = to.name
				moved[x] = &y
			}
			list[i] = moved[x]
		}
	}
	move(s.exemplars.ring[:])
	s.exemplars.changed = true
	for _, x := range from.notable.slow {
		if x.Proc == p.ProcKey {
			y := *x
			y.Service = to.name
			to.notable.keepSlow(&y)
		}
	}
	for _, x := range from.notable.failed {
		if x != nil && x.Proc == p.ProcKey {
			y := *x
			y.Service = to.name
			to.notable.failed[to.notable.failures%keptFailed] = &y
			to.notable.failures++
		}
	}
	gone := func(x *core.Exemplar) bool { return x.Proc == p.ProcKey }
	from.notable.slow = slices.DeleteFunc(from.notable.slow, gone)
	from.notable.before = slices.DeleteFunc(from.notable.before, gone)
	from.notable.changed, to.notable.changed = true, true
}
