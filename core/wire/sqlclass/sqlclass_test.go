package sqlclass

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func fingerprint(sql string, d Dialect) string { return string(Append(nil, []byte(sql), d, false)) }

func TestFingerprints(t *testing.T) {
	const any, pg, my = Dialect(0), Postgres, MySQL
	for _, c := range []struct {
		d         Dialect
		in, want  string
		operation string
		table     string
	}{
		{any, "", "", "EMPTY", ""},
		{any, " ; ", "", "EMPTY", ""},
		{any, "select * from t where a='x' and b in (1, 2,3) -- hi", "SELECT * FROM t WHERE a=? AND b IN (?)", "SELECT", "t"},
		{any, "SELECT  a,b\n\tFROM  t\nLIMIT 10;", "SELECT a, b FROM t LIMIT ?", "SELECT", "t"},
		{any, "insert into t(a,b) values (1,'x'),(2,'y'),(3,'z')", "INSERT INTO t(a, b) VALUES (?)", "INSERT", "t"},
		{any, "INSERT INTO s.t SELECT x FROM u WHERE y > 5", "INSERT INTO s.t SELECT x FROM u WHERE y > ?", "INSERT", "s.t"},
		{any, "UPDATE a SET b = b + -12 WHERE id = -5", "UPDATE a SET b = b + ? WHERE id = ?", "UPDATE", "a"},
		{any, "UPDATE a SET b = b + 12 WHERE id = 5", "UPDATE a SET b = b + ? WHERE id = ?", "UPDATE", "a"},
		{any, "DELETE FROM a WHERE x BETWEEN 1.5e-3 AND .5", "DELETE FROM a WHERE x BETWEEN ? AND ?", "DELETE", "a"},
		{any, "SELECT 0xDEAD, 1_000, t1.c2 FROM t1", "SELECT ?, t1.c2 FROM t1", "SELECT", "t1"},
		{any, "SELECT a-1, b -- c\nFROM t", "SELECT a-?, b FROM t", "SELECT", "t"},
		{any, "SELECT /* FROM x */ 1 FROM t", "SELECT ? FROM t", "SELECT", "t"},
		{any, "WITH q AS (SELECT 1 FROM z) UPDATE t SET a = 1 FROM q", "WITH q AS (SELECT ? FROM z) UPDATE t SET a = ? FROM q", "UPDATE", "t"},
		{any, "SELECT extract(year FROM d) FROM t", "SELECT extract(year FROM d) FROM t", "SELECT", "t"},
		{any, "SELECT * FROM (SELECT * FROM inner_t) x", "SELECT * FROM (SELECT * FROM inner_t) x", "SELECT", "inner_t"},
		{any, "SELECT * FROM a JOIN b ON a.x = b.y FOR UPDATE", "SELECT * FROM a JOIN b ON a.x = b.y FOR UPDATE", "SELECT", "a"},
		{any, "(SELECT 1) UNION (SELECT 2)", "(SELECT ?) UNION (SELECT ?)", "SELECT", ""},
		{any, "begin; select 1; commit", "BEGIN; SELECT ?; COMMIT", "BEGIN", ""},
		{any, "TRUNCATE TABLE t", "TRUNCATE TABLE t", "TRUNCATE", "t"},
		{any, "CREATE TABLE IF NOT EXISTS s.t (a int)", "CREATE TABLE IF NOT EXISTS s.t (a int)", "CREATE", "s.t"},
		{any, "frobnicate the database", "frobnicate the database", "OTHER", ""},
		{any, "SET app.token = hunter2, x = 5; SELECT 1", "SET app.token = ?; SELECT ?", "SET", ""},
		{any, "SET search_path TO secret", "SET search_path TO ?", "SET", ""},
		{any, "SELECT * FROM events_20240131", "SELECT * FROM events_{n}", "SELECT", "events_{n}"},
		{any, "SAVEPOINT sp_140123456", "SAVEPOINT sp_{n}", "SAVEPOINT", ""},
		{any, "SELECT 'unterminated", "SELECT ?", "SELECT", ""},
		{pg, "SELECT $1, $2 FROM t WHERE a = ANY($3::int[])", "SELECT ? FROM t WHERE a = ANY(?::int[])", "SELECT", "t"},
		{pg, "SELECT $$it's$$, $a$x $$ y$a$, $b", "SELECT ?,…", "SELECT", ""},
		{pg, `SELECT E'it\'s', e'\\', 'C:\', "we""ird" FROM "My T"`, `SELECT ?, "we""ird" FROM "My T"`, "SELECT", `"My T"`},
		{pg, `SELECT B'101', X'ff', N'x', U&'\0041', DATE '2024-01-01'`, `SELECT ?, U&?, DATE ?`, "SELECT", ""},
		{pg, "SELECT /* a /* b */ 'c' */ 1", "SELECT ?", "SELECT", ""},
		{pg, "COPY t (a, b) FROM STDIN", "COPY t (a, b) FROM STDIN", "COPY", "t"},
		{pg, "SELECT data ? 'k' FROM j", "SELECT data ? FROM j", "SELECT", "j"},
		{pg, "SELECT a#>'{x}' FROM j", "SELECT a#>? FROM j", "SELECT", "j"},
		{pg | Unsure, `SELECT 'C:\', 'x'`, "SELECT ?…", "SELECT", ""},
		{pg | Unsure, `SELECT 'C:\dir', 'x'`, "SELECT ?", "SELECT", ""},
		{my, "SELECT `a b`, \"x\" FROM `db`.`t` # hi", "SELECT `a b`, ? FROM `db`.`t`", "SELECT", "`db`.`t`"},
		{my, `SELECT 'it\'s', "it\"s", _utf8mb4'x', x'ff', 'a' 'b' FROM t`, "SELECT ? FROM t", "SELECT", "t"},
		{my, "SELECT a--1, b -- c\n, d", "SELECT a-?, b, d", "SELECT", ""},
		{my, "SELECT * FROM t WHERE a IN (?,?,?)", "SELECT * FROM t WHERE a IN (?)", "SELECT", "t"},
		{my, "/*!40101 SET x=1 */", "", "EMPTY", ""},
		{my, "SELECT /*!99999 don't */ 'secret'", "SELECT…", "SELECT", ""},
		{my, "SELECT @@version, @a FROM dual", "SELECT @@version, @a FROM dual", "SELECT", "dual"},
		{my, "REPLACE INTO t VALUES (1, now(), 'x')", "REPLACE INTO t VALUES (?, now(), ?)", "REPLACE", "t"},
		{my | Unsure&^Backslash, "SELECT 'a\\\\', 'b'", "SELECT ?", "SELECT", ""},
	} {
		got := fingerprint(c.in, c.d)
		if got != c.want {
			t.Errorf("%q:\n\t%q, want\n\t%q", c.in, got, c.want)
		}
		if op := Operation([]byte(got)); op != c.operation {
			t.Errorf("%q: operation %s, want %s", c.in, op, c.operation)
		}
		if table := Table(got); table != c.table {
			t.Errorf("%q: table %q, want %q", c.in, table, c.table)
		}
	}
}

