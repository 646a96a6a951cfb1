// Package websocket counts the messages of a WebSocket, which HTTP/1 hands over
// after its upgrade. It is one stream, told when it ends, and has no latency.
// Pings, pongs and the closing handshake are no messages.
package websocket

import (
	"encoding/binary"

	"vitals/core/wire"
)

// Protocol is RFC 6455, behind the upgrade.
var Protocol = wire.Protocol{
	Name:   "websocket",
	Sniff:  sniff,
	Stream: true,
	Head:   256,
	New:    func(o wire.Options) wire.Conn { return newConn(o) },
}

// sniff takes whole frames of a client for possible: two bytes say little.
func sniff(from wire.Side, data []byte, size int64) wire.Verdict {
	if from == wire.Client && chain(from, data, size) {
		return wire.Maybe
	}
	return wire.No
}

// Kinds of frames.
const (
	more    = 0x0 // of the message before
	text    = 0x1
	bin     = 0x2
	closing = 0x8
	ping    = 0x9
	pong    = 0xa
)

// frame is the head of a frame.
type frame struct {
	kind byte
	fin  bool
	mask [4]byte
	size int64
}

const maxHead = 14

// headSize is how many bytes a head has, as its first two say.
func headSize(b []byte) int {
	n := 2
	switch b[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// parse reads a whole head and reports whether that side may send it.
func (f *frame) parse(from wire.Side, b []byte) bool {
	*f = frame{kind: b[0] & 15, fin: b[0]&0x80 != 0, size: int64(b[1] & 0x7f)}
	masked := b[1]&0x80 != 0
	if b[0]&0x30 != 0 || masked != (from == wire.Client) {
		return false
	}
	switch f.kind {
	case more, text, bin:
	case closing, ping, pong:
		if !f.fin || f.size > 125 {
			return false
		}
	default:
		return false
	}
	if masked {
		copy(f.mask[:], b[len(b)-4:])
	}
	switch f.size {
	case 126:
		f.size = int64(binary.BigEndian.Uint16(b[2:]))
		return f.size > 125
	case 127:
		f.size = int64(binary.BigEndian.Uint64(b[2:]))
		return f.size > 1<<16-1
	}
	return true
}

// chain reports whether data begins with frames that end where it does.
func chain(from wire.Side, data []byte, size int64) bool {
	at := int64(0)
	for at < size {
		if at+2 > int64(len(data)) {
			return false
		}
		n := int64(headSize(data[at:]))
		var f frame
		if at+n > int64(len(data)) || !f.parse(from, data[at:at+n]) || f.size > size {
			return false
		}
		at += n + f.size
	}
	return at == size && size > 0
}

// outcomes are the names of the codes with which a connection is closed, from
// 1000 on, RFC 6455, section 7.4.
var outcomes = [...]string{
	"NORMAL", "GOING_AWAY", "PROTOCOL_ERROR", "UNSUPPORTED_DATA", wire.Other, "NO_STATUS", "ABNORMAL", "INVALID_DATA",
	"POLICY_VIOLATION", "TOO_BIG", "EXTENSION_MISSING", "INTERNAL_ERROR", "SERVICE_RESTART", "TRY_AGAIN_LATER", "BAD_GATEWAY",
}

// outcome gives the name of a code, and whether it is an error.
func outcome(code uint16) (name string, server, client bool) {
	name = wire.Other
	if i := int(code) - 1000; i >= 0 && i < len(outcomes) {
		name = outcomes[i]
	}
	switch code {
	case 1000, 1001, 1005:
		return name, false, false
	case 1011, 1014:
		return name, true, true
	}
	return name, false, code < 3000
}
