package talk

import (
	"slices"
	"testing"

	"vitals/core"
)

func transfer(seq uint32, text string, flags uint16) Record {
	r := said(1, seq, text, "")
	r.Kind, r.Flags, r.First, r.Last = Transfer, flags, r.Start, r.Start
	if flags&Received == 0 {
		r.In, r.Out = 0, r.In
	}
	return r
}

// What a parser knows to have been missed is lost, and counted.
func TestMissedRequestsAreLost(t *testing.T) {
	s, _ := play(transfer(1, "!a", Received), transfer(2, "!ok", 0), transfer(9, "!after", Received), transfer(10, "!ok", 0))
	if c := s.cover[me]; c.Exchanges != 5 || c.Parsed != 2 || c.Lost != 3 || c.Gaps != 1 {
		t.Errorf("coverage %+v", c)
	}
}

// Nobody says that a request was cancelled whose answer may have been lost.
func TestAnEndAfterAHole(t *testing.T) {
	for seq, want := range map[uint32]string{1: "sure a cancelled", 2: "sure a partial"} {
		end := Record{Kind: End, Cookie: 1, Seq: seq, Proc: me, Role: core.RoleServer, Times: Times{Last: 9000}}
		s, _ := play(transfer(1, "!a", Received), end)
		if got := lines(s); !slices.Equal(got, []string{want}) || s.cover[me].Gaps != uint64(seq-1) {
			t.Errorf("ended with %d: %q, coverage %+v", seq, got, s.cover[me])
		}
	}
}

// A connection whose first records are missing is not older than the observation,
// unless it is one that there was no room for.
func TestBeginningsInAHole(t *testing.T) {
	for _, c := range []struct {
		change         func(*Reader, *Record)
		joined, missed bool
	}{
		{func(*Reader, *Record) {}, true, true},
		{func(_ *Reader, r *Record) { r.Seq = 1 }, false, false},
		{func(_ *Reader, r *Record) { r.Flags |= Joined }, true, false},
		{func(_ *Reader, r *Record) { r.Family = FamilyUnix }, true, false},
		{func(p *Reader, _ *Record) { p.forgot = true }, true, false},
	} {
		p := New(&sink{}, list(), nil)
		r := transfer(5, "!a", Received)
		c.change(p, &r)
		p.Take(&r)
		if o := p.table.byCookie[1].conn.(*toy).opts; o.Joined != c.joined || o.Missed != c.missed {
			t.Errorf("%+v: joined %v, missed %v", r.Flags, o.Joined, o.Missed)
		}
	}
}

// A question that waits longer than anybody would has timed out, unless its
// answer may have been lost.
func TestLossIsNoTimeout(t *testing.T) {
	protocols := list()
	protocols[0].Datagram = true
	for _, lossy := range []bool{false, true} {
		s := &sink{}
		p := New(s, protocols, nil)
		now := int64(1e9)
		p.Clock = func() int64 { return now }
		r := transfer(1, "!query", Datagram|Received)
		r.Start, r.First, r.Last = now-1000, now-1000, now-1000
		if lossy {
			p.Lossy(me) // noticed before the question is read
		}
		p.Take(&r)
		p.Lossy(them)
		now += maxSilence + 1
		p.Release(map[uint64]bool{})
		p.Deliver()
		want := map[bool]string{false: "sure query timeout", true: "sure query partial"}[lossy]
		if got := lines(s); !slices.Equal(got, []string{want}) {
			t.Errorf("lossy %v: %q", lossy, got)
		}
		now += 2*maxSilence + 1
		p.Lossy(them)
		if len(p.lossy) != 1 {
			t.Errorf("%d processes are remembered", len(p.lossy))
		}
	}
	p := New(&sink{}, protocols, nil)
	for i := range int32(2 * maxLossy) {
		p.Lossy(core.ProcKey{PID: i})
	}
	if len(p.lossy) != maxLossy {
		t.Errorf("%d processes are remembered", len(p.lossy))
	}
}
