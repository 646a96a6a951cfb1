package websocket

import (
	"encoding/binary"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// raw makes a frame.
func raw(from wire.Side, first byte, payload string) []byte {
	b := []byte{first}
	mask := byte(0)
	if from == wire.Client {
		mask = 0x80
	}
	switch n := len(payload); {
	case n > 1<<16-1:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = append(b, mask|byte(n))
	}
	if mask == 0 {
		return append(b, payload...)
	}
	key := [4]byte{1, 2, 3, 4}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func turn(from wire.Side, frames ...[]byte) wiretest.Turn {
	t := wiretest.Turn{From: from}
	for _, f := range frames {
		t.Data = append(t.Data, f...)
	}
	return t
}

// conversation has three messages of the client and two of the server.
func conversation() wiretest.Recording {
	c, s := wire.Client, wire.Server
	return wiretest.Recording{
		turn(c, raw(c, 0x81, "hello"), raw(c, 0x82, strings.Repeat("x", 300))),
		turn(s, raw(s, 0xc1, strings.Repeat("y", 70000)), raw(s, 0x89, "ping")),
		turn(c, raw(c, 0x8a, "ping"), raw(c, 0x01, "first "), raw(c, 0x89, ""), raw(c, 0x80, "last")),
		turn(s, raw(s, 0x81, "")),
		turn(s, raw(s, 0x88, "\x03\xf3bye")),
		turn(c, raw(c, 0x88, "\x03\xf3")),
	}
}

func TestConversation(t *testing.T) {
	rec := conversation()
	rec[1] = turn(wire.Server, raw(wire.Server, 0xc1, strings.Repeat("y", 700)), raw(wire.Server, 0x89, "ping"))
	r := wiretest.Check(t, &Protocol, rec)
	if len(r.Exchanges) != 1 {
		t.Fatalf("%+v", r)
	}
	x := r.Exchanges[0]
	if !x.Stream || x.MessagesAsked != 3 || x.MessagesAnswered != 2 || x.Code != "INTERNAL_ERROR" || !x.FailedServer || x.Partial {
		t.Errorf("%+v", x)
	}
}

func feed(c wire.Conn, rec wiretest.Recording, most int, out *wire.Out) {
	for i, turn := range rec {
		data := turn.Data[:min(most, len(turn.Data))]
		c.Feed(&wire.Span{From: turn.From, Data: data, Size: int64(len(turn.Data)), First: int64(i + 9), Last: int64(i + 9)}, out)
	}
}

func TestAdoptedAndShort(t *testing.T) {
	c := newConn(wire.Options{})
	c.Adopt(&wire.Exchange{Method: "GET", Target: "/chat", Peer: "h", Start: 2, End: 3})
	rec := wiretest.Recording{
		turn(wire.Server, raw(wire.Server, 0x82, strings.Repeat("y", 70000))), // its length is known
		turn(wire.Server, raw(wire.Server, 0x82, "z")),
	}
	var out wire.Out
	feed(c, rec, 100, &out)
	if n, _ := c.Waiting(); n != 0 || out.Messages != 2 || len(out.Exchanges) != 0 {
		t.Errorf("%+v", out)
	}
	c.End(99, "cancelled", &out)
	if len(out.Exchanges) != 1 {
		t.Fatalf("%+v", out)
	}
	if x := out.Exchanges[0]; x.Target != "/chat" || x.Start != 3 || x.End != 99 || x.MessagesAnswered != 2 || x.Partial || x.Error != "" || x.First != 9 {
		t.Errorf("%+v", x)
	}
}

func TestJoinedAndLost(t *testing.T) {
	c := newConn(wire.Options{Joined: true})
	var out wire.Out
	rec := conversation()
	feed(c, wiretest.Recording{{From: wire.Server, Data: []byte("the middle of something")}}, 1000, &out)
	feed(c, rec[3:], 1000, &out)
	if len(out.Exchanges) != 1 || !out.Exchanges[0].Partial || out.Exchanges[0].MessagesAnswered != 1 || out.Skipped == 0 {
		t.Errorf("%+v", out)
	}
	c = newConn(wire.Options{Joined: true})
	out = wire.Out{}
	for range maxMisses {
		feed(c, wiretest.Recording{{From: wire.Client, Data: []byte("*1\r\n$4\r\nPING\r\n")}}, 1000, &out)
	}
	if c.End(5, "reset", &out); !out.Wrong || len(out.Exchanges) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestOutcomes(t *testing.T) {
	for code, want := range map[uint16]string{1000: "NORMAL", 1001: "GOING_AWAY", 1014: "BAD_GATEWAY", 4000: wire.Other, 0: wire.Other} {
		if name, _, client := outcome(code); name != want || client && code != 1014 && code != 0 {
			t.Errorf("%d: %s %v", code, name, client)
		}
	}
}

func FuzzConn(f *testing.F) {
	for _, turn := range conversation()[2:] {
		f.Add(turn.Data, uint8(3), turn.From == wire.Server, false)
	}
	f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(200), false, true)
	f.Fuzz(func(t *testing.T, b []byte, split uint8, server, joined bool) {
		c := newConn(wire.Options{Joined: joined})
		from := wire.Client
		if server {
			from = wire.Server
		}
		var out wire.Out
		var size int64
		for at := int64(1); len(b) > 0; at++ {
			n := min(int(split%64)+1, len(b))
			s := wire.Span{From: from, Data: b[:n], Size: int64(n), First: at, Last: at}
			if split&128 != 0 {
				s.Size += int64(n)
			}
			size += s.Size
			c.Feed(&s, &out)
			b = b[n:]
		}
		c.End(1<<40, "reset", &out)
		if err := wiretest.Sane(out.Exchanges, size); err != nil {
			t.Error(err)
		}
		if out.Parsed+out.Skipped != size || len(out.Exchanges) > 1 {
			t.Errorf("%d parsed, %d skipped of %d; %d told", out.Parsed, out.Skipped, size, len(out.Exchanges))
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	c := newConn(wire.Options{})
	ask := raw(wire.Client, 0x81, strings.Repeat("x", 100))
	s := wire.Span{Data: ask, Size: int64(len(ask)), First: 1, Last: 1}
	var out wire.Out
	b.ReportAllocs()
	for b.Loop() {
		c.Feed(&s, &out)
	}
	if out.Messages != b.N {
		b.Fatal(out.Messages)
	}
}
