package gateway

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestEachClientHasAPaceOfItsOwn(t *testing.T) {
	s := start(t, Config{Rate: 0.01, Burst: 3})
	for i := range 3 {
		s.want(200, "PUT", "/metrics/job/j", fmt.Sprintf("a %d\n", i))
	}
	r := s.want(429, "PUT", "/metrics/job/j", "a 9\n")
	mustContain(t, r.text, "0.01 pushes a second", "put series together")
	if wait, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || wait < 1 || wait > 100 {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	s.want(429, "DELETE", "/metrics/job/j", nil)
	s.wantSeries(false, series{`a{instance="",job="j"}`: 2}) // reading is not limited, and nothing refused was applied
	if n := s.own("pushes_refused_total"); n != 2 {
		t.Errorf("%v refusals counted", n)
	}
}

func TestPace(t *testing.T) {
	now := time.Unix(1000, 0)
	p := newPace(10, 5)
	p.now = func() time.Time { return now }
	take := func(who string, n int) (taken int) {
		for range n {
			if p.take(who) == 0 {
				taken++
			}
		}
		return taken
	}
	if n := take("192.0.2.1:1", 100); n != 5 {
		t.Errorf("a burst of %d, want 5", n)
	}
	if n := take("192.0.2.1:2", 1); n != 0 {
		t.Error("another port is another client")
	}
	if n := take("192.0.2.2:1", 5); n != 5 {
		t.Error("another address has no allowance of its own")
	}
	if a, b := take("[2001:db8::1]:1", 5), take("[2001:db8::ffff]:1", 5); a != 5 || b != 0 {
		t.Errorf("one IPv6 subscriber: %d and %d", a, b)
	}
	if a, b := take("[::ffff:192.0.2.9]:1", 5), take("192.0.2.9:1", 5); a != 5 || b != 0 {
		t.Errorf("one IPv4 client in two ways of writing: %d and %d", a, b)
	}
	now = now.Add(time.Second)
	if n := take("192.0.2.1:1", 100); n != 5 {
		t.Errorf("after a second %d, want 5 (no more than a burst)", n)
	}
	now = now.Add(150 * time.Millisecond)
	if n := take("192.0.2.1:1", 100); n != 1 {
		t.Errorf("after 150 ms %d, want 1", n)
	}
	now = now.Add(-time.Hour)
	if n := take("192.0.2.1:1", 100); n != 5 {
		t.Errorf("a clock that was set back locks out: %d", n)
	}
	if p := newPace(0, 5); p != nil || p.take("x") != 0 {
		t.Error("no rate is no limit")
	}
}

func TestPaceIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	p := newPace(1, 2)
	p.now = func() time.Time { return now }
	addr := func(i int) string {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1).String()
	}
	for i := range maxClients {
		p.take(addr(i))
	}
	taken := 0
	for i := range 1000 { // the newcomers share one allowance
		if p.take(addr(maxClients+i)) == 0 {
			taken++
		}
	}
	if len(p.used) > maxClients || taken != 2 {
		t.Errorf("%d clients kept, %d pushes of newcomers", len(p.used), taken)
	}
	now = now.Add(time.Minute)
	if p.take(addr(2*maxClients)) != 0 || len(p.used) != 1 {
		t.Errorf("%d clients kept after a minute", len(p.used))
	}
}

func BenchmarkPace(b *testing.B) {
	p := newPace(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		p.take("192.0.2.1:1234")
	}
}
