package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

func TestRecordings(t *testing.T) {
	all := wiretest.LoadAll(t, "testdata")
	pgbench := []string{"BEGIN BEGIN", "SELECT SELECT b FROM t WHERE a = ?", "UPDATE UPDATE t SET b = ? WHERE a = ?", "COMMIT COMMIT"}
	first := []string{"CONNECT"}
	for _, line := range pgbench {
		_, statement, _ := strings.Cut(line, " ")
		first = append(first, "PREPARE "+statement, line)
	}
	for name, want := range map[string][]string{
		"simple": {
			"CONNECT", "SELECT SELECT a, b FROM t WHERE a < ?", "SELECT SELECT ? FROM nowhere 42P01 failed", "EMPTY",
			"BEGIN BEGIN; UPDATE t SET b = ? WHERE a = ?; ROLLBACK", "DO DO ?",
		},
		"copy":     {"CONNECT", "COPY COPY (SELECT * FROM t WHERE a < ?) TO STDOUT", "COPY COPY t FROM STDIN", "COPY COPY t FROM STDIN"},
		"extended": append(append([]string{"CONNECT"}, pgbench...), pgbench...),
		"prepared": append(first, pgbench...),
		"pipeline": {
			"CONNECT", "PREPARE SELECT ?", "PREPARE SELECT b FROM t WHERE a = ?", "PREPARE SELECT ?", "SELECT SELECT ?",
			"SELECT SELECT b FROM t WHERE a = ?", "SELECT SELECT ?", "PREPARE SELECT ?", "SELECT SELECT ?",
			"SELECT SELECT ?", "SELECT SELECT b FROM t WHERE a = ?", "SELECT SELECT ?", "SELECT SELECT ?",
		},
		"notify": {"CONNECT", "LISTEN LISTEN ch", "NOTIFICATION stream", "NOTIFY NOTIFY ch, ?", "SELECT SELECT ?"},
		"cursor": {
			"CONNECT", "BEGIN BEGIN", `DECLARE DECLARE "named" CURSOR WITHOUT HOLD FOR SELECT * FROM t WHERE a < ?`,
			`FETCH FETCH FORWARD ? FROM "named"`, `FETCH FETCH FORWARD ? FROM "named"`, `FETCH FETCH FORWARD ? FROM "named"`,
			`FETCH FETCH FORWARD ? FROM "named"`, `CLOSE CLOSE "named"`, "ROLLBACK ROLLBACK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wiretest.WantLines(t, name, wiretest.Check(t, &Protocol, all[name]).Exchanges, want...)
		})
	}
}

// say writes messages: a type, a space, and the body, in which | is a zero byte.
func say(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		body := strings.ReplaceAll(m[min(len(m), 2):], "|", "\x00")
		b.WriteByte(m[0])
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)))
		b.WriteString(body)
	}
	return b.String()
}

var (
	ready = "Z I"
	fail  = "E SERROR|C42601|Mno||"
)

// turns alternate, the client first.
func turns(said ...string) (all []wire.Span) {
	for i, s := range said {
		at := int64(i + 1)
		all = append(all, wire.Span{From: wire.Side(i & 1), Data: []byte(s), Size: int64(len(s)), First: at, Last: at, Turn: true})
	}
	return all
}

const start = "\x00\x00\x00\x10\x00\x03\x00\x00user\x00x\x00\x00"

func open(said ...string) []wire.Span {
	return turns(append([]string{start, say("R \x00\x00\x00\x00", "S standard_conforming_strings|on|", ready)}, said...)...)
}

const (
	parse   = "P s1|SELECT 1|\x00\x00"
	bind    = "B |s1|\x00\x00\x00\x00\x00\x00"
	execute = "E |\x00\x00\x00\x00"
	sync    = "S "
)

