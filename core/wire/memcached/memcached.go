// Package memcached reads the text protocol of memcached with its meta commands.
//
// Each command that is answered is a request; a get of many keys is one, whose
// MessagesAsked are the keys and MessagesAnswered the values (the server's
// cmd_get and get_hits count these). Code says what came of it where that is not
// what was wished for: MISS (none of the keys), NOT_STORED, EXISTS, NOT_FOUND,
// which are no failures, and ERROR, CLIENT_ERROR, SERVER_ERROR, which are.
// Commands with noreply are told as soon as they are sent. Quiet meta commands
// are answered by what comes behind them, unless they have something to say: in
// a row of them, it may be taken for what its neighbour said.
//
// The binary protocol, which is deprecated, is recognised and not read.
package memcached

import "vitals/core/wire"

// Protocol is what the list of protocols needs to know.
var Protocol = wire.Protocol{
	Name:     "memcached",
	Sniff:    sniff,
	Ports:    []uint16{11211},
	Programs: []string{"memcached"},
	New:      func(o wire.Options) wire.Conn { return newConn(o) },
}

const (
	maxLine   = 512     // of a line that is looked at as a whole
	maxKey    = 250     // length of a key: what servers accept
	maxValue  = 1 << 30 // length of a value: what servers accept
	maxFields = 8       // of a line that are told apart
	unknown   = "OTHER"
)

// shape is what an answer looks like.
type shape uint8

const (
	line   shape = iota // one line
	values              // values up to END
	list                // lines up to END
	meta                // one line, which may announce a value
	watch               // lines without an end
	silent              // nothing
)

// command is what is known of one.
type command struct {
	name  string
	shape shape
	data  int // which field is the length of the value that follows, 0 for none
	keys  int // which field is the first of the keys, 0 for none
}

// lookup gives a command by its name.
func lookup(name []byte) command {
	switch string(name) {
	case "get":
		return command{"GET", values, 0, 1}
	case "gets":
		return command{"GETS", values, 0, 1}
	case "gat":
		return command{"GAT", values, 0, 2}
	case "gats":
		return command{"GATS", values, 0, 2}
	case "set":
		return command{"SET", line, 4, 0}
	case "add":
		return command{"ADD", line, 4, 0}
	case "replace":
		return command{"REPLACE", line, 4, 0}
	case "append":
		return command{"APPEND", line, 4, 0}
	case "prepend":
		return command{"PREPEND", line, 4, 0}
	case "cas":
		return command{"CAS", line, 4, 0}
	case "delete":
		return command{"DELETE", line, 0, 0}
	case "incr":
		return command{"INCR", line, 0, 0}
	case "decr":
		return command{"DECR", line, 0, 0}
	case "touch":
		return command{"TOUCH", line, 0, 0}
	}
	return lookupRare(name)
}

func lookupRare(name []byte) command {
	switch string(name) {
	case "mg":
		return command{"MG", meta, 0, 0}
	case "ms":
		return command{"MS", meta, 2, 0}
	case "md":
		return command{"MD", meta, 0, 0}
	case "ma":
		return command{"MA", meta, 0, 0}
	case "mn":
		return command{"MN", meta, 0, 0}
	case "me":
		return command{"ME", meta, 0, 0}
	case "stats":
		return command{"STATS", list, 0, 0}
	case "watch":
		return command{"WATCH", watch, 0, 0}
	case "quit":
		return command{"QUIT", silent, 0, 0}
	case "shutdown":
		return command{"SHUTDOWN", silent, 0, 0}
	case "flush_all":
		return command{"FLUSH_ALL", line, 0, 0}
	case "version":
		return command{"VERSION", line, 0, 0}
	case "verbosity":
		return command{"VERBOSITY", line, 0, 0}
	case "cache_memlimit":
		return command{"CACHE_MEMLIMIT", line, 0, 0}
	case "lru":
		return command{"LRU", line, 0, 0}
	case "slabs":
		return command{"SLABS", line, 0, 0}
	}
	return command{name: unknown, shape: line}
}

// fields are the words of a line; n counts those beyond the limit, too.
type fields struct {
	word [maxFields][]byte
	n    int
	last []byte
}

// split takes a line apart.
func (f *fields) split(b []byte) {
	f.n, f.last = 0, nil
	for len(b) > 0 {
		if b[0] == ' ' {
			b = b[1:]
			continue
		}
		end := 0
		for end < len(b) && b[end] != ' ' {
			end++
		}
		if f.n < maxFields {
			f.word[f.n] = b[:end]
		}
		f.last = b[:end]
		f.n++
		b = b[end:]
	}
}

// number gives the number that field i is.
func (f *fields) number(i int) (n int64, ok bool) {
	if i >= f.n || i >= maxFields || len(f.word[i]) > 10 {
		return 0, false
	}
	for _, c := range f.word[i] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n <= maxValue
}

// sniff believes what no other protocol says: a value announced with its
// length, or the binary header of a whole message.
func sniff(from wire.Side, b []byte, size int64) wire.Verdict {
	if isBinary(from, b, size) {
		return wire.Likely
	}
	text, rest := cutLine(b)
	if rest < 0 && (from == wire.Server || int64(len(b)) >= size && len(b) < maxLine) || !printable(text[:min(len(text), maxLine)]) {
		return wire.No
	}
	var f fields
	f.split(text)
	if f.n == 0 || text[0] == ' ' {
		return wire.No
	}
	if from == wire.Server {
		return sniffAnswer(&f, rest, size)
	}
	cmd := lookup(f.word[0])
	switch {
	case cmd.name == unknown, f.n > 1 && len(f.word[1]) > maxKey:
		return wire.No
	case cmd.data == 4:
		n, ok := f.number(4)
		if _, flags := f.number(2); !ok || !flags || f.n > 7 {
			return wire.No
		}
		if int64(rest)+n+2 <= size {
			return wire.Sure
		}
		return wire.Likely
	}
	return wire.Maybe
}

func sniffAnswer(f *fields, rest int, size int64) wire.Verdict {
	whole := int64(rest) == size
	switch string(f.word[0]) {
	case "VALUE":
		if n, ok := f.number(3); ok && (f.n == 4 || f.n == 5) && int64(rest)+n+2 <= size {
			return wire.Sure
		}
	case "STORED", "NOT_STORED", "END", "TOUCHED":
		if whole && f.n == 1 {
			return wire.Likely
		}
		return wire.Maybe
	case "DELETED", "NOT_FOUND", "EXISTS", "ERROR", "OK", "RESET", "VERSION", "HD", "VA", "EN", "NF", "NS", "EX", "MN", "ME":
		return wire.Maybe
	case "STAT":
		if f.n >= 3 {
			return wire.Likely
		}
	case "CLIENT_ERROR", "SERVER_ERROR":
		return wire.Likely
	default:
		if _, ok := f.number(0); ok && whole && f.n == 1 { // of incr and decr
			return wire.Maybe
		}
	}
	return wire.No
}

// isBinary reports whether b begins with a message of the binary protocol that
// fits what was sent.
func isBinary(from wire.Side, b []byte, size int64) bool {
	if len(b) < 24 || b[0] != 0x80+byte(from) || b[1] > 0x3d || b[5] != 0 {
		return false
	}
	body := int64(b[8])<<24 | int64(b[9])<<16 | int64(b[10])<<8 | int64(b[11])
	return int64(b[2])<<8+int64(b[3])+int64(b[4]) <= body && body+24 <= size
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
	return b, -1
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}
