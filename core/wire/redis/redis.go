// Package redis reads RESP2 and RESP3, as Redis, Valkey, KeyDB, Dragonfly and
// their clients speak it.
//
// Each command is a request, in a pipeline and in a transaction, too (its answer
// there is QUEUED; EXEC fails when one of its commands does). A method is the
// name of a known command, with its subcommand where it has them ("CONFIG GET");
// keys, values and unknown names never leave the parser.
//
// Streams, which have no latency: commands that wait on purpose (BLPOP, XREAD
// BLOCK, WAIT), SUBSCRIBE and its kin, and each message that the server pushes
// unasked (MESSAGE, MONITOR, PUSH for what clients are told of their cache).
// After PSYNC the connection is a replication link, which is skipped.
package redis

import "vitals/core/wire"

// Protocol is what the list of protocols needs to know.
var Protocol = wire.Protocol{
	Name:     "redis",
	Sniff:    sniff,
	Ports:    []uint16{6379, 6380, 26379},
	Programs: []string{"redis-server", "valkey-server", "keydb-server", "dragonfly", "redis-sentinel", "redis-check-rdb"},
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

// sniff believes a command that it knows, in an array. Inline commands and
// answers look like those of other protocols, too.
func sniff(from wire.Side, b []byte, size int64) wire.Verdict {
	if from == wire.Server {
		return sniffAnswer(b)
	}
	n, k := header(b, '*')
	if k == 0 || n < 1 || n > maxArgs {
		if line, rest := cutLine(b); rest >= 0 && printable(line) && lookup(word(line)).name != unknown && int64(rest) == size {
			return wire.Maybe
		}
		return wire.No
	}
	length, m := header(b[k:], '$')
	switch {
	case m == 0 || length < 1 || length > 64:
		return wire.No
	case int64(len(b)) < int64(k+m)+length:
		return wire.Maybe
	case lookup(b[k+m:k+m+int(length)]).name != unknown:
		return wire.Sure
	case !printable(b[k+m : k+m+int(length)]):
		return wire.No
	}
	return wire.Likely
}

func sniffAnswer(b []byte) wire.Verdict {
	if len(b) < 3 || !answerAt(b) {
		return wire.No
	}
	line, rest := cutLine(b)
	if rest < 0 && b[0] != '-' && b[0] != '+' {
		return wire.No
	}
	switch b[0] {
	case '$':
		n, k := header(b, '$')
		if end := int64(k) + n; n >= 0 && end+2 == int64(len(b)) && string(b[end:]) == "\r\n" {
			return wire.Likely
		}
	case '*', '%', '>', '~':
		if rest < len(b) && answerAt(b[rest:]) {
			return wire.Likely
		}
	case '+', '-':
		if !printable(line) {
			return wire.No
		}
	}
	return wire.Maybe
}

// answerAt reports whether b begins like a value.
func answerAt(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	line, rest := cutLine(b)
	if rest < 0 && len(b) > maxHeader && b[0] != '+' && b[0] != '-' {
		return false
	}
	if rest > 0 && (rest < 2 || b[rest-2] != '\r') {
		return false
	}
	switch b[0] {
	case '+', '-':
		return printable(line[1:])
	case ':', '$', '*', '%', '~', '>', '|', '=', '!', '(':
		_, ok := number(line[1:])
		return ok && (rest > 0 || len(line) < maxHeader)
	case '_':
		return len(line) == 1
	case '#':
		return string(line) == "#t" || string(line) == "#f"
	case ',':
		return printable(line[1:])
	}
	return false
}

// requestAt reports whether b begins with an array of strings.
func requestAt(b []byte) bool {
	n, k := header(b, '*')
	if k == 0 || n < 1 || n > maxArgs {
		return false
	}
	_, m := header(b[k:], '$')
	return m > 0
}

// header reads a type with a number and its line end, which take k bytes; 0
// when it is not there.
func header(b []byte, kind byte) (n int64, k int) {
	if len(b) == 0 || b[0] != kind {
		return 0, 0
	}
	line, rest := cutLine(b)
	if rest < 2 || b[rest-2] != '\r' {
		return 0, 0
	}
	n, ok := number(line[1:])
	if !ok {
		return 0, 0
	}
	return n, rest
}

// cutLine gives the first line of b without its end, and where the next one
// begins; -1 when b ends before.
func cutLine(b []byte) ([]byte, int) {
	for i, c := range b[:min(len(b), maxLine)] {
		if c == '\n' {
			if i > 0 && b[i-1] == '\r' {
				return b[:i-1], i + 1
			}
			return b[:i], i + 1
		}
	}
	return b[:min(len(b), maxLine)], -1
}

func number(b []byte) (n int64, ok bool) {
	digits := b
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if b[0] == '-' {
		n = -n
	}
	return n, true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// word gives the first word of a line.
func word(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	for i, c := range b {
		if c == ' ' {
			return b[:i]
		}
	}
	return b
}
