// Package mysql reads the protocol of MySQL, MariaDB and what speaks it.
//
// A request is a command that is answered; commands without an answer (closing
// a prepared statement, long data, quitting) are none. Method is the operation
// of the statement ("SELECT"), or the command: PING, PREPARE, FETCH, INIT_DB and
// so on; CONNECT is the login. Target is the statement without literals. Several
// statements in one text are one request, of the class of all of them, which
// fails when one of them does. Status is the number of the error, Code its
// SQLSTATE.
//
// Encrypted and compressed connections are blind from where that begins. What a
// client and a server agreed on is not needed for the rest, so that joining in
// the middle costs only the texts of statements that were prepared before.
package mysql

import (
	"vitals/core/wire"
	"vitals/core/wire/sqlclass"
)

// Protocol is what the list of protocols needs to know.
var Protocol = wire.Protocol{
	Name:     "mysql",
	Sniff:    sniff,
	Ports:    []uint16{3306, 4000, 6033},
	Programs: []string{"mysqld", "mariadbd", "proxysql", "maxscale", "tidb-server"},
	Head:     1024,
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

const (
	headerSize = 4
	longest    = 1<<24 - 1 // of a packet: another one goes on with its message
	maxText    = 2048      // how much of a statement is looked at
	maxLook    = 48        // how much of any other packet is
	notFound   = "unknown (joined mid-stream)"
)

// shape is what an answer looks like.
type shape uint8

const (
	none   shape = iota // there is no such command
	silent              // no answer
	simple              // OK or an error
	result              // OK, an error, or columns and rows
	rows                // rows, or an error
	line                // one packet with a text
	prepared
	login  // packets of both sides up to OK or an error
	stream // events without an end
)

// Commands that are looked into.
const (
	comQuery   = 0x03
	comPrepare = 0x16
	comExecute = 0x17
	comFetch   = 0x1c
	comBulk    = 0xfa
)

// command gives the name of a command and the shape of its answer.
func command(c byte) (string, shape) {
	switch c {
	case 0x01, 0x18, 0x19:
		return "QUIT", silent // STMT_SEND_LONG_DATA, STMT_CLOSE
	case 0x02:
		return "INIT_DB", simple
	case comQuery:
		return "QUERY", result
	case 0x04:
		return "FIELD_LIST", rows
	case 0x05:
		return "CREATE_DB", simple
	case 0x06:
		return "DROP_DB", simple
	case 0x07:
		return "REFRESH", simple
	case 0x08:
		return "SHUTDOWN", simple
	case 0x09:
		return "STATISTICS", line
	case 0x0a:
		return "PROCESS_INFO", result
	case 0x0c:
		return "PROCESS_KILL", simple
	case 0x0d:
		return "DEBUG", simple
	case 0x0e:
		return "PING", simple
	case 0x11:
		return "CHANGE_USER", login
	case 0x12, 0x1e:
		return "BINLOG_DUMP", stream
	case 0x15:
		return "REGISTER_SLAVE", simple
	case comPrepare:
		return "PREPARE", prepared
	case comExecute, comBulk:
		return "EXECUTE", result
	case 0x1a:
		return "STMT_RESET", simple
	case 0x1b:
		return "SET_OPTION", simple
	case comFetch:
		return "FETCH", rows
	case 0x1f:
		return "RESET_CONNECTION", simple
	}
	return "", none
}

// packet is the header of one.
type packet struct {
	size int64 // with the header
	seq  byte
	more bool // the next one goes on with it
}

func header(b []byte) packet {
	n := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
	return packet{n + headerSize, b[3], n == longest}
}

// sniff believes greetings and statements, of which the length fits exactly.
func sniff(from wire.Side, b []byte, size int64) wire.Verdict {
	if len(b) < headerSize+1 {
		return wire.No
	}
	p, v := header(b), wire.No
	if from == wire.Server {
		v = sniffServer(b, p, size)
	} else {
		v = sniffClient(b, p, size)
	}
	if v == wire.No && isChain(from, b, size) {
		return wire.Maybe
	}
	return v
}

func sniffClient(b []byte, p packet, size int64) wire.Verdict {
	if p.seq == 1 && isLogin(b[headerSize:]) && p.size == size {
		return wire.Likely
	}
	if p.seq != 0 || p.size != size && !p.more {
		return wire.No
	}
	switch c := b[headerSize]; c {
	case comQuery, comPrepare:
		if text := withoutAttributes(b[headerSize+1:]); sqlclass.Begins(text) && isText(text) {
			return wire.Sure
		}
	case comExecute:
		if p.size >= headerSize+10 && len(b) >= headerSize+10 && b[headerSize+6] == 1 && b[headerSize+7]|b[headerSize+8]|b[headerSize+9] == 0 {
			return wire.Likely
		}
	}
	return wire.No
}

func sniffServer(b []byte, p packet, size int64) wire.Verdict {
	body := b[headerSize:]
	switch {
	case p.size > size:
		return wire.No
	case p.seq == 0 && p.size == size && isGreeting(body):
		return wire.Sure
	case p.seq == 0 || p.seq > 4:
		return wire.No
	case body[0] == 0xff && len(body) >= 9 && body[3] == '#' && p.size == size && isText(body[4:9]):
		return wire.Likely
	case body[0] == 0 && p.seq == 1 && p.size == headerSize+7 && size == p.size:
		return wire.Likely
	case p.seq == 1 && p.size <= headerSize+2 && int64(len(b)) >= p.size+headerSize+4:
		if next := b[p.size:]; next[3] == 2 && string(next[4:8]) == "\x03def" {
			return wire.Sure
		}
	}
	return wire.No
}

// isChain reports whether b may be packets that fill size: those of a client
// are commands, or go on with what was asked of it; those of a server count up.
func isChain(from wire.Side, b []byte, size int64) bool {
	p := header(b)
	if from == wire.Client && p.seq == 0 {
		return isCommands(b, size)
	}
	if p.seq == 0 {
		return false
	}
	for p.size < size {
		if p.size > int64(len(b))-headerSize {
			return int64(len(b)) < size // the next one was not captured
		}
		b, size = b[p.size:], size-p.size
		next := header(b)
		if next.seq != p.seq+1 && next.seq != 1 {
			return false
		}
		p = next
	}
	return p.size == size || p.more
}

// isGreeting reports whether a server's first packet says protocol 10 and a
// version.
func isGreeting(body []byte) bool {
	if len(body) < 24 || body[0] != 10 || body[1] < '0' || body[1] > '9' {
		return false
	}
	for i, c := range body[1:min(len(body), 64)] {
		if c == 0 {
			return i > 3
		}
		if c < ' ' || c > '~' {
			return false
		}
	}
	return false
}

// isLogin reports whether body is what a client answers to a greeting.
func isLogin(body []byte) bool {
	if len(body) < 32 || body[1]&0x02 == 0 { // protocol 4.1
		return false
	}
	for _, c := range body[9:28] {
		if c != 0 {
			return false
		}
	}
	return true
}

// withoutAttributes drops the announcement that a statement has no attributes.
func withoutAttributes(text []byte) []byte {
	if len(text) > 2 && text[0] == 0 && text[1] == 1 {
		return text[2:]
	}
	return text
}

func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// number reads a length-encoded integer and gives the bytes it takes, 0 when
// there is none.
func number(b []byte) (n uint64, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch b[0] {
	case 0xfc:
		size = 3
	case 0xfd:
		size = 4
	case 0xfe:
		size = 9
	case 0xfb, 0xff:
		return 0, 0
	default:
		return uint64(b[0]), 1
	}
	if len(b) < size {
		return 0, 0
	}
	for i := size - 1; i > 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n, size
}