func TestConversations(t *testing.T) {
	for name, c := range map[string]struct {
		spans []wire.Span
		want  []string
	}{
		"an error skips to the sync": {
			open(say("P |bad|\x00\x00", "B ||\x00\x00\x00\x00\x00\x00", execute, parse, bind, execute, sync, "Q SELECT 2|"), say(fail, ready, "T \x00\x00", "C SELECT 1|", ready)),
			[]string{"CONNECT", "OTHER bad 42601 failed", "SELECT SELECT ? aborted failed", "SELECT SELECT ?"},
		},
		"an error before the sync is seen": {
			open(say("P |bad|\x00\x00", "H "), say(fail), say(sync), say(ready), say("Q SELECT 2|"), say("C SELECT 1|", ready)),
			[]string{"CONNECT", "PREPARE bad 42601 failed", "SELECT SELECT ?"},
		},
		"flush, and an error in the commit": {
			open(say(parse, bind, execute, "H "), say("1 ", "2 ", "C SELECT 1|"), say(sync), say("E SERROR|C40001||", ready)),
			[]string{"CONNECT", "SELECT SELECT ?", "SYNC 40001 failed"},
		},
		"an error in the commit": {
			open(say(parse, bind, execute, sync), say("1 ", "2 ", "C SELECT 1|", "E SERROR|C40001||", ready)),
			[]string{"CONNECT", "SELECT SELECT ? 40001 failed"},
		},
		"empty sync, describe, close": {
			open(say(sync), say(ready), say("D Sx|", sync), say("t \x00\x00", "n ", ready), say("C Ss1|", sync), say("3 ", ready)),
			[]string{"CONNECT", "DESCRIBE unknown (joined mid-stream)", "CLOSE unknown (joined mid-stream)"},
		},
		"portals": {
			open(say(parse, "B p1|s1|\x00\x00\x00\x00\x00\x00", "E p1|\x00\x00\x00\x05", "H "), say("1 ", "2 ", "s "), say("E p1|\x00\x00\x00\x05", "C Pp1|", sync), say("C SELECT 2|", "3 ", ready)),
			[]string{"CONNECT", "SELECT SELECT ?", "SELECT SELECT ?"},
		},
		"login fails":     {turns(start, say("E SFATAL|C28P01||")), []string{"CONNECT 28P01 failed"}},
		"no encryption":   {turns("\x00\x00\x00\x08\x04\xd2\x16\x2f", "N", start, say("R \x00\x00\x00\x00", ready)), []string{"CONNECT"}},
		"encryption":      {turns("\x00\x00\x00\x08\x04\xd2\x16\x2f", "S", "\x16\x03\x01\x02\x00\x01\x00"), nil},
		"cancel":          {turns("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02"), []string{"CANCEL"}},
		"replication":     {open(say("Q START_REPLICATION SLOT x|"), say("W \x00\x00\x00", "d xxx")), []string{"CONNECT", "OTHER START_REPLICATION SLOT x stream"}},
		"function":        {open(say("F \x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), say("V \x00\x00\x00\x00", ready)), []string{"CONNECT", "FUNCTION"}},
		"the client left": {open(say("Q SELECT pg_sleep(9)|")), []string{"CONNECT", "SELECT SELECT pg_sleep(?) failed reset"}},
	} {
		wiretest.WantLines(t, name, wiretest.Feed(&Protocol, c.spans, false, "reset").Exchanges, c.want...)
	}
	if r := wiretest.Feed(&Protocol, turns("\x00\x00\x00\x08\x04\xd2\x16\x2f", "S"), false, ""); r.Blind != "tls" {
		t.Errorf("encrypted: %+v", r)
	}
}

func TestJoined(t *testing.T) {
	spans := turns(say(bind, execute, sync), say("2 ", "D \x00\x00", "C SELECT 1|", ready), say("Q UPDATE t SET a='\\'x'|"), say("C UPDATE 1|", ready))
	r := wiretest.Feed(&Protocol, spans, true, "")
	wiretest.WantLines(t, "joined", r.Exchanges, "SELECT unknown (joined mid-stream)", "UPDATE UPDATE t SET a=?…")
	r = wiretest.Feed(&Protocol, append(turns("rest of something", "rest of an answer"), spans...), true, "")
	if len(r.Exchanges) != 2 || r.Skipped != 34 || r.Wrong {
		t.Errorf("%+v", r)
	}
}

func TestWhatWasNotCaptured(t *testing.T) {
	long := open(say("Q SELECT '"+strings.Repeat("x", 3000)+"' FROM t|"), say("T \x00\x00", "D "+strings.Repeat("\x00", 900), "C SELECT 1|", ready), say("Q SELECT 2|"), say("C SELECT 1|", ready))
	long[2].Data, long[3].Data = long[2].Data[:256], long[3].Data[:64]
	r := wiretest.Feed(&Protocol, long, false, "")
	wiretest.WantLines(t, "cut", r.Exchanges, "CONNECT", "SELECT SELECT ?… partial", "SELECT SELECT ?")
	if x := r.Exchanges[1]; x.Asked != long[2].Size || x.Answered != long[3].Size || x.First != 4 || x.End != 4 {
		t.Errorf("%+v", x)
	}
	bound := open(say("P |SELECT $1|\x00\x00", "B ||\x00\x00\x00\x01\x00\x00\x08\x00"+strings.Repeat("x", 2048), execute, sync), say("1 ", "2 ", "C SELECT 1|", ready))
	bound[2].Data = bound[2].Data[:256]
	wiretest.WantLines(t, "the end of a request", wiretest.Feed(&Protocol, bound, false, "").Exchanges, "CONNECT", "SELECT SELECT ? partial")
}

func TestDeepPipelinesAreCountedAndPairedAgainAfterwards(t *testing.T) {
	var asked, answered []string
	for range 300 {
		asked = append(asked, parse, bind, execute, sync)
		answered = append(answered, "1 ", "2 ", "C SELECT 1|", ready)
	}
	r := wiretest.Feed(&Protocol, open(say(asked...), say(answered...), say("Q UPDATE t SET a=1|"), say("C UPDATE 1|", ready)), false, "")
	if len(r.Exchanges) != 302 || r.Unpaired != 0 || r.Exchanges[301].Method != "UPDATE" || r.Exchanges[301].Partial {
		t.Errorf("%d exchanges, %d unpaired, the last: %+v", len(r.Exchanges), r.Unpaired, r.Exchanges[len(r.Exchanges)-1])
	}
}

func TestStatementsAreBounded(t *testing.T) {
	var s statements
	for i := range 3 * maxStatements {
		s.put(key('S', fmt.Appendf(nil, "s%d", i)), statement{"SELECT", "x"})
	}
	if len(s.known) != maxStatements || s.get(key('S', []byte("s0"))).target != notFound || s.get(key('S', []byte("s700"))).target != "x" {
		t.Errorf("%d are kept", len(s.known))
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		from wire.Side
		in   string
		want wire.Verdict
	}{
		{wire.Client, start, wire.Sure},
		{wire.Client, "\x00\x00\x00\x08\x04\xd2\x16\x2f", wire.Sure},
		{wire.Client, say("Q SELECT 1|"), wire.Sure},
		{wire.Client, say("Q frobnicate|"), wire.Maybe},
		{wire.Client, say(bind, execute, sync), wire.Sure},
		{wire.Client, say("X "), wire.Maybe},
		{wire.Client, "QUERY me\r\n", wire.No},
		{wire.Client, "\x00\x00\x00\x10\x00\x04\x00\x00user\x00x\x00\x00", wire.No},
		{wire.Server, say("R \x00\x00\x00\x00", ready), wire.Likely},
		{wire.Server, say("C SELECT 1|", ready), wire.Sure},
		{wire.Server, say(fail), wire.Likely},
		{wire.Server, "N", wire.Maybe},
		{wire.Server, "HTTP/1.1 200 OK\r\n", wire.No},
	} {
		if got := sniff(c.from, []byte(c.in), int64(len(c.in))); got != c.want {
			t.Errorf("%v %q: %v, want %v", c.from, c.in, got, c.want)
		}
	}
}

func FuzzConn(f *testing.F) { wiretest.Fuzz(f, &Protocol) }

func BenchmarkConn(b *testing.B) {
	for name, asked := range map[string]string{
		"simple":   say("Q SELECT abalance FROM pgbench_accounts WHERE aid = 12345;|"),
		"prepared": say(bind, execute, sync),
	} {
		b.Run(name, func(b *testing.B) {
			answer := say("2 ", "T \x00\x01abalance|\x00\x00\x40\x00\x00\x03\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00", "D \x00\x01\x00\x00\x00\x0242", "C SELECT 1|", ready)
			wiretest.Bench(b, &Protocol, wiretest.Recording{
				{From: wire.Client, Data: []byte(start)}, {From: wire.Server, Data: []byte(say("R \x00\x00\x00\x00", ready))},
				{From: wire.Client, Data: []byte(say(parse, sync))}, {From: wire.Server, Data: []byte(say("1 ", ready))},
				{From: wire.Client, Data: []byte(asked)}, {From: wire.Server, Data: []byte(answer)},
			}, 4)
		})
	}
}
