package budget

import (
	"math"
	"time"

	"vitals/core"
)

const (
	// least is the share of one core that no budget goes below.
	least = 0.02
	// perExchange is the most that one exchange costs in user space; docs/performance.md
	// has 0.7 to 0.9 us. What vitals uses beyond that is not the exchanges'.
	perExchange = 2 * time.Microsecond
)

// The kinds that can be let go at a service: they cost as much as there is to do.
const requests, tls = "requests", "tls"

// Meter turns what a snapshot says into looks. It is used by one goroutine.
type Meter struct{ was sample }

// sample is what counts at one moment.
type sample struct {
	at       time.Time
	user     time.Duration
	services map[string]asked
}

// asked is how many exchanges a service had, and how many of them inside TLS.
type asked struct{ all, inside uint64 }

// NewMeter begins with s, the newest snapshot now, and user, the CPU time that
// this process has used until now.
func NewMeter(s *core.Snapshot, now time.Time, user time.Duration) *Meter {
	return &Meter{take(s, now, user)}
}

func take(s *core.Snapshot, now time.Time, user time.Duration) sample {
	m := sample{at: now, user: user, services: map[string]asked{}}
	for _, rows := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range rows {
			n := m.services[r.Service]
			n.all += r.Count
			if r.TLS {
				n.inside += r.Count
			}
			m.services[r.Service] = n
		}
	}
	return m
}

// Look gives the average since the last call. Share is the budget as a share of
// the machine, 0 for none. Where the kernel does not measure programs, they count
// for nothing.
func (m *Meter) Look(s *core.Snapshot, now time.Time, user time.Duration, share float64) Look {
	was := m.was
	m.was = take(s, now, user)
	l := Look{At: now}
	if share > 0 {
		l.Limit = max(share*float64(s.Host.CPUs), least)
	}
	passed := now.Sub(was.at)
	if passed <= 0 {
		return l
	}
	l.Total = float64(user-was.user) / float64(passed)
	l.Spends = m.was.spends(was, s, l.Total)
	l.Total += measured(s.Self.BPFRatio)
	return l
}

// spends shares out by exchanges what the kinds cost in the kernel, and of user
// space what the exchanges can have cost.
func (now *sample) spends(was sample, s *core.Snapshot, user float64) (spends []Spend) {
	plain, secret := measured(s.Kernel(requests)), measured(s.Kernel(tls))
	var sum asked
	did := make(map[string]asked, len(now.services))
	for service, n := range now.services {
		d := n.since(was.services[service])
		did[service] = d
		sum.all, sum.inside = sum.all+d.all, sum.inside+d.inside
	}
	user = min(user, float64(sum.all)*float64(perExchange)/float64(now.at.Sub(was.at)))
	for service, d := range did {
		if service == "" {
			continue
		}
		if d.all > 0 {
			spends = append(spends, Spend{core.Shed{Kind: requests, Service: service}, (plain + user) * float64(d.all) / float64(sum.all)})
		}
		if d.inside > 0 {
			spends = append(spends, Spend{core.Shed{Kind: tls, Service: service}, secret * float64(d.inside) / float64(sum.inside)})
		}
	}
	return spends
}

// measured takes what the kernel does not measure for nothing.
func measured(ratio float64) float64 {
	if math.IsNaN(ratio) {
		return 0
	}
	return ratio
}

// since is what came to b; rows move when a process ends, so it may be nothing.
func (a asked) since(b asked) asked {
	if a.all < b.all || a.inside < b.inside {
		return asked{}
	}
	return asked{a.all - b.all, a.inside - b.inside}
}
