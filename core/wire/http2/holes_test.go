package http2

import (
	"math/rand/v2"
	"strings"
	"testing"

	"vitals/core/wire"
)

// tape is a connection whose bytes are cut anywhere, captured in part, and
// missing in part.
type tape struct {
	*talk
	r       *rand.Rand
	c, s    *peer
	bytes   [2][]byte // said, not fed yet
	open    []uint32
	next    uint32
	holes   int // transfers that are missing now
	missing bool
	sound   bool // nothing is missing any more
}

func newTape(t *testing.T, seed uint64) *tape {
	p := &tape{talk: newTalk(t, false), r: rand.New(rand.NewPCG(seed, 7)), c: newPeer(), s: newPeer(), next: 1}
	p.bytes[wire.Client] = append([]byte(preface), raw(typeSettings, 0, 0, "")...)
	p.sound = true
	p.feed(wire.Client, len(p.bytes[wire.Client]))
	p.sound = false
	return p
}

func (p *tape) feed(from wire.Side, n int) {
	b := p.bytes[from][:n]
	p.bytes[from] = p.bytes[from][n:]
	p.missing = p.missing != (p.r.IntN(25) == 0) && !p.sound
	if p.missing {
		p.holes++
		return
	}
	if p.holes > 0 {
		p.conn.Gap(&p.out)
		p.holes = 0
	}
	kept := min(len(b), [2]int{4096, 1024}[from])
	p.send(from, append([]byte(nil), b[:kept]...), int64(len(b)-kept))
}

// pass feeds some of what was said, or all.
func (p *tape) pass(all bool) {
	for from := range p.bytes {
		for len(p.bytes[from]) > 0 && (all || p.r.IntN(3) > 0) {
			n := min(len(p.bytes[from]), 4096)
			if !all && p.r.IntN(4) == 0 {
				n = 1 + p.r.IntN(n)
			}
			p.feed(wire.Side(from), n)
		}
	}
}

func (p *tape) ask() {
	p.bytes[wire.Client] = append(p.bytes[wire.Client], p.c.get(p.next, "/a")...)
	if p.r.IntN(5) == 0 {
		p.bytes[wire.Client] = append(p.bytes[wire.Client], raw(typeWindow, 0, 0, "\x00\x00\x00\x01")...)
	}
	p.open = append(p.open, p.next)
	p.next += 2
}

func (p *tape) answer() {
	n := p.r.IntN(len(p.open))
	id := p.open[n]
	p.open = append(p.open[:n], p.open[n+1:]...)
	p.bytes[wire.Server] = append(append(p.bytes[wire.Server], p.s.headers(id, false, ":status", "200")...), raw(typeData, endStream, id, strings.Repeat("b", 1200))...)
}

// One request at the end, of which nothing is missing, tells all: what is told
// and missed is what was asked. Clients hear an answer sometimes before their
// sending is reported; one that nobody saw may be waited for then.
func TestToldAndMissedOfCutBytes(t *testing.T) {
	for seed := range uint64(1000) {
		p := newTape(t, seed)
		client := seed%2 == 1
		asked := 100 + p.r.IntN(100)
		for range asked {
			p.ask()
			p.pass(false)
			for (client || len(p.bytes[wire.Client]) == 0) && len(p.open) > 0 && (len(p.open) > 8 || p.r.IntN(3) > 0) {
				p.answer()
			}
			p.pass(false)
		}
		p.pass(true)
		for len(p.open) > 0 {
			p.answer()
		}
		p.pass(true)
		p.sound = true
		p.ask()
		p.pass(true)
		p.answer()
		p.pass(true)
		told, missed := len(p.out.Exchanges), p.out.Missed
		waiting, _ := p.conn.Waiting()
		if told+missed+waiting != asked+1 || p.out.Unpaired != 0 || p.out.Wrong || waiting > 0 && !client {
			t.Fatalf("seed %d: told %d, missed %d, waiting %d, unpaired %d, wrong %v; asked %d", seed, told, missed, waiting, p.out.Unpaired, p.out.Wrong, asked+1)
		}
	}
}

// Bytes of the server that cannot be read are no reason to give up who is answered
// later; who is overtaken afterwards is told.
func TestAnswersAfterUnreadBytes(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, append([]byte(preface), c.get(1, "/big")...), 0)
	k.send(wire.Server, append(s.headers(1, false, ":status", "200"), raw(typeData, 0, 1, "part")...), 9000) // the position is lost
	k.send(wire.Client, append(append(c.get(3, "/a"), c.get(5, "/b")...), c.get(7, "/c")...), 0)
	k.send(wire.Server, []byte("in the middle of something that is no frame"), 0)
	k.send(wire.Client, c.get(9, "/d"), 0)
	k.send(wire.Server, s.ok(3), 0)
	k.send(wire.Server, s.headers(7, false, ":status", "200"), 0)
	if n, _ := k.conn.Waiting(); n != 3 {
		t.Errorf("%d wait, want 5, 7 and 9", n)
	}
	k.send(wire.Server, s.ok(9), 0) // and 5 has gone by
	k.send(wire.Server, raw(typeData, endStream, 7, "x"), 0)
	k.want(map[string]int{"GET /big 200": 1, "GET /a 200": 1, "GET /b 0": 1, "GET /c 200": 1, "GET /d 200": 1}, 0)
}
