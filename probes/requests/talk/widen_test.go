package talk

import (
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/redis"
)

// A pipeline that does not fit into the heads of an exchange widens what is
// captured of the connection, and of those to come; ordinary traffic takes that
// back.
func TestPipelinesWiden(t *testing.T) {
	const set, okay = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "+OK\r\n"
	s := &sink{}
	tune := &tuned{map[uint64]Capture{}, map[Endpoint]Capture{}}
	p := New(s, []*wire.Protocol{&redis.Protocol}, tune)
	whole := said(1, 1, strings.Repeat(set, 16), strings.Repeat(okay, 16))
	cut := whole
	cut.Request, cut.Response = whole.Request[:256], whole.Response[:64]
	p.Take(&cut)
	wide := Capture{Stream: true, Head: wideHead}
	if tune.connections[1] != wide || tune.endpoints[cut.endpoint()] != wide {
		t.Fatalf("connection %+v, place %+v", tune.connections[1], tune.endpoints)
	}
	seq := uint32(1)
	transfer := func(text string, flags uint16) {
		seq++
		r := said(1, seq, text, "")
		r.Kind, r.Flags, r.First, r.Last = Transfer, flags, int64(seq), int64(seq)
		if flags&Received == 0 {
			r.In, r.Out = 0, r.In
		}
		p.Take(&r)
	}
	before := s.cover[me]
	for range 3 {
		transfer(strings.Repeat(set, 16), Received)
		transfer(strings.Repeat(okay, 16), 0)
	}
	p.Deliver()
	if c := s.cover[me]; c.Parsed-before.Parsed < 48 {
		t.Errorf("%d of 48 commands: %+v", c.Parsed, c)
	}
	for range 2 * wideReview {
		transfer(set, Received)
		transfer(okay, 0)
	}
	if tune.connections[1] != (Capture{}) || tune.endpoints[cut.endpoint()] != (Capture{}) {
		t.Errorf("connection %+v, place %+v", tune.connections[1], tune.endpoints)
	}
	// Single requests that are merely large do not widen anything.
	delete(tune.connections, 1)
	large := said(2, 1, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5000\r\n"+strings.Repeat("x", 5000)+"\r\n", okay)
	large.Request = large.Request[:256]
	p.Take(&large)
	if how, ok := tune.connections[2]; ok {
		t.Errorf("a large value widens: %+v", how)
	}
}

// What follows an upgrade in the same span is the first of the next protocol.
func TestTheRestOfASpanGoesToTheNextProtocol(t *testing.T) {
	next := toys("next", '#', wire.No)
	first := toys("first", '!', wire.Sure)
	first.New = func(o wire.Options) wire.Conn { return &handover{toy{Protocol: first, opts: o}} }
	s := &sink{}
	p := New(s, []*wire.Protocol{first, next}, nil)
	r := said(1, 1, "!begin", "!ok#push it")
	p.Take(&r)
	r = said(1, 2, "#second", "#ok")
	p.Take(&r)
	p.Deliver()
	if got := lines(s); len(got) != 2 || got[0] != "first begin" || got[1] != "next second" || s.cover[me].Unpaired != 1 {
		t.Errorf("got %q, coverage %+v", got, s.cover[me])
	}
}

// handover ends its protocol after the first three bytes of an answer.
type handover struct{ toy }

func (c *handover) Feed(s *wire.Span, out *wire.Out) {
	if s.From == wire.Server {
		out.Switch, out.Rest = "next", s.Size-3
		head := *s
		head.Data, head.Size = s.Data[:3], 3
		s = &head
	}
	c.toy.Feed(s, out)
}
