package gateway

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// maxClients bounds the clients that are told apart. When more come within a
// burst's time, the new ones share one allowance.
const maxClients = 10_000

// pace limits how often each client may push. Of each it keeps one time: until
// when its allowance is used up. Safe for concurrent use; nil limits nothing.
type pace struct {
	every time.Duration // between two pushes, on average
	burst time.Duration // that may be used up in advance
	now   func() time.Time

	mu     sync.Mutex
	used   map[netip.Prefix]time.Time
	others time.Time
}

// newPace allows rate pushes a second on average, and burst at once; nil when
// there is no limit.
func newPace(rate float64, burst int) *pace {
	if rate <= 0 {
		return nil
	}
	every := max(time.Duration(float64(time.Second)/rate), 1)
	if burst <= 0 {
		burst = int(math.Ceil(min(max(10, 2*rate), 1e6)))
	}
	return &pace{every: every, burst: every * time.Duration(burst), now: time.Now, used: map[netip.Prefix]time.Time{}}
}

// take uses one push of the client's allowance, or says how long to wait for it.
func (p *pace) take(remote string) (wait time.Duration) {
	if p == nil {
		return 0
	}
	who := clientOf(remote)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	until, known := p.used[who]
	shared := !known && len(p.used) >= maxClients && !p.sweep(now)
	if shared {
		until = p.others
	}
	// A clock that was set back must not lock anybody out.
	if until.Before(now) || until.Sub(now) > 2*p.burst {
		until = now
	}
	until = until.Add(p.every)
	if over := until.Sub(now) - p.burst; over > 0 {
		return over
	}
	if shared {
		p.others = until
	} else {
		p.used[who] = until
	}
	return 0
}

// sweep forgets clients whose allowance is whole again, and reports whether
// there is room.
func (p *pace) sweep(now time.Time) bool {
	for who, until := range p.used {
		if !until.After(now) {
			delete(p.used, who)
		}
	}
	return len(p.used) < maxClients
}

// clientOf gives who a remote address counts as: one IPv4 address, or the /64 that
// one IPv6 subscriber has. What is no address, as from a Unix socket, is one.
func clientOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	who, _ := addr.Prefix(bits)
	return who
}
