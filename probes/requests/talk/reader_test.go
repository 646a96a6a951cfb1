package talk

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/wire"
)

// list is what the tests speak: one of which a glance is enough, two that are
// vague, one that only a switch leads to.
func list() []*wire.Protocol {
	return []*wire.Protocol{
		toys("sure", '!', wire.Sure), toys("likely", '~', wire.Likely, 1500), toys("maybe", '?', wire.Maybe, 1500), toys("other", '#', wire.No),
	}
}

func play(records ...Record) (*sink, *Reader) {
	s := &sink{}
	p := New(s, list(), &tuned{map[uint64]Capture{}, map[Endpoint]Capture{}})
	for i := range records {
		p.Take(&records[i])
	}
	p.Deliver()
	return s, p
}

// lines gives requests in short.
func lines(s *sink) (out []string) {
	for _, r := range s.seen {
		line := fmt.Sprintf("%s %s", r.Protocol, r.Method)
		if r.Error != "" {
			line += " " + r.Error
		}
		if r.Partial {
			line += " partial"
		}
		out = append(out, line)
	}
	return out
}

func with(r Record, change func(*Record)) Record {
	change(&r)
	return r
}

func at(port uint16) func(*Record) { return func(r *Record) { r.LocalPort = port } }

func TestWhatConnectionsSpeak(t *testing.T) {
	sure, likely := func(seq uint32) Record { return said(1, seq, "!hi", "!ok") }, func(seq uint32) Record { return said(1, seq, "~hi", "") }
	garbage := func(seq uint32) Record { return said(1, seq, "zzz", "zzz") }
	for _, c := range []struct {
		name    string
		records []Record
		want    []string
		unknown uint64
	}{
		{"a sure sign", []Record{sure(1)}, []string{"sure hi"}, 0},
		{"one good sign is not enough", []Record{likely(1)}, nil, 0},
		{"two signs are, and the first is read then, too", []Record{said(1, 1, "~one", "~ok"), said(1, 2, "~two", "~ok")}, []string{"likely one", "likely two"}, 0},
		{"vague signs need to be three", []Record{said(1, 1, "?a", "?ok"), said(1, 2, "?b", "?ok")}, []string{"maybe a", "maybe b"}, 0},
		{"a port helps", []Record{with(said(1, 1, "?x", "?ok"), at(1500))}, []string{"maybe x"}, 0},
		{"but not alone", []Record{with(garbage(1), at(1500)), with(garbage(2), at(1500))}, nil, 0},
		{"never from contradictions", []Record{said(1, 1, "~hi", "zzz"), said(1, 2, "~hi", "zzz"), said(1, 3, "~hi", "zzz"), said(1, 4, "~hi", "zzz"), said(1, 5, "~hi", "zzz")},
			[]string{"unknown ", "unknown ", "unknown ", "unknown ", "unknown "}, 5},
		{"unknown stays unknown", []Record{garbage(1), garbage(2), garbage(3), garbage(4), garbage(5), garbage(6)},
			[]string{"unknown ", "unknown ", "unknown ", "unknown ", "unknown ", "unknown "}, 6},
		{"wrong is taken back", []Record{sure(1), said(1, 2, "!nonsense", "!ok"), garbage(3), garbage(4), garbage(5), garbage(6)},
			[]string{"sure hi", "unknown ", "unknown ", "unknown ", "unknown ", "unknown "}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := play(c.records...)
			if got := lines(s); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if cover := s.cover[me]; cover.Unknown != c.unknown || cover.Exchanges != uint64(len(c.want)) || cover.Parsed != uint64(len(c.want))-c.unknown {
				t.Errorf("coverage %+v", cover)
			}
		})
	}
}

// The program that serves speaks for a protocol, on both ends.
func TestAProgramHelps(t *testing.T) {
	protocols := list()
	protocols[2].Programs = []string{"maybed"}
	for _, name := range []string{"maybed", "other"} {
		s := &sink{}
		p := New(s, protocols, nil)
		p.Program = func(proc core.ProcKey) string {
			if proc == me {
				return name
			}
			return "client"
		}
		server := said(1, 1, "?x", "")
		client := far(server)
		p.Take(&server)
		p.Take(&client)
		p.Deliver()
		decided := 0
		for _, c := range p.table.byCookie {
			if c.conn != nil {
				decided++
			}
		}
		if want := map[string]int{"maybed": 2, "other": 0}[name]; decided != want {
			t.Errorf("%s: %d connections decided, want %d", name, decided, want)
		}
	}
}

// What one connection to a server was found to speak is expected of the next.
func TestAPlaceIsLearned(t *testing.T) {
	s, p := play(said(1, 1, "?a", "?ok"), said(1, 2, "?b", "?ok"), said(2, 1, "?c", "?ok"))
	if got := lines(s); !slices.Equal(got, []string{"maybe a", "maybe b", "maybe c"}) {
		t.Errorf("got %q", got)
	}
	r := said(2, 2, "?nonsense", "?ok")
	p.Take(&r)
	r = said(3, 1, "?c", "?ok")
	p.Take(&r)
	p.Deliver()
	if got := len(s.seen); got != 3 {
		t.Errorf("%d requests: a place that was wrong is still believed", got)
	}
}

