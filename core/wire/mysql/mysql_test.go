package mysql

import (
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

func TestRecordings(t *testing.T) {
	all := wiretest.LoadAll(t, "testdata")
	for name, want := range map[string][]string{
		"client": {
			"CONNECT", "SELECT SELECT a, b FROM t WHERE a < ?", "SELECT SELECT * FROM nowhere 1146 42S02 failed",
			"SELECT SELECT a FROM t WHERE a > ?", "SELECT SELECT DATABASE()", "INIT_DB", "UPDATE UPDATE t SET b = ? WHERE a = ?",
			"CREATE CREATE PROCEDURE p() BEGIN SELECT ?; SELECT a FROM t LIMIT ?; END", "CALL CALL p()", "DROP DROP PROCEDURE p",
		},
		"driver": {
			"CONNECT", "PREPARE SELECT a, b FROM t WHERE a < ?", "SELECT SELECT a, b FROM t WHERE a < ?",
			"SELECT SELECT a, b FROM t WHERE a < ?", "SELECT SELECT a, b FROM t WHERE a < ?", "PREPARE INSERT INTO t VALUES (?)",
			"INSERT INSERT INTO t VALUES (?) 1062 23000 failed", "PING", "DO DO ?",
		},
		"prepare":    {"CONNECT", "PREPARE PREPARE s FROM ?", "SET SET @a = ?", "EXECUTE EXECUTE s USING @a"},
		"load":       {"CONNECT", "LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t", "DELETE DELETE FROM t WHERE a > ?"},
		"denied":     {"CONNECT 1045 28000 failed"},
		"statistics": {"CONNECT", "STATISTICS", "PING", "SHOW SHOW processlist"},
	} {
		t.Run(name, func(t *testing.T) {
			wiretest.WantLines(t, name, wiretest.Check(t, &Protocol, all[name]).Exchanges, want...)
		})
	}
	r := wiretest.Feed(&Protocol, all["compressed"].Spans(), false, "reset")
	wiretest.WantLines(t, "compressed", r.Exchanges, "CONNECT")
	if r.Blind != "compressed" {
		t.Errorf("%+v", r)
	}
}

// say writes packets with numbers from seq on.
func say(seq byte, bodies ...string) string {
	var b strings.Builder
	for i, body := range bodies {
		b.Write([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), seq + byte(i)})
		b.WriteString(body)
	}
	return b.String()
}

// turns alternate, the client first.
func turns(said ...string) (all []wire.Span) {
	for i, s := range said {
		at := int64(i + 1)
		all = append(all, wire.Span{From: wire.Side(i & 1), Data: []byte(s), Size: int64(len(s)), First: at, Last: at, Turn: true})
	}
	return all
}

const (
	ok       = "\x00\x00\x00\x02\x00\x00\x00"
	moreOK   = "\x00\x00\x00\x0a\x00\x00\x00"
	eof      = "\xfe\x00\x00\x02\x00"
	endOK    = "\xfe\x00\x00\x02\x00\x00\x00"
	moreEnd  = "\xfe\x00\x00\x0a\x00\x00\x00"
	column   = "\x03def\x00\x00\x00\x01a\x00\x0c\x3f\x00\x01\x00\x00\x00\x03\x81\x00\x00\x00\x00"
	broken   = "\xff\x7a\x04#42S02no"
	select1  = "\x03SELECT 1"
	execute1 = "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00"
	prepare1 = "\x16SELECT ?"
)