func TestBegins(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1": true, " (SELECT": true, "/* a */ Update t": true, "with x as": true, "": false, "selector": false, "/* a": false, "hello": false, "/": false, "; BEGIN": true,
	} {
		if Begins([]byte(text)) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestCutTextEndsInEllipsisAndShowsNoPart(t *testing.T) {
	sql := `SELECT "abc", name FROM tbl WHERE x = 'secret' AND y = $q$secret$q$ AND z = 12345 AND w = E'\'secret'`
	for n := range len(sql) {
		got := string(Append(nil, []byte(sql[:n]), Postgres, true))
		if !strings.HasSuffix(got, "…") || strings.Contains(got, "sec") || strings.Contains(got, "12") {
			t.Errorf("%q: %q", sql[:n], got)
		}
	}
	for _, c := range []string{"SELECT na", "SELECT name FROM t"} {
		if got := string(Append(nil, []byte(c), MySQL, true)); strings.Contains(got, "na…") || strings.Contains(got, "t…") {
			t.Errorf("%q: %q shows half a word", c, got)
		}
	}
}

func TestLongStatementsAreBounded(t *testing.T) {
	for _, sql := range []string{
		"SELECT " + strings.Repeat("col, ", 1000) + "x FROM t", "SELECT " + strings.Repeat("é", 1000), `SELECT "` + strings.Repeat("é", 300) + `"`,
		strings.Repeat("(", 5000), strings.Repeat("x", MaxLen+1), strings.Repeat("x", MaxLen),
	} {
		for _, prefix := range []string{"", "kept"} {
			got := Append([]byte(prefix), []byte(sql), Postgres, false)
			if !bytes.HasPrefix(got, []byte(prefix)) || len(got)-len(prefix) > MaxLen || !utf8.Valid(got) {
				t.Errorf("%.20q: %d bytes, %q", sql, len(got), got)
			}
		}
	}
}

// FuzzLiterals hides a secret in literals of every form between hostile pieces
// of statements and looks for it in the fingerprint.
func FuzzLiterals(f *testing.F) {
	f.Add([]byte("\x00'\x01\\"), "a'b\\c")
	f.Add([]byte("\x05\x02\x07\x01\x03"), "$$")
	f.Fuzz(func(t *testing.T, plan []byte, text string) {
		const secret = "qzsecretzq"
		text += secret
		for _, d := range []Dialect{Postgres, MySQL, Postgres | Backslash, MySQL &^ Backslash} {
			var sql strings.Builder
			sql.WriteString("SELECT ")
			for _, p := range plan[:min(len(plan), 12)] {
				sql.WriteString(piece(p, text, d))
			}
			sql.WriteString(" FROM t")
			for _, cut := range []bool{false, true} {
				for _, unsure := range []Dialect{0, Unsure} {
					asked := d
					if unsure != 0 {
						asked = d&^Backslash | Unsure
					}
					got := Append(nil, []byte(sql.String()), asked, cut)
					if bytes.Contains(got, []byte(secret)) || len(got) > MaxLen {
						t.Fatalf("%q as %b: %q", sql.String(), asked, got)
					}
					Operation(got)
					Table(string(got))
				}
			}
		}
	})
}

// piece gives a part of a statement; in those with the text, it is a literal or
// a comment to a server of the dialect.
func piece(p byte, text string, d Dialect) string {
	quoted := func(q string) string {
		s := strings.ReplaceAll(text, q, q+q)
		if d&Backslash != 0 {
			s = strings.ReplaceAll(s, `\`, `\\`)
		}
		return q + s + q
	}
	plain := []string{" a", ", ", " = ", "(", ")", "- ", " /* x */ ", " b ", "1", " . ", ";", " -- x\n", " SET x", " WITH ", " || ", "::", "e ", "\n", "$1 "}
	if int(p) < len(plain) {
		return plain[p]
	}
	utf := strings.ToValidUTF8(text, "?")
	text = utf
	switch p % 6 {
	case 0:
		return " " + quoted("'")
	case 1:
		if d&DoubleQuotes != 0 {
			return " " + quoted(`"`)
		}
		return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
	case 2:
		if d&Dollar != 0 && !strings.Contains(text, "$tag$") && !strings.HasSuffix(text, "$tag") {
			return " $tag$" + text + "$tag$"
		}
		return " N" + quoted("'")
	case 3:
		return " /*" + strings.NewReplacer("*", "", "/", "", "!", "", "M", "").Replace(text) + "*/ "
	case 4:
		return " -- " + strings.NewReplacer("\n", "", "\r", "").Replace(text) + "\n"
	}
	return " x" + quoted("'")
}

func FuzzAppend(f *testing.F) {
	f.Add("select * from t where a='x' and b in (1, 2,3) -- hi", byte(Postgres))
	f.Add("SELECT /*!1 ' */ `a` \"b\" # c", byte(MySQL))
	f.Fuzz(func(t *testing.T, sql string, d byte) {
		got := Append(nil, []byte(sql), Dialect(d), d&0x80 != 0)
		if len(got) > MaxLen {
			t.Fatalf("%d bytes", len(got))
		}
		Operation(got)
		if table := Table(string(got)); !strings.Contains(string(got), table) {
			t.Fatalf("%q is not in %q", table, got)
		}
	})
}

func TestAllocatesNothing(t *testing.T) {
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 12345 AND b IN (1, 2, 3)")
	dst := make([]byte, 0, MaxLen)
	if n := testing.AllocsPerRun(100, func() { dst = Append(dst[:0], sql, Postgres, false); Operation(dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, sql := range map[string]string{
		"short": "UPDATE pgbench_accounts SET abalance = abalance + -4211 WHERE aid = 12345;",
		"long":  "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status IN ('new', 'paid', 'sent') AND o.created_at > '2024-01-01' ORDER BY o.id DESC LIMIT 50",
	} {
		b.Run(name, func(b *testing.B) {
			src := []byte(sql)
			dst := make([]byte, 0, MaxLen)
			b.ReportAllocs()
			for b.Loop() {
				dst = Append(dst[:0], src, Postgres, false)
				Operation(dst)
			}
		})
	}
}
