package http2

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/http1"
)

// codes are the names of gRPC's status codes.
var codes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// code gives the name of a call's outcome, "" when it is not known, and whether
// it is an error to the server and to the client. Without a grpc-status, an HTTP
// error has the code that clients give to it.
func code(grpc int32, status int) (name string, server, client bool) {
	if grpc < 0 {
		switch status {
		case 0, 200:
			return "", false, false
		case 400:
			grpc = 13
		case 401:
			grpc = 16
		case 403:
			grpc = 7
		case 404:
			grpc = 12
		case 429, 502, 503, 504:
			grpc = 14
		default:
			grpc = 2
		}
	}
	if int(grpc) >= len(codes) {
		grpc = 2
	}
	switch grpc {
	case 2, 4, 12, 13, 14, 15:
		server = true
	}
	return codes[grpc], server, grpc != 0
}

// isCall reports whether a path looks like that of a call: a service and a method
// that begin with capital letters, the service perhaps with a package.
func isCall(p []byte) bool {
	if len(p) < 4 || p[0] != '/' {
		return false
	}
	service, method, ok := bytes.Cut(p[1:], []byte("/"))
	if !ok || !capital(method) || !capital(service[bytes.LastIndexByte(service, '.')+1:]) {
		return false
	}
	for _, c := range method {
		if !word(c) {
			return false
		}
	}
	for _, c := range service {
		if !word(c) && c != '.' {
			return false
		}
	}
	return true
}

func capital(b []byte) bool { return len(b) > 0 && b[0] >= 'A' && b[0] <= 'Z' }

func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// route gives the class of a path: calls stay as they are. The result is v, or in
// dst.
func route(dst, v []byte, cut bool) []byte {
	if i := bytes.IndexAny(v, "?#;"); i >= 0 {
		v, cut = v[:i], false
	}
	if !cut && isCall(v) {
		return v
	}
	return http1.AppendRoute(dst, v, cut)
}

// messages cuts what one side of a call sends into its messages.
type messages struct {
	n    int32  // that have begun
	left uint32 // bytes of the message that are still to come
	size uint32 // of the next, as far as it was read
	have uint8  // bytes of its prefix
	lost bool
}

// prefix is how many bytes stand before each message: a flag and its length.
const prefix = 5

// feed takes the next bytes.
func (m *messages) feed(b []byte) {
	for len(b) > 0 && !m.lost {
		if m.left > 0 {
			k := min(uint32(len(b)), m.left)
			m.left -= k
			b = b[k:]
			continue
		}
		if m.have == 0 {
			if b[0] > 1 { // compressed or not, there is no other flag
				m.lost = true
				return
			}
			m.n++
		} else {
			m.size = m.size<<8 | uint32(b[0])
		}
		b = b[1:]
		if m.have++; m.have == prefix {
			m.left, m.size, m.have = m.size, 0, 0
		}
	}
}

// skip takes n bytes that were not captured.
func (m *messages) skip(n int64) {
	switch {
	case m.lost:
	case m.have == 0 && n <= int64(m.left):
		m.left -= uint32(n)
	default:
		if m.have == 0 {
			m.n++
		}
		m.lost = true
	}
}

// exact reports whether everything was in messages, to the last byte.
func (m *messages) exact() bool { return !m.lost && m.have == 0 && m.left == 0 }

// looksLikeCall reports whether both sides of a stream whose headers are hidden
// sent messages as calls do.
func (x *stream) looksLikeCall() bool {
	return x.hidden && x.sent[wire.Client].n > 0 && x.sent[wire.Client].exact() && x.sent[wire.Server].exact()
}
