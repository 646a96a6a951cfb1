package redis

import (
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

func TestRecordings(t *testing.T) {
	all := wiretest.LoadAll(t, "testdata")
	for name, want := range map[string][]string{
		"commands": {"SET", "GET", "GET", "LPUSH WRONGTYPE failed", "OTHER ERR failed", "CONFIG GET", "OBJECT HELP", "PING", "MSET ERR failed"},
		"pipeline": {
			"SET", "INCR", "INCR", "PING", "PING", "MULTI", "INCR", "LPOP", "EXEC WRONGTYPE failed", "RPUSH", "LRANGE", "EVAL",
		},
		"big":    {"SET", "GET", "STRLEN"},
		"pubsub": {"SUBSCRIBE stream", "PING", "UNSUBSCRIBE stream", "GET"},
		"resp3": {
			"HELLO", "CLIENT TRACKING", "GET", "SET", "PUSH stream", "SUBSCRIBE stream", "MESSAGE stream", "PUBLISH", "HSET", "HGETALL", "DEBUG ERR failed",
		},
		"silent": {"CLIENT REPLY", "PING", "CLIENT REPLY", "CLIENT REPLY", "PING", "PING"},
		"waits":  {"BLPOP stream", "XREAD stream", "MONITOR stream", "PING", "MONITOR stream"},
	} {
		t.Run(name, func(t *testing.T) {
			wiretest.WantLines(t, name, wiretest.Check(t, &Protocol, all[name]).Exchanges, want...)
		})
	}
}

func spans(pieces ...string) (all []wire.Span) {
	for i, p := range pieces {
		from := wire.Client
		if p[0] == '<' {
			from = wire.Server
		}
		at := int64(i + 1)
		all = append(all, wire.Span{From: from, Data: []byte(p[1:]), Size: int64(len(p) - 1), First: at, Last: at, Turn: true})
	}
	return all
}

func TestSizesAndTimes(t *testing.T) {
	s := spans(">*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "<$5\r\nhel", "<lo\r\n")
	s[1].Turn, s[2].Turn = false, false
	x := wiretest.Feed(&Protocol, s, false, "").Exchanges
	if len(x) != 1 || x[0].Start != 1 || x[0].First != 2 || x[0].End != 3 || x[0].Asked != 20 || x[0].Answered != 11 {
		t.Errorf("%+v", x)
	}
}

func TestWhatWasNotCaptured(t *testing.T) {
	big := spans(">*3\r\n$3\r\nSET\r\n$1\r\na\r\n$900\r\nvvvv", "<+OK\r\n", ">*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "<$900\r\nvv")
	big[0].Size, big[3].Size = 29+900+2+1, 6+900+2
	big[0].Size = int64(len("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$900\r\n")) + 902
	r := wiretest.Feed(&Protocol, big, false, "")
	wiretest.WantLines(t, "known lengths", r.Exchanges, "SET", "GET")
	if r.Skipped != 0 || r.Exchanges[1].Answered != 908 {
		t.Errorf("%+v", r)
	}
	long := spans(">*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n", "<*100\r\n$3\r\nabc\r\n$3", ">*1\r\n$4\r\nPING\r\n", "<+PONG\r\n")
	long[1].Size += 5000
	wiretest.WantLines(t, "a list, whole turns", wiretest.Feed(&Protocol, long, false, "").Exchanges, "KEYS", "PING")
	long[1].Turn = false
	wiretest.WantLines(t, "a list, transfers", wiretest.Feed(&Protocol, long, false, "").Exchanges, "KEYS partial", "PING")
	many := spans(">"+strings.Repeat("*1\r\n$4\r\nPING\r\n", 3), "<+PONG\r\n+PO", ">*1\r\n$6\r\nDBSIZE\r\n", "<:1\r\n")
	many[0].Size += 140
	many[1].Size += 70
	r = wiretest.Feed(&Protocol, many, false, "")
	wiretest.WantLines(t, "a pipeline", r.Exchanges, "PING", "PING partial", "PING partial", "DBSIZE")
	if r.Skipped != 140+73 {
		t.Errorf("skipped %d", r.Skipped)
	}
}

func TestJoined(t *testing.T) {
	r := wiretest.Feed(&Protocol, spans("<lo\r\n", ">lue\r\n", "<+OK\r\n", ">*1\r\n$4\r\nPING\r\n", "<+PONG\r\n"), true, "")
	wiretest.WantLines(t, "joined", r.Exchanges, "PING")
	if r.Unpaired != 1 || r.Skipped != 9 {
		t.Errorf("%+v", r)
	}
}

func TestEndings(t *testing.T) {
	for _, reason := range []string{"timeout", "reset"} {
		r := wiretest.Feed(&Protocol, spans(">*1\r\n$4\r\nPING\r\n"), false, reason)
		wiretest.WantLines(t, reason, r.Exchanges, "PING failed "+reason)
	}
	wiretest.WantLines(t, "a stream", wiretest.Feed(&Protocol, spans(">MONITOR\r\n"), false, "reset").Exchanges, "MONITOR stream")
	c := newConn(wire.Options{Names: wire.NewNames(10, nil)})
	var out wire.Out
	s := spans(">*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n")
	c.Feed(&s[0], &out)
	if n, oldest := c.Waiting(); n != 2 || oldest != 1 {
		t.Errorf("waiting %d since %d", n, oldest)
	}
	c.Gap(&out)
	if n, _ := c.Waiting(); n != 0 || len(out.Exchanges) != 2 || !out.Exchanges[0].Partial {
		t.Errorf("after a gap: %+v", out)
	}
}

func TestReplicationIsNotRequests(t *testing.T) {
	r := wiretest.Feed(&Protocol, spans(">*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n", "<+FULLRESYNC abc 0\r\n", "<$5\r\nREDIS", "<*1\r\n$4\r\nPING\r\n", ">*1\r\n$4\r\nPING\r\n"), false, "")
	wiretest.WantLines(t, "replication", r.Exchanges, "PSYNC stream")
}

func TestOtherBytesAreWrong(t *testing.T) {
	for _, s := range []string{"\x00\x00\x00\x01", "*2\r\nfoo\r\n", "*x\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01", "*1\r\n$999999999999\r\n"} {
		if r := wiretest.Feed(&Protocol, spans(">"+s), false, ""); !r.Wrong {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func TestNamesOfKeysAndOfUnknownCommandsStayInside(t *testing.T) {
	r := wiretest.Feed(&Protocol, spans(">*2\r\n$6\r\nsecret\r\n$6\r\nsecret\r\n*2\r\n$6\r\nCONFIG\r\n$6\r\nsecret\r\n", "<-secret x\r\n-SECRET1 x\r\n"), false, "")
	wiretest.WantLines(t, "hidden", r.Exchanges, "OTHER ERR failed", "CONFIG ERR failed")
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		from wire.Side
		in   string
		want wire.Verdict
	}{
		{wire.Client, "*1\r\n$4\r\nPING\r\n", wire.Sure},
		{wire.Client, "*2\r\n$3\r\nget\r\n$1\r\na\r\n", wire.Sure},
		{wire.Client, "*2\r\n$9\r\nMY.MODULE\r\n$1\r\na\r\n", wire.Likely},
		{wire.Client, "*2\r\n$3\r\nG", wire.Maybe},
		{wire.Client, "PING\r\n", wire.Maybe},
		{wire.Client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", wire.No},
		{wire.Client, "*2\r\n", wire.No},
		{wire.Client, "* OK IMAP\r\n", wire.No},
		{wire.Client, "", wire.No},
		{wire.Server, "+OK\r\n", wire.Maybe},
		{wire.Server, "$5\r\nhello\r\n", wire.Likely},
		{wire.Server, "*2\r\n$1\r\na\r\n", wire.Likely},
		{wire.Server, "-ERR unknown command\r\n", wire.Maybe},
		{wire.Server, "HTTP/1.1 200 OK\r\n", wire.No},
		{wire.Server, "\x00\x01\x02\x03", wire.No},
	} {
		if got := sniff(c.from, []byte(c.in), int64(len(c.in))); got != c.want {
			t.Errorf("%v %q: %v, want %v", c.from, c.in, got, c.want)
		}
	}
}

func FuzzConn(f *testing.F) { wiretest.Fuzz(f, &Protocol) }

func BenchmarkConn(b *testing.B) {
	rec := wiretest.Recording{
		{From: wire.Client, Data: []byte("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxxx\r\n")},
		{From: wire.Server, Data: []byte("+OK\r\n")},
		{From: wire.Client, Data: []byte("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n")},
		{From: wire.Server, Data: []byte("$3\r\nxxx\r\n")},
	}
	wiretest.Bench(b, &Protocol, rec, 0)
}
