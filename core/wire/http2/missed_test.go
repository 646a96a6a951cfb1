package http2

import (
	"math/rand/v2"
	"testing"

	"vitals/core/wire"
)

func (k *talk) missed(want int) {
	k.t.Helper()
	if k.out.Missed != want {
		k.t.Errorf("missed %d, want %d", k.out.Missed, want)
	}
}

// What went by in a hole is known by the next number, once.
func TestRequestsInAHoleAreCountedByNumber(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, append([]byte(preface), c.get(1, "/a")...), 0)
	k.send(wire.Client, c.get(3, "/a"), 0)
	k.send(wire.Server, s.ok(1), 0)
	k.conn.Gap(&k.out) // 3 is told as partial; 5, 7 and 9 are asked unseen
	k.send(wire.Server, s.ok(3), 0)
	k.send(wire.Server, s.ok(5), 0)
	k.send(wire.Server, s.headers(9, false, ":status", "200"), 0)
	k.missed(0)
	k.send(wire.Client, c.get(11, "/a"), 0)
	k.missed(3)
	k.send(wire.Server, raw(typeData, endStream, 9, "late"), 0)
	k.send(wire.Server, s.ok(7), 0)
	k.send(wire.Client, c.get(15, "/a"), 0) // there was no hole: a number that was not used
	k.send(wire.Server, append(s.ok(15), s.ok(11)...), 0)
	k.conn.End(99, "reset", &k.out)
	k.missed(3)
	if len(k.out.Exchanges) != 4 || k.out.Unpaired != 0 {
		t.Errorf("%d told, %d unpaired", len(k.out.Exchanges), k.out.Unpaired)
	}
}

// At the end of a connection the highest number that anything told of counts.
func TestTheEndOfAConnectionInAHole(t *testing.T) {
	for name, tc := range map[string]struct {
		said []byte
		from wire.Side
		want int
	}{
		"nothing":    {nil, wire.Server, 0},
		"an answer":  {raw(typeHeaders, endHeaders|endStream, 9, "\x88"), wire.Server, 4},
		"data":       {raw(typeData, 0, 5, "x"), wire.Client, 2},
		"a window":   {raw(typeWindow, 0, 7, "\x00\x00\x00\x01"), wire.Server, 3},
		"a group":    {raw(typePriority, 0, 13, "\x00\x00\x00\x00\x00"), wire.Client, 0},
		"goaway":     {raw(typeGoAway, 0, 0, "\x00\x00\x00\x0b\x00\x00\x00\x00"), wire.Server, 5},
		"goaway all": {raw(typeGoAway, 0, 0, "\x7f\xff\xff\xff\x00\x00\x00\x00"), wire.Server, 0},
		"an old one": {raw(typeReset, 0, 1, "\x00\x00\x00\x00"), wire.Server, 0},
	} {
		c, k := newPeer(), newTalk(t, false)
		k.send(wire.Client, append([]byte(preface), c.get(1, "/a")...), 0)
		k.conn.Gap(&k.out)
		if tc.said != nil {
			k.send(tc.from, tc.said, 0)
		}
		k.conn.End(99, "cancelled", &k.out)
		if k.out.Missed != tc.want || len(k.out.Exchanges) != 1 || k.out.Unpaired != 0 {
			t.Errorf("%s: missed %d, want %d; told %d, unpaired %d", name, k.out.Missed, tc.want, len(k.out.Exchanges), k.out.Unpaired)
		}
	}
}

// Nothing is missed that nobody was to look at.
func TestNothingIsMissedBeforeTheObservation(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, true)
	k.send(wire.Client, c.get(201, "/a"), 0)
	k.missed(0)
	k.conn.Gap(&k.out)
	k.send(wire.Client, c.get(205, "/a"), 0)
	k.missed(1)
	k.conn.Gap(&k.out)
	k.conn.Rejoin()
	k.send(wire.Server, s.ok(207), 0)
	k.send(wire.Client, c.get(301, "/a"), 0)
	k.missed(1)
	k.conn.Gap(&k.out)
	k.send(wire.Client, c.get(303, "/a"), 0)
	k.missed(1)

	// Its beginning is seen, whatever was thought.
	k = newTalk(t, true)
	k.send(wire.Client, []byte(preface), 0)
	k.conn.Gap(&k.out)
	k.send(wire.Client, newPeer().get(7, "/a"), 0)
	k.missed(3)

	// Its beginning was not older, but missing.
	k = newTalk(t, false)
	k.conn = newConn(wire.Options{Names: wire.NewNames(100, nil), Joined: true, Missed: true})
	k.send(wire.Client, newPeer().get(7, "/a"), 0)
	k.missed(3)
}

func TestAHoleIsNeverBelievedToHoldTooMuch(t *testing.T) {
	k := newTalk(t, false)
	k.send(wire.Client, append([]byte(preface), newPeer().get(1, "/a")...), 0)
	k.conn.Gap(&k.out)
	k.send(wire.Client, newPeer().get(1<<31-3, "/a"), 0)
	k.missed(0)
}

// Whatever is missing of a conversation, told and missed are what was asked.
func TestToldAndMissedAreWhatWasAsked(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		c, s, k := newPeer(), newPeer(), newTalk(t, false)
		missing, holes := false, 0
		send := func(from wire.Side, b []byte) {
			if r.IntN(20) == 0 {
				missing = !missing
			}
			if missing {
				holes++
				return
			}
			if holes > 0 {
				k.conn.Gap(&k.out)
				holes = 0
			}
			k.send(from, b, 0)
		}
		k.send(wire.Client, []byte(preface), 0)
		var open []uint32
		const asked = 300
		for i := range uint32(asked) {
			send(wire.Client, c.get(1+2*i, "/a"))
			open = append(open, 1+2*i)
			for len(open) > 0 && r.IntN(3) > 0 {
				n := r.IntN(len(open))
				b := append(s.headers(open[n], false, ":status", "200"), raw(typeData, endStream, open[n], "body")...)
				send(wire.Server, b)
				open = append(open[:n], open[n+1:]...)
			}
		}
		missing = false
		if holes > 0 {
			k.conn.Gap(&k.out)
		}
		k.send(wire.Server, raw(typeGoAway, 0, 0, string([]byte{0, 0, 2, 87, 0, 0, 0, 0})), 0) // stream 599
		k.conn.End(1<<40, "reset", &k.out)
		if told := len(k.out.Exchanges); told+k.out.Missed != asked || k.out.Missed == 0 || k.out.Unpaired != 0 {
			t.Fatalf("seed %d: told %d, missed %d, unpaired %d, asked %d", seed, told, k.out.Missed, k.out.Unpaired, asked)
		}
	}
}