func TestConversations(t *testing.T) {
	for name, c := range map[string]struct {
		spans []wire.Span
		want  []string
	}{
		"columns with and without their end": {
			turns(say(0, select1), say(1, "\x01", column, eof, "\x011", eof), say(0, select1), say(1, "\x01", column, "\x011", endOK), say(0, select1), say(1, "\x01", column, endOK)),
			[]string{"SELECT SELECT ?", "SELECT SELECT ?", "SELECT SELECT ?"},
		},
		"several results, of which one fails": {
			turns(say(0, "\x03SELECT 1; UPDATE t SET a=1; x"), say(1, "\x01", column, "\x011", moreEnd, moreOK, broken), say(0, "\x0e"), say(1, ok)),
			[]string{"SELECT SELECT ?; UPDATE t SET a=?; x 1146 42S02 failed", "PING"},
		},
		"an error between rows": {
			turns(say(0, select1), say(1, "\x01", column, eof, "\x011", broken), say(0, "\x0e"), say(1, ok)),
			[]string{"SELECT SELECT ? 1146 42S02 failed", "PING"},
		},
		"prepared, with parameters and columns": {
			turns(say(0, prepare1), say(1, "\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", column, eof, column, eof), say(0, execute1), say(1, ok), say(0, "\x19\x01\x00\x00\x00")+say(0, execute1), say(1, broken)),
			[]string{"PREPARE SELECT ?", "SELECT SELECT ?", "EXECUTE unknown (joined mid-stream) 1146 42S02 failed"},
		},
		"prepared, without ends": {
			turns(say(0, prepare1), say(1, "\x00\x01\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00", column, column, column), say(0, execute1), say(1, "\x02", column, column, "\x00\x00\x01", endOK)),
			[]string{"PREPARE SELECT ?", "SELECT SELECT ?"},
		},
		"pipelined, by number -1": {
			turns(say(0, prepare1)+say(0, "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"), say(1, "\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", column)+say(1, ok)),
			[]string{"PREPARE SELECT ?", "SELECT SELECT ?"},
		},
		"a cursor": {
			turns(say(0, execute1), say(1, "\x01", column, "\xfe\x00\x00\x42\x00"), say(0, "\x1c\x01\x00\x00\x00\x05\x00\x00\x00"), say(1, "\x00\x00\x01", "\x00\x00\x02", "\xfe\x00\x00\x82\x00")),
			[]string{"EXECUTE unknown (joined mid-stream)", "FETCH unknown (joined mid-stream)"},
		},
		"columns that the client has": {
			turns(say(0, select1), say(1, "\x01\x00", eof, "\x011", eof)),
			[]string{"SELECT SELECT ?"},
		},
		"attributes":  {turns(say(0, "\x03\x00\x01SELECT 1"), say(1, ok)), []string{"SELECT SELECT ?"}},
		"no answer":   {turns(say(0, "\x19\x01\x00\x00\x00")+say(0, "\x01"), ""), nil},
		"change user": {turns(say(0, "\x11root\x00"), say(1, "\xfemysql_native_password\x00"), say(2, "12345678901234567890"), say(3, ok)), []string{"CHANGE_USER"}},
		"replication": {turns(say(0, "\x12\x00\x00\x00\x00"), say(1, "\x00event", "\x00event")), []string{"BINLOG_DUMP stream"}},
		"it ended":    {turns(say(0, select1), say(1, "\x01")), []string{"SELECT SELECT ? failed reset"}},
	} {
		wiretest.WantLines(t, name, wiretest.Feed(&Protocol, c.spans, true, "reset").Exchanges, c.want...)
	}
}

func TestEncryptionAndRefusals(t *testing.T) {
	greeting := wiretest.LoadAll(t, "testdata")["client"][0].Data
	hello := "\x85\xae\xff\x00\x00\x00\x00\x01\x2d" + strings.Repeat("\x00", 23)
	r := wiretest.Feed(&Protocol, []wire.Span{
		{From: wire.Server, Data: greeting, Size: int64(len(greeting)), First: 1, Last: 1},
		{From: wire.Client, Data: []byte(say(1, hello)), Size: 36, First: 2, Last: 2},
	}, false, "")
	if r.Blind != "tls" || len(r.Exchanges) != 0 {
		t.Errorf("%+v", r)
	}
	full := say(0, "\xff\x10\x04Too many connections")
	r = wiretest.Feed(&Protocol, []wire.Span{{From: wire.Server, Data: []byte(full), Size: int64(len(full)), First: 1, Last: 1}}, false, "")
	wiretest.WantLines(t, "refused", r.Exchanges, "CONNECT 1040 error failed")
}

