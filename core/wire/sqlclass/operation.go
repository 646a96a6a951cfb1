package sqlclass

import (
	"bytes"
	"strings"
)

// upperKeyword puts w into upper case when it is a keyword, in place.
func upperKeyword(w []byte) bool {
	var buf [12]byte
	if len(w) > len(buf) || len(w) < 2 {
		return false
	}
	for i, c := range w {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		} else if c < 'A' || c > 'Z' {
			return false
		}
		buf[i] = c
	}
	if !keyword(string(buf[:len(w)])) {
		return false
	}
	copy(w, buf[:])
	return true
}

// keyword knows the words that are always written in upper case.
func keyword(w string) bool {
	switch w {
	case "ALL", "ALTER", "ANALYZE", "AND", "ANY", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "CALL", "CASCADE", "CASE",
		"CHECK", "CLOSE", "COMMIT", "CONFLICT", "CONSTRAINT", "COPY", "CREATE", "CROSS", "DEALLOCATE", "DECLARE", "DEFAULT",
		"DELETE", "DESC", "DESCRIBE", "DISCARD", "DISTINCT", "DO", "DROP", "DUPLICATE", "ELSE", "END", "EXCEPT", "EXECUTE",
		"EXISTS", "EXPLAIN", "FALSE", "FETCH", "FOR", "FOREIGN", "FROM", "FULL", "GRANT", "GROUP", "HAVING", "IF", "IGNORE",
		"ILIKE", "IN", "INDEX", "INNER", "INSERT", "INTERSECT", "INTO", "IS", "ISOLATION", "JOIN", "KEY", "KILL", "LATERAL",
		"LEFT", "LIKE", "LIMIT", "LISTEN", "LOAD", "LOCAL", "LOCK", "LOCKED", "MERGE", "NATURAL", "NOT", "NOTHING", "NOTIFY",
		"NULL", "OFFSET", "ON", "ONLY", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PREPARE", "PRIMARY", "REFERENCES",
		"REFRESH", "REINDEX", "RELEASE", "REPLACE", "RESET", "RETURNING", "REVOKE", "RIGHT", "ROLLBACK", "SAVEPOINT", "SELECT",
		"SESSION", "SET", "SHARE", "SHOW", "SKIP", "START", "TABLE", "THEN", "TO", "TRANSACTION", "TRUE", "TRUNCATE", "UNION",
		"UNIQUE", "UNLISTEN", "UNLOCK", "UPDATE", "USE", "USING", "VACUUM", "VALUES", "VIEW", "WHEN", "WHERE", "WITH", "WORK":
		return true
	}
	return false
}

// operations are the first words that make an operation.
var operations = [...]string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK", "SET", "SHOW", "START", "END", "COPY", "CREATE",
	"DROP", "ALTER", "TRUNCATE", "MERGE", "REPLACE", "CALL", "DO", "EXECUTE", "PREPARE", "DEALLOCATE", "DECLARE", "FETCH",
	"CLOSE", "EXPLAIN", "ANALYZE", "VACUUM", "LOCK", "UNLOCK", "LISTEN", "UNLISTEN", "NOTIFY", "SAVEPOINT", "RELEASE",
	"DISCARD", "RESET", "GRANT", "REVOKE", "REINDEX", "REFRESH", "LOAD", "USE", "KILL", "DESCRIBE", "VALUES", "TABLE",
}

// Operations beyond the words of SQL.
const (
	Empty = "EMPTY" // a statement without text
	Other = "OTHER" // a first word that is not known, or was not captured
)

// Operation gives what the statement with this fingerprint does: its first
// word, or for one that begins with WITH, the word behind that.
func Operation(fingerprint []byte) string {
	b := bytes.TrimSuffix(fingerprint, []byte(ellipsis))
	for len(b) > 0 && (b[0] == '(' || b[0] == ' ') {
		b = b[1:]
	}
	if len(b) == 0 {
		return Empty
	}
	w := firstWord(b)
	if string(w) != "WITH" {
		return operation(w)
	}
	for depth := 0; len(b) > 0; {
		switch c := b[0]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '"' || c == '`':
			b = b[1:]
			for len(b) > 0 && b[0] != c {
				b = b[1:]
			}
			if len(b) == 0 {
				return Other
			}
		case isWord(c):
			w := firstWord(b)
			if depth == 0 {
				switch op := operation(w); op {
				case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE":
					return op
				}
			}
			b = b[len(w):]
			continue
		}
		b = b[1:]
	}
	return Other
}

func operation(w []byte) string {
	for _, o := range &operations {
		if len(o) == len(w) && o == string(w) {
			return o
		}
	}
	return Other
}

func firstWord(b []byte) []byte {
	for i, c := range b {
		if !isWord(c) {
			return b[:i]
		}
	}
	return b
}

// Table gives the table that the statement with this fingerprint is about, as
// it is written there: the first one that it names outside of subqueries, else
// the first one. It is "" when there is none.
func Table(fingerprint string) string {
	first, depth := "", 0
	after := "" // what makes the next name one of a table
	for rest := fingerprint; rest != ""; {
		w, n := name(rest)
		if n == 0 {
			switch rest[0] {
			case '(':
				depth, after = depth+1, ""
			case ')':
				depth, after = depth-1, ""
			case ' ':
			default:
				after = ""
			}
			rest = rest[1:]
			continue
		}
		rest = rest[n:]
		switch {
		case introduces(w):
			after = w
		case w == "ONLY" || w == "IF" || w == "NOT" || w == "EXISTS" || w == "LATERAL" || w == "IGNORE" || w == "TABLE":
		case after != "":
			function := after != "INTO" && strings.HasPrefix(rest, "(")
			after = ""
			if function || w == "SET" || w == "SELECT" || w == "VALUES" {
				continue // a function, or FOR UPDATE
			}
			if depth == 0 {
				return w
			}
			if first == "" {
				first = w
			}
		}
	}
	return first
}

// introduces reports whether the name of a table follows.
func introduces(w string) bool {
	switch w {
	case "FROM", "INTO", "UPDATE", "JOIN", "TABLE", "TRUNCATE", "COPY", "VACUUM", "ANALYZE", "REPLACE", "LOCK":
		return true
	}
	return false
}

// name gives the name that s begins with, with its schema, and its length.
func name(s string) (string, int) {
	n := 0
	for n < len(s) {
		switch c := s[n]; {
		case isWord(c) || c == '.' && n > 0 || c == '{' || c == '}' && n > 0:
			n++
		case c == '"' || c == '`':
			end := strings.IndexByte(s[n+1:], c)
			if end < 0 {
				return "", 0
			}
			n += end + 2
		default:
			return s[:n], n
		}
	}
	return s[:n], n
}

// Begins reports whether text begins like a statement: with a known operation,
// perhaps behind comments of the style of C. It is what tells SQL from other text.
func Begins(text []byte) bool {
	for len(text) > 0 && (text[0] <= ' ' || text[0] == '(' || text[0] == ';' || text[0] == '/') {
		if text[0] != '/' {
			text = text[1:]
			continue
		}
		end := bytes.Index(text, []byte("*/"))
		if end < 2 || text[1] != '*' {
			return false
		}
		text = text[end+2:]
	}
	w := firstWord(text)
	var buf [12]byte
	if len(w) == 0 || len(w) > len(buf) {
		return false
	}
	copy(buf[:], w)
	upper := buf[:len(w)]
	return upperKeyword(upper) && (operation(upper) != Other || string(upper) == "WITH")
}
