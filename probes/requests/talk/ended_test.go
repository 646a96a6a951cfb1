package talk

import (
	"slices"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/http2"
)

const (
	begins = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	first  = "\x00\x00\x02\x01\x05\x00\x00\x00\x01\x82\x84" // GET / on stream 1
)

// head is how a lost transfer began: a frame of a stream.
func head(typ byte, stream byte) string {
	return "\x00\x00\x01" + string([]byte{typ, 5, 0, 0, 0, stream}) + "\x88" + string(make([]byte, lostHead-10))
}

// The end of a connection tells how many requests were in the hole before it:
// of one that was heard of, and of one that was not, at a place that is known.
func TestEndsTellOfLostStreams(t *testing.T) {
	end := func(cookie uint64, seq uint32, heads string) Record {
		r := said(cookie, seq, "", "")
		r.Kind, r.Request = End, []byte(heads)
		return r
	}
	lost := head(0, 7) + head(1, 9) + head(2, 99) + head(8, 5)
	for _, c := range []struct {
		name        string
		end         Record
		lost        uint64
		connections uint64
	}{
		{"nothing is missing", end(1, 2, ""), 0, 1},
		{"stale", end(1, 2, lost), 0, 1},
		{"in a hole", end(1, 9, lost), 4, 1},
		{"in a hole that says nothing", end(1, 9, ""), 0, 1},
		{"in a hole before other things", end(3, 9, lost), 4, 1},
		{"never heard of", end(2, 9, lost), 5, 2},
		{"never heard of, and older", with(end(2, 9, lost), func(r *Record) { r.Flags |= Joined }), 0, 2},
		{"never heard of, elsewhere", with(end(2, 9, lost), at(1001)), 0, 1},
		{"nobody's bytes", end(2, 9, string(make([]byte, 5*lostHead+7))), 0, 2},
	} {
		s := &sink{}
		p := New(s, []*wire.Protocol{&http2.Protocol}, nil)
		records := []Record{transfer(1, begins+first, Received), transfer(2, "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88", 0), c.end}
		if c.end.Cookie == 3 { // what comes after the hole is no request
			c.end.Cookie = 1
			records[2] = c.end
			records = slices.Insert(records, 2, transfer(9, "\x00\x00\x00\x04\x01\x00\x00\x00\x00", 0))
		}
		for _, r := range records {
			p.Take(&r)
		}
		p.Deliver()
		got := s.cover[me]
		if got.Lost != c.lost || got.Parsed != 1 || got.Exchanges != 1+c.lost || got.Connections != c.connections || got.Unpaired != 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		if p.table.byCookie[c.end.Cookie] != nil {
			t.Errorf("%s: the connection is still there", c.name)
		}
	}
}

// What waits for a parser is told of the holes before it.
func TestHolesBeforeTheDecision(t *testing.T) {
	s, _ := play(transfer(1, "~one", Received), transfer(9, "~two", Received), transfer(10, "~ok", 0))
	if got := lines(s); !slices.Equal(got, []string{"likely one partial", "likely two"}) || s.cover[me].Gaps != 1 {
		t.Errorf("%q, coverage %+v", got, s.cover[me])
	}
}
