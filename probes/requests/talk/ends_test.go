package talk

import (
	"fmt"
	"testing"

	"vitals/core"
)

// far is the same connection, seen by the client.
func far(r Record) Record {
	r.Cookie += 100
	r.Proc, r.Role = them, core.RoleClient
	r.Local, r.Remote = r.Remote, r.Local
	r.LocalPort, r.RemotePort = r.RemotePort, r.LocalPort
	r.In, r.Out = r.Out, r.In
	return r
}

func TestBothEndsKnowEachOther(t *testing.T) {
	one := said(1, 1, "!a", "!ok")
	s, p := play(one, far(one), said(1, 2, "!b", "!ok"))
	for i, want := range []core.ProcKey{{}, me, them} {
		if s.seen[i].PeerProc != want {
			t.Errorf("request %d leads to %v, want %v", i, s.seen[i].PeerProc, want)
		}
	}
	if peer := s.seen[1].Peer; peer != "127.0.0.1:1000" {
		t.Errorf("peer %q", peer)
	}
	// The server is gone first; the client still knows whom it talked to.
	end := Record{Kind: End, Cookie: 1}
	last := far(said(1, 2, "!b", "!ok"))
	p.Take(&end)
	p.Take(&last)
	p.Deliver()
	if s.seen[3].PeerProc != me {
		t.Errorf("the last request leads to %v", s.seen[3].PeerProc)
	}
}

// Loopback addresses are told apart by network namespace, others need not be.
func TestEndsAndNamespaces(t *testing.T) {
	for _, c := range []struct {
		addr  [16]byte
		netns uint32
		want  core.ProcKey
	}{
		{[16]byte{127, 0, 0, 1}, 1, me}, {[16]byte{127, 0, 0, 1}, 2, core.ProcKey{}}, {[16]byte{10, 0, 0, 1}, 2, me},
	} {
		server := said(1, 1, "!a", "!ok")
		server.Local, server.Remote = c.addr, c.addr
		client := far(server)
		client.NetNS = c.netns
		s, _ := play(server, client)
		if s.seen[1].PeerProc != c.want {
			t.Errorf("%v in namespace %d leads to %v", c.addr, c.netns, s.seen[1].PeerProc)
		}
	}
}

// Equal addresses in different namespaces: nobody knows who belongs to whom.
func TestAmbiguousEnds(t *testing.T) {
	server := said(1, 1, "!a", "!ok")
	server.Local, server.Remote = [16]byte{10, 0, 0, 1}, [16]byte{10, 0, 0, 2}
	twin := server
	twin.Cookie, twin.Proc.PID, twin.NetNS = 2, 9, 2
	s, _ := play(server, twin, far(server))
	if s.seen[2].PeerProc != (core.ProcKey{}) {
		t.Errorf("leads to %v", s.seen[2].PeerProc)
	}
}

func TestPeersAreNamedAfterWhatWasLookedUp(t *testing.T) {
	ask := far(said(1, 1, "!lookup", "!ok"))
	to := far(said(2, 1, "!query", "!ok"))
	to.Remote = [16]byte{10, 0, 0, 9}
	other := to
	other.Cookie, other.Proc = 300, me // another process knows nothing of it
	s, _ := play(ask, to, other)
	for i, want := range []string{"127.0.0.1:1000", "db.example:1000", "10.0.0.9:1000"} {
		if s.seen[i].Peer != want {
			t.Errorf("peer %q, want %q", s.seen[i].Peer, want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s, p := play()
	p.table.max = 50
	for i := range uint64(1000) {
		r := said(i+1, 1, fmt.Sprintf("!left%d", i%10), "")
		r.First, r.RemotePort = 0, uint16(i+1)
		p.Take(&r)
	}
	p.Deliver()
	if n := len(p.table.byCookie); n != 50 || len(p.pairs) != 50 {
		t.Errorf("%d connections, %d pairs", n, len(p.pairs))
	}
	// What waits for an answer on a forgotten connection is told, as far as it goes.
	if len(s.seen) != 950 || !s.seen[0].Partial {
		t.Errorf("%d requests", len(s.seen))
	}
}

// A client's answer that is told before its request is read after it.
func TestAnswersThatAreToldEarly(t *testing.T) {
	transfer := func(seq uint32, flags uint16, text string) Record {
		r := far(said(1, seq, text, ""))
		r.Kind, r.Flags, r.First, r.Last = Transfer, flags, int64(seq)*1000, int64(seq)*1000
		r.In, r.Out = 0, uint64(len(text))
		if flags&Received != 0 {
			r.In, r.Out = r.Out, 0
		}
		return r
	}
	s, p := play(transfer(1, 0, "!one"), transfer(2, Received, "!ok"), transfer(3, Received|Late, "!ok"), transfer(4, 0, "!two"),
		transfer(5, 0, "!three"), transfer(6, Received|Late, "!ok"), transfer(7, Received, "!ok once more"))
	if got := lines(s); len(got) != 2 || got[1] != "sure two partial" || s.cover[them].Unpaired != 0 || !p.Held() {
		t.Errorf("got %q, coverage %+v", got, s.cover[them])
	}
	// The send that the last ones wait for never comes.
	for range 2 {
		p.Release(map[uint64]bool{})
	}
	p.Deliver()
	if got := lines(s); len(got) != 3 || s.cover[them].Unpaired != 1 || p.Held() {
		t.Errorf("got %q, coverage %+v", got, s.cover[them])
	}
}

// Sockets of datagrams end untold: what they asked is given up after a while.
func TestDatagramsTimeOut(t *testing.T) {
	s := &sink{}
	protocols := list()
	protocols[0].Datagram = true
	p := New(s, protocols, nil)
	now := int64(1e9)
	p.Clock = func() int64 { return now }
	for i := range uint64(2 * maxDatagrams) {
		r := far(said(i+1, 1, "!query", ""))
		r.Kind, r.Flags, r.Start, r.First, r.Last = Transfer, Datagram, now, now, now
		p.Take(&r)
	}
	if n := len(p.datagrams.byCookie); n != maxDatagrams || len(p.table.byCookie) != 0 {
		t.Errorf("%d sockets are kept", n)
	}
	p.Deliver()
	evicted := len(s.seen)
	p.Waiting(func(core.ProcKey, core.Role, int, int64) {})
	if !p.Held() {
		t.Error("nobody waits for the timeouts")
	}
	now += maxSilence + 1
	p.Release(map[uint64]bool{})
	p.Waiting(func(core.ProcKey, core.Role, int, int64) {})
	p.Deliver()
	if evicted != maxDatagrams || len(s.seen) != 2*maxDatagrams || s.seen[len(s.seen)-1].Error != "timeout" || p.Held() || len(p.datagrams.byCookie)+len(p.streaming) != 0 {
		t.Errorf("%d evicted, %d in all, the last %+v", evicted, len(s.seen), s.seen[len(s.seen)-1])
	}
}