func TestIdleUndecidedConnectionsAreCounted(t *testing.T) {
	s, p := play(said(1, 1, "~hi", ""))
	for range 6 {
		p.Release(map[uint64]bool{})
	}
	p.Deliver()
	if got := lines(s); !slices.Equal(got, []string{"unknown "}) || p.Held() {
		t.Errorf("got %q", got)
	}
}

func TestOrderAndGaps(t *testing.T) {
	request := with(said(1, 2, "!left", ""), func(r *Record) { r.First, r.Last = 0, 0 })
	s, _ := play(said(1, 1, "!a", "!ok"), said(1, 1, "!a", "!ok"), request, said(1, 4, "!b", "!ok"), said(1, 3, "!late", "!ok"))
	if got := lines(s); !slices.Equal(got, []string{"sure a", "sure left partial", "sure b"}) {
		t.Errorf("got %q", got)
	}
	if s.cover[me].Gaps != 1 {
		t.Errorf("coverage %+v", s.cover[me])
	}
}

func TestEnds(t *testing.T) {
	closed := func(flags uint16) Record {
		return with(said(1, 2, "!left", ""), func(r *Record) { r.Flags, r.First = Closed|flags, 0 })
	}
	for flags, want := range map[uint16]string{0: "cancelled", Reset: "reset", Timeout: "timeout"} {
		s, p := play(said(1, 1, "!a", "!ok"), closed(flags))
		if got := lines(s); !slices.Equal(got, []string{"sure a", "sure left " + want}) || !s.seen[1].Failed {
			t.Errorf("got %q", got)
		}
		if len(p.table.byCookie)+len(p.pairs) != 0 {
			t.Error("something of the connection is left")
		}
		end := Record{Kind: End, Cookie: 1, Flags: flags, Times: Times{Last: 9000}}
		s, p = play(with(said(1, 1, "!left", ""), func(r *Record) { r.First = 0 }), end)
		if got := lines(s); !slices.Equal(got, []string{"sure left " + want}) || s.seen[0].Duration != 8*time.Microsecond {
			t.Errorf("got %q", got)
		}
		if len(p.table.byCookie)+len(p.pairs)+len(p.streaming) != 0 {
			t.Error("something of the connection is left")
		}
	}
}

func TestAmendments(t *testing.T) {
	early := func(seq uint32) Record { return with(said(1, seq, "!a", "!ok"), func(r *Record) { r.Flags = Early }) }
	amend := with(said(1, 1, "!a", "!ok"), func(r *Record) { r.Flags, r.Last = Amend, 9000 })
	s, p := play(early(1), amend, amend, early(2), early(3))
	if got := lines(s); !slices.Equal(got, []string{"sure a", "sure a"}) || s.seen[0].Duration != 8*time.Microsecond || s.seen[1].Duration != 5*time.Microsecond {
		t.Errorf("got %q %v", got, s.seen)
	}
	p.Release(map[uint64]bool{1: true})
	p.Deliver()
	if len(s.seen) != 2 {
		t.Error("a socket that still answers was let go")
	}
	p.Release(map[uint64]bool{})
	p.Release(map[uint64]bool{})
	p.Deliver()
	if len(s.seen) != 3 || p.Held() || s.cover[me].Exchanges != 3 {
		t.Errorf("%d requests, coverage %+v", len(s.seen), s.cover[me])
	}
}

func TestSwitchesAndBlindness(t *testing.T) {
	s, _ := play(said(1, 1, "!upgrade", "!ok"), said(1, 2, "#new", "#ok"))
	if got := lines(s); !slices.Equal(got, []string{"sure upgrade", "other new"}) {
		t.Errorf("got %q", got)
	}
	hidden := with(said(1, 2, "\x17\x03\x03", "\x17"), func(r *Record) { r.Role = core.RoleClient })
	first := with(said(1, 1, "!encrypt", "!ok"), func(r *Record) { r.Role, r.In, r.Out = core.RoleClient, r.Out, r.In })
	s, _ = play(first, hidden)
	if got := lines(s); !slices.Equal(got, []string{"sure encrypt", "tls "}) || s.seen[1].Peer != "secret.example:5000" || !s.seen[1].TLS {
		t.Errorf("got %q %+v", got, s.seen)
	}
	if c := s.cover[me]; c.Encrypted != 1 || c.Why != "tls" || c.Exchanges != 2 || c.Parsed != 1 {
		t.Errorf("coverage %+v", c)
	}
}

// Names that somebody makes up fold those of others for a while, not for good.
func TestTooManyNames(t *testing.T) {
	s, p := play()
	p.names = wire.NewNames(5, nil)
	now := int64(1e12)
	ask := func(cookie uint64, method string) {
		r := said(cookie, 0, "!"+method, "!ok")
		r.Start, r.First, r.Last = now, now+1, now+2
		p.Take(&r)
		p.Deliver()
	}
	for i := range 20 {
		ask(1, fmt.Sprintf("made-up-%d", i))
	}
	ask(2, "honest")
	if got := s.seen[len(s.seen)-1].Method; got != wire.Other || p.Folded == 0 {
		t.Errorf("method %q, %d folded", got, p.Folded)
	}
	now += 2 * ageNames
	ask(2, "honest")
	ask(2, "honest")
	if got := s.seen[len(s.seen)-1].Method; got != "honest" {
		t.Errorf("method %q", got)
	}
}
