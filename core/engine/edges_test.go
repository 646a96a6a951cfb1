package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vitals/core"
)

// call is a request of a client to a peer, whose process may be known.
func (b *bench) call(from, to int32, peer string) core.Request {
	r := b.request(from, "/q", 200, time.Millisecond)
	r.Role, r.Peer = core.RoleClient, peer
	if to != 0 {
		r.PeerProc = key(to)
	}
	return r
}

func edgesOf(s *core.Snapshot) (out []string) {
	for _, e := range s.Edges {
		out = append(out, fmt.Sprintf("%s>%s:%d", e.From, e.To, e.Count))
	}
	return out
}

// The process at the other end is who was called, whatever its name; also for
// the requests before it was known.
func TestEdgesLeadToTheOtherEnd(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(10, "web"))
	b.ProcessUp(proc(20, "db"))
	b.ProcessUp(proc(21, "spare"))
	b.Requests([]core.Request{b.call(10, 0, "data.internal"), b.call(10, 0, "data.internal")})
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"web>data.internal:2"}) {
		t.Errorf("got %q", got)
	}
	failing := b.call(10, 20, "data.internal")
	failing.Failed = true
	b.Requests([]core.Request{b.call(10, 20, "data.internal"), failing})
	s := b.wait(time.Second)
	if got := edgesOf(s); !slices.Equal(got, []string{"web>db:4"}) && !slices.Equal(got, []string{"web>data.internal:0", "web>db:4"}) {
		t.Errorf("got %q", got)
	}
	if e := s.Edges[len(s.Edges)-1]; e.Errors != 1 || e.Outside || e.P50 < .0009 || e.Last.IsZero() {
		t.Errorf("%+v", e)
	}
	b.Requests([]core.Request{b.call(10, 21, "data.internal")}) // it moved
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"web>db:4", "web>spare:1"}) {
		t.Errorf("got %q", got)
	}
}

// A client that is not watched is known from the server's side.
func TestServersTellOfClientsThatAreNotWatched(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(20, "db"))
	known := b.request(20, "/q", 200, time.Millisecond)
	known.PeerProc = core.ProcKey{PID: 10} // by its pid only, and not discovered yet
	b.Requests([]core.Request{known, known, known, b.request(20, "/q", 200, time.Millisecond)})
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"outside>db:4"}) {
		t.Errorf("got %q", got)
	}
	b.ProcessUp(proc(10, "web"))
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"outside>db:1", "web>db:3"}) {
		t.Errorf("got %q", got)
	}
}

// A client becomes another program: what it asked before stays where it was
// counted, although its server now knows another name for it.
func TestEdgesOfAClientThatChangedItsName(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(10, "shell"))
	b.ProcessUp(proc(20, "db"))
	heard := b.request(20, "/q", 200, time.Millisecond)
	heard.PeerProc = key(10)
	for range 3 {
		b.Requests([]core.Request{b.call(10, 20, "db:1"), heard})
	}
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"shell>db:3"}) {
		t.Errorf("got %q", got)
	}
	b.ProcessChanged(proc(10, "web"))
	listening := proc(30, "other")
	listening.Listeners = []core.Listener{{Network: "tcp", Address: "127.0.0.1:80"}}
	b.ProcessUp(listening) // who is where is looked at again
	b.Requests([]core.Request{b.call(10, 20, "db:1"), b.call(10, 20, "db:1"), heard, heard})
	if got := edgesOf(b.wait(time.Second)); !slices.Equal(got, []string{"shell>db:3", "web>db:2"}) {
		t.Errorf("got %q", got)
	}
}

// What was asked stays counted when the client is long gone; its rate does not.
func TestDeadEdgesKeepTheirCounts(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Grace = time.Minute })
	b.ProcessUp(proc(10, "web"))
	b.ProcessUp(proc(20, "db"))
	b.Requests([]core.Request{b.call(10, 20, "db:1"), b.call(10, 20, "db:1")})
	b.ProcessDown(key(10), core.Exit{Known: true}, begin)
	s := b.wait(3 * time.Minute)
	if got := edgesOf(s); !slices.Equal(got, []string{"web>db:2"}) || s.Edges[0].Rate != 0 || s.Edges[0].P99 == s.Edges[0].P99 {
		t.Errorf("got %q %+v", got, s.Edges[0])
	}
}

func TestEdgesAreBounded(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.RoutesPerProcess = 10 * maxEdges; c.Limits.SeriesPerProcess = 10 * maxEdges })
	b.ProcessUp(proc(10, "web"))
	for i := range maxEdges + 100 {
		r := b.call(10, 0, fmt.Sprintf("host%d", i))
		b.Requests([]core.Request{r})
		if i%500 == 0 {
			b.drain()
		}
	}
	if n := len(b.look().Edges); n > maxEdges {
		t.Errorf("%d edges", n)
	}
}