func TestLongMessages(t *testing.T) {
	head := "\xff\xff\xff\x00\x03INSERT INTO t VALUES ('"
	rest := "\x0a\x00\x00\x01"
	s := turns(head, say(1, ok), say(0, "\x0e"), say(1, ok))
	s[0].Data = []byte(head)
	s[0].Size = longest + 4 + 4 + 10
	s[0].Turn = false
	// The rest of the first packet was not captured, and neither the second one.
	r := wiretest.Feed(&Protocol, s, true, "")
	wiretest.WantLines(t, "not captured", r.Exchanges, "INSERT INSERT INTO t VALUES (?…", "PING")
	first := wire.Span{From: wire.Client, Data: []byte(head), Size: longest + 4, First: 1, Last: 1}
	second := wire.Span{From: wire.Client, Data: []byte(rest + "0123456789"), Size: 14, First: 2, Last: 2}
	r = wiretest.Feed(&Protocol, append([]wire.Span{first, second}, s[1:]...), true, "")
	wiretest.WantLines(t, "two packets", r.Exchanges, "INSERT INSERT INTO t VALUES (?…", "PING")
	if r.Skipped != 0 || r.Exchanges[0].Asked != longest+4+14 {
		t.Errorf("%+v", r)
	}
}

func TestWhatWasNotCaptured(t *testing.T) {
	s := turns(say(0, select1), say(1, "\x01", column, eof, "\x011", "\x012"), say(0, "\x0e"), say(1, ok))
	s[1].Size += 4000
	r := wiretest.Feed(&Protocol, s, true, "")
	wiretest.WantLines(t, "rows", r.Exchanges, "SELECT SELECT ? partial", "PING")
	if r.Exchanges[0].Answered != s[1].Size || r.Unpaired != 0 {
		t.Errorf("%+v", r)
	}
}

func TestStatementsAreBounded(t *testing.T) {
	c := newConn(wire.Options{Names: wire.NewNames(10, nil)})
	for id := range uint32(3 * maxStatements) {
		c.remember(id, "SELECT ?")
	}
	if _, ok := c.statements[3*maxStatements-1]; !ok || len(c.statements) > maxStatements {
		t.Errorf("%d are kept", len(c.statements))
	}
}

func TestSniff(t *testing.T) {
	greeting := string(wiretest.LoadAll(t, "testdata")["client"][0].Data)
	login := string(wiretest.LoadAll(t, "testdata")["client"][1].Data)
	for _, c := range []struct {
		from wire.Side
		in   string
		want wire.Verdict
	}{
		{wire.Server, greeting, wire.Sure},
		{wire.Client, login, wire.Likely},
		{wire.Client, say(0, select1), wire.Sure},
		{wire.Client, say(0, "\x03frobnicate"), wire.Maybe},
		{wire.Client, say(0, select1) + "x", wire.No},
		{wire.Client, say(0, execute1), wire.Likely},
		{wire.Client, say(0, "\x0e"), wire.Maybe},
		{wire.Client, say(0, "\x03\x01\x02\x03"), wire.No},
		{wire.Client, "GET / HTTP/1.1\r\n\r\n", wire.No},
		{wire.Server, say(1, ok), wire.Likely},
		{wire.Server, say(1, broken), wire.Likely},
		{wire.Server, say(1, "\x01", column, eof), wire.Sure},
		{wire.Server, "HTTP/1.1 200 OK\r\n", wire.No},
		{wire.Server, "", wire.No},
	} {
		if got := sniff(c.from, []byte(c.in), int64(len(c.in))); got != c.want {
			t.Errorf("%v %q: %v, want %v", c.from, c.in, got, c.want)
		}
	}
}

func FuzzConn(f *testing.F) { wiretest.Fuzz(f, &Protocol) }

func BenchmarkConn(b *testing.B) {
	greeting, login := wiretest.LoadAll(b, "testdata")["client"][0], wiretest.LoadAll(b, "testdata")["client"][1]
	for name, asked := range map[string]string{
		"text":     say(0, "\x03SELECT b FROM accounts WHERE id = 12345"),
		"prepared": say(0, execute1),
	} {
		b.Run(name, func(b *testing.B) {
			wiretest.Bench(b, &Protocol, wiretest.Recording{
				greeting, login, {From: wire.Server, Data: []byte(say(2, ok))},
				{From: wire.Client, Data: []byte(say(0, prepare1))}, {From: wire.Server, Data: []byte(say(1, "\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", column, eof))},
				{From: wire.Client, Data: []byte(asked)}, {From: wire.Server, Data: []byte(say(1, "\x01", column, eof, "\x011", "\x012", eof))},
			}, 5)
		})
	}
}
