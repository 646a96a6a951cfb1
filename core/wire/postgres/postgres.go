// Package postgres reads version 3 of PostgreSQL's protocol, which CockroachDB,
// YugabyteDB, pgbouncer and many others speak, too.
//
// A request is what a client waits for: a Query (several statements in one are
// one request, of the class of all of them), or an Execute with the Parse, Bind
// and Describe before it. Method is the operation ("SELECT"), Target the
// statement without literals. These are requests, too:
//
//	CONNECT       from the first message to being ready, with its logins
//	PREPARE       a Parse that nothing executed before the next Sync
//	DESCRIBE, BIND, CLOSE, FUNCTION, CANCEL   as they say
//
// An error makes the server skip what is left before the next Sync; what it
// skipped failed with the code "aborted". A request that ends with a Sync ends
// when the server is ready again, so that it includes the commit, and its errors.
// Notifications and replication are streams.
package postgres

import (
	"encoding/binary"

	"vitals/core/wire"
	"vitals/core/wire/sqlclass"
)

// Protocol is what the list of protocols needs to know.
var Protocol = wire.Protocol{
	Name:     "postgresql",
	Sniff:    sniff,
	Ports:    []uint16{5432, 6432, 26257},
	Programs: []string{"postgres", "postmaster", "pgbouncer", "pgcat", "odyssey", "cockroach"},
	Head:     1024,
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

// Codes of the first message, which has no type.
const (
	codeCancel = 80877102
	codeTLS    = 80877103
	codeGSS    = 80877104
	version3   = 3 << 16
)

const (
	maxStart = 10000   // length of the first message: what servers accept
	maxLen   = 1 << 30 // length of a message: what servers accept
	maxText  = 2048    // how much of a statement is looked at
	maxName  = 64      // of a prepared statement: what is kept of it
	notFound = "unknown (joined mid-stream)"
)

// least gives the shortest length that a message of the type has, with the
// length itself; 0 for a type that there is not.
func least(from wire.Side, kind byte) int {
	if from == wire.Client {
		switch kind {
		case 'Q', 'p', 'f':
			return 5
		case 'P', 'B':
			return 4 + 4
		case 'E':
			return 4 + 5
		case 'D', 'C':
			return 4 + 2
		case 'F':
			return 4 + 10
		case 'S', 'H', 'X', 'c', 'd':
			return 4
		}
		return 0
	}
	switch kind {
	case '1', '2', '3', 'c', 'd', 'I', 'n', 's':
		return 4
	case 'Z', 'C', 'E', 'N':
		return 5
	case 'T', 'D', 't':
		return 4 + 2
	case 'S':
		return 4 + 2
	case 'A', 'G', 'H', 'W':
		return 4 + 3
	case 'R', 'V', 'v':
		return 4 + 4
	case 'K':
		return 4 + 8
	}
	return 0
}

// exact reports whether messages of the type have no other length than the least.
func exact(from wire.Side, kind byte) bool {
	if from == wire.Client {
		return kind == 'S' || kind == 'H' || kind == 'X' || kind == 'c'
	}
	switch kind {
	case '1', '2', '3', 'c', 'I', 'n', 's', 'Z':
		return true
	}
	return false
}

// header reads a message's type and length, and gives its size with the type; 0
// when b does not begin with a message.
func header(from wire.Side, b []byte) int64 {
	min := least(from, b[0])
	n := int64(binary.BigEndian.Uint32(b[1:5]))
	if min == 0 || n < int64(min) || n > maxLen || exact(from, b[0]) && n != int64(min) {
		return 0
	}
	return n + 1
}

// chain follows the messages in b, of which size bytes were sent, and gives how
// many begin in it, the type of the last one, and whether they fill size exactly.
// n is 0 when b is something else.
func chain(from wire.Side, b []byte, size int64) (n int, last byte, whole bool) {
	for len(b) >= 5 {
		k := header(from, b)
		if k == 0 {
			return 0, 0, false
		}
		if n++; k >= int64(len(b)) {
			return n, b[0], k == size
		}
		last, b, size = b[0], b[k:], size-k
	}
	return n, last, size == 0
}

// boundary reports whether a message begins at b, as far as that is sure: it
// ends with what was sent, or within it, with another one behind it.
func boundary(from wire.Side, b []byte, size int64) bool {
	if len(b) < 5 {
		return false
	}
	n, _, whole := chain(from, b, size)
	return whole || n >= 2 || n == 1 && int64(len(b)) < size && header(from, b) <= size
}

// sniff believes first messages, and chains of messages that fit what was sent.
func sniff(from wire.Side, b []byte, size int64) wire.Verdict {
	if from == wire.Server && size == 1 && len(b) == 1 && (b[0] == 'N' || b[0] == 'S') {
		return wire.Maybe // whether it encrypts
	}
	if len(b) < 5 {
		return wire.No
	}
	if from == wire.Server {
		return sniffServer(b, size)
	}
	if b[0] == 0 {
		return sniffStart(b, size)
	}
	n, last, whole := chain(from, b, size)
	switch {
	case n == 0:
		return wire.No
	case b[0] == 'Q' && n == 1 && whole:
		text, ended := cString(b[5:])
		if ended && int64(len(text)+6) != size || !isText(text) {
			return wire.No
		}
		if sqlclass.Begins(text) {
			return wire.Sure
		}
		return wire.Maybe
	case n >= 2 && whole && last == 'S':
		return wire.Sure
	case n >= 3:
		return wire.Likely
	}
	return wire.Maybe
}

func sniffStart(b []byte, size int64) wire.Verdict {
	if len(b) < 8 {
		return wire.No
	}
	n, code := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case n == 8 && size == 8 && (code == codeTLS || code == codeGSS), n == 16 && size == 16 && code == codeCancel:
		return wire.Sure
	case code>>16 == 3 && code&0xffff < 16 && int64(n) == size && n > 9 && n <= maxStart && isText(b[8:9]):
		return wire.Sure
	}
	return wire.No
}

func sniffServer(b []byte, size int64) wire.Verdict {
	n, last, whole := chain(wire.Server, b, size)
	switch {
	case n == 0:
		return wire.No
	case b[0] == 'E' && b[1] == 0 && b[2] == 0 && len(b) > 7 && b[5] == 'S' && isText(b[6:8]), len(b) >= 9 && b[0] == 'R' && b[5] == 0 && b[6] == 0:
		return wire.Likely
	case n >= 2 && whole && last == 'Z':
		return wire.Sure
	case n >= 3:
		return wire.Likely
	}
	return wire.Maybe
}

// cString gives the string that b begins with, and whether its end was captured.
func cString(b []byte) ([]byte, bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], true
		}
	}
	return b, false
}

func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return true
}
