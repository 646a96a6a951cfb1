package memcached

import (
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

func TestRecordings(t *testing.T) {
	all := wiretest.LoadAll(t, "testdata")
	for name, want := range map[string][]string{
		"text": {
			"SET", "GET", "GET MISS", "GETS", "ADD NOT_STORED", "CAS EXISTS", "SET", "GET", "INCR CLIENT_ERROR failed", "SET", "INCR",
			"DELETE", "DELETE NOT_FOUND", "TOUCH", "GAT", "OTHER ERROR failed", "VERSION", "STATS", "FLUSH_ALL", "VERBOSITY", "STATS",
			"SET", "GET", "GET MISS",
		},
		"meta": {
			"MS", "MG", "MG MISS", "MG", "MG", "MG MISS", "MG MISS", "MN", "MS NOT_FOUND", "MS", "MD", "MN", "MD", "MD NOT_FOUND",
			"MA NOT_FOUND", "MA", "MA", "ME",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := wiretest.Check(t, &Protocol, all[name])
			wiretest.WantLines(t, name, r.Exchanges, want...)
			if last := r.Exchanges[len(r.Exchanges)-1]; name == "text" && last.MessagesAsked != 120 {
				t.Errorf("%d keys in a long line", last.MessagesAsked)
			}
		})
	}
	if r := wiretest.Feed(&Protocol, all["binary"].Spans(), false, ""); r.Blind != "binary protocol" || len(r.Exchanges) != 0 {
		t.Errorf("%+v", r)
	}
}

// turns alternate, the client first.
func turns(said ...string) (all []wire.Span) {
	for i, s := range said {
		at := int64(i + 1)
		all = append(all, wire.Span{From: wire.Side(i & 1), Data: []byte(s), Size: int64(len(s)), First: at, Last: at, Turn: true})
	}
	return all
}

func TestGetsHaveHitsAndMisses(t *testing.T) {
	r := wiretest.Feed(&Protocol, turns("get a b c\r\n", "VALUE a 0 1\r\nx\r\nVALUE c 0 2\r\nEN\r\nEND\r\n"), false, "")
	if x := r.Exchanges; len(x) != 1 || x[0].MessagesAsked != 3 || x[0].MessagesAnswered != 2 || x[0].Code != "" || x[0].Answered != 38 {
		t.Errorf("%+v", x)
	}
}

func TestWhatWasNotCaptured(t *testing.T) {
	s := turns("set a 0 0 5000\r\nxx", "STORED\r\n", "get a\r\n", "VALUE a 0 5000\r\nxx", "get b\r\n", "END\r\n")
	s[0].Size, s[3].Size = 16+5002, 16+5002+5
	r := wiretest.Feed(&Protocol, s, false, "")
	wiretest.WantLines(t, "cut", r.Exchanges, "SET", "GET partial", "GET MISS")
	if r.Exchanges[0].Asked != s[0].Size || r.Exchanges[1].Answered != s[3].Size || r.Skipped != 5 {
		t.Errorf("%+v", r)
	}
	keys := turns("get "+strings.Repeat("k ", 50), "END\r\n", "get b\r\n", "END\r\n")
	keys[0].Size += 300
	wiretest.WantLines(t, "keys", wiretest.Feed(&Protocol, keys, false, "").Exchanges, "GET MISS partial", "GET MISS")
}

func TestJoinedAndGone(t *testing.T) {
	r := wiretest.Feed(&Protocol, turns("xxxx\r\n", "value\r\nEND\r\n", "get a\r\n", "END\r\n", "get b\r\n"), true, "timeout")
	wiretest.WantLines(t, "joined", r.Exchanges, "GET MISS", "GET failed timeout")
	if r.Skipped != 18 {
		t.Errorf("skipped %d", r.Skipped)
	}
}

func TestOtherBytesAreWrong(t *testing.T) {
	for _, s := range []string{"\x00\x01\x02\x03", "\x16\x03\x01\x02", "\r\n", strings.Repeat("x", 600)} {
		if r := wiretest.Feed(&Protocol, turns(s), false, ""); !r.Wrong {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		from wire.Side
		in   string
		want wire.Verdict
	}{
		{wire.Client, "set k 0 0 5\r\nhello\r\n", wire.Sure},
		{wire.Client, "set k 0 0 x\r\nhello\r\n", wire.No},
		{wire.Server, "42\r\n", wire.Maybe},
		{wire.Client, "get k\r\n", wire.Maybe},
		{wire.Client, "get k\r\nmore", wire.Maybe},
		{wire.Client, "GET / HTTP/1.1\r\n\r\n", wire.No},
		{wire.Client, "\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k", wire.Likely},
		{wire.Server, "VALUE k 0 5\r\nhello\r\nEND\r\n", wire.Sure},
		{wire.Server, "STORED\r\n", wire.Likely},
		{wire.Server, "DELETED\r\n", wire.Maybe},
		{wire.Server, "OK\r\n", wire.Maybe},
		{wire.Server, "220 mail\r\n", wire.No},
		{wire.Server, "", wire.No},
	} {
		if got := sniff(c.from, []byte(c.in), int64(len(c.in))); got != c.want {
			t.Errorf("%v %q: %v, want %v", c.from, c.in, got, c.want)
		}
	}
}

func FuzzConn(f *testing.F) { wiretest.Fuzz(f, &Protocol) }

func BenchmarkConn(b *testing.B) {
	wiretest.Bench(b, &Protocol, wiretest.Recording{
		{From: wire.Client, Data: []byte("set key:000000000042 0 0 3\r\nxxx\r\n")}, {From: wire.Server, Data: []byte("STORED\r\n")},
		{From: wire.Client, Data: []byte("get key:000000000042\r\n")}, {From: wire.Server, Data: []byte("VALUE key:000000000042 0 3\r\nxxx\r\nEND\r\n")},
	}, 0)
}
