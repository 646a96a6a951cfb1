package http2

import (
	"encoding/binary"

	"vitals/core/wire"
)

// Types of frames, RFC 9113, section 6.
const (
	typeData = iota
	typeHeaders
	typePriority
	typeReset
	typeSettings
	typePush
	typePing
	typeGoAway
	typeWindow
	typeContinuation
)

// Flags of frames.
const (
	endStream  = 0x1
	endHeaders = 0x4
	padded     = 0x8
	priority   = 0x20
)

// frame is the head of a frame.
type frame struct {
	length int
	typ    uint8
	flags  uint8
	stream uint32
}

const frameHead = 9

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & (1<<31 - 1),
	}
}

// possible reports whether the protocol allows such a frame.
func (f frame) possible() bool {
	onStream := f.stream != 0
	switch f.typ {
	case typeData, typeHeaders, typePush, typeContinuation:
		return onStream
	case typePriority:
		return onStream && f.length == 5
	case typeReset:
		return onStream && f.length == 4
	case typeSettings:
		return !onStream && f.length%6 == 0 && (f.flags&1 == 0 || f.length == 0)
	case typePing:
		return !onStream && f.length == 8
	case typeGoAway:
		return !onStream && f.length >= 8
	case typeWindow:
		return f.length == 4
	}
	return true
}

// usual are the flags that each type has a meaning for.
var usual = [...]uint8{
	endStream | padded, endStream | endHeaders | padded | priority, 0, 0, 1, endHeaders | padded, 1, 0, 0, endHeaders,
}

// likely reports whether a frame is of the kind that real programs send, for
// when nothing else says that one begins here.
func (f frame) likely() bool {
	return f.possible() && f.typ <= typeContinuation && f.flags&^usual[f.typ] == 0 && f.length <= 1<<14 &&
		(f.stream == 0 || f.stream&1 == 1) && f.stream < 1<<24 && (f.typ != typeHeaders || f.length > 0)
}

// preface is what a client sends first.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Sniff knows the preface of a client. Without it, in the middle of a connection
// and of servers, it takes several whole frames in a row for likely.
func Sniff(from wire.Side, data []byte, size int64) wire.Verdict {
	if from == wire.Client && len(data) > 0 && data[0] == 'P' {
		switch n := min(len(data), len(preface)); {
		case string(data[:n]) != preface[:n]:
			return wire.No
		case n >= len("PRI * HTTP/2.0"): // what Go reads at first
			return wire.Sure
		}
		return wire.Maybe
	}
	frames, end := chain(data)
	switch {
	case end < 0 || frames == 0:
		return wire.No
	case frames > 1 && end == size:
		return wire.Likely
	}
	return wire.Maybe
}

// chain counts the heads of frames in data that follow each other and gives where
// the last of them ends, -1 when there is something else.
func chain(data []byte) (frames int, end int64) {
	for end+frameHead <= int64(len(data)) {
		f := parseFrame(data[end:])
		if !f.likely() {
			return frames, -1
		}
		frames++
		end += frameHead + int64(f.length)
	}
	return frames, end
}
