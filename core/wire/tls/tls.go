// Package tls recognises encrypted connections and reads what they say in the
// open: the name that the client asks for (SNI), and which protocols it offers to
// speak inside (ALPN). Everything else is told as blind.
package tls

import "vitals/core/wire"

// Protocol is TLS 1.0 to 1.3.
var Protocol = wire.Protocol{
	Name:  "tls",
	Sniff: Sniff,
	New:   func(o wire.Options) wire.Conn { return &conn{names: o.Names} },
}

// Types of records and of handshake messages.
const (
	changeCipher = 20
	alert        = 21
	handshake    = 22
	application  = 23

	clientHello = 1
	serverHello = 2

	// Extensions of a ClientHello.
	extServerName = 0
	extProtocols  = 16

	maxRecord = 1<<14 + 2048
	headerLen = 5
)

// Sniff knows the two hellos, and is fairly sure of encrypted records.
func Sniff(from wire.Side, data []byte, size int64) wire.Verdict {
	if len(data) < headerLen+1 || data[1] != 3 || data[2] > 4 {
		return wire.No
	}
	length := int(data[3])<<8 | int(data[4])
	if length == 0 || length > maxRecord {
		return wire.No
	}
	switch data[0] {
	case handshake:
		return sniffHandshake(from, data, length)
	case application, changeCipher, alert:
		if data[2] < 1 || data[0] == changeCipher && length != 1 || data[0] == alert && length != 2 && length < 18 {
			return wire.No
		}
		return sniffRecords(data, size)
	}
	return wire.No
}

func sniffHandshake(from wire.Side, data []byte, length int) wire.Verdict {
	want := byte(clientHello)
	if from == wire.Server {
		want = serverHello
	}
	if len(data) < 11 || data[5] != want || data[9] != 3 {
		return wire.No
	}
	if body := int(data[6])<<16 | int(data[7])<<8 | int(data[8]); body+4 > length && from == wire.Server || body < 38 {
		return wire.No
	}
	return wire.Sure
}

// sniffRecords follows the lengths from record to record: two that fit are no
// accident.
func sniffRecords(data []byte, size int64) wire.Verdict {
	verdict := wire.Maybe
	for at := int64(0); ; {
		if at == size {
			return max(verdict, wire.Likely)
		}
		if at+headerLen > int64(len(data)) {
			return verdict
		}
		b := data[at:]
		if b[0] < changeCipher || b[0] > application || b[1] != 3 || b[2] < 1 || b[2] > 4 {
			return wire.No
		}
		if at > 0 {
			verdict = wire.Likely
		}
		length := int64(b[3])<<8 | int64(b[4])
		if length > maxRecord {
			return wire.No
		}
		at += headerLen + length
	}
}

// conn tells what is in the open and that it is blind, at the first span.
type conn struct{ names *wire.Names }

// Feed implements wire.Conn.
func (c *conn) Feed(s *wire.Span, out *wire.Out) {
	out.Blind = "tls"
	out.Skipped += s.Size
	if s.From == wire.Client {
		if name := ServerName(s.Data); len(name) > 0 {
			out.Peer = c.names.Get(name)
		}
		var room [maxOffer]byte
		if offer := AppendOffer(room[:0], s.Data); len(offer) > 0 {
			out.Inside = c.names.Get(offer)
		}
	}
}

// Gap implements wire.Conn.
func (c *conn) Gap(*wire.Out) {}

// End implements wire.Conn.
func (c *conn) End(int64, string, *wire.Out) {}

// Waiting implements wire.Conn.
func (c *conn) Waiting() (int, int64) { return 0, 0 }

// ServerName gives the name that a ClientHello asks for, nil when there is none
// or it lies beyond what was captured.
func ServerName(b []byte) []byte { return serverName(extension(b, extServerName)) }

// maxOffer bounds the list of what a client offers.
const maxOffer = 64

// AppendOffer appends the protocols that a ClientHello offers to speak inside, as
// "h2, http/1.1", in at most 64 bytes: nothing when there are none, or some lie
// beyond what was captured. Names that are no text, such as those that clients
// make up to keep servers tolerant, are left out.
func AppendOffer(dst, hello []byte) []byte {
	b := extension(hello, extProtocols)
	if len(b) < 2 || len(b)-2 != int(b[0])<<8|int(b[1]) {
		return dst
	}
	began := len(dst)
	for b = b[2:]; len(b) > 0; {
		n := int(b[0])
		if n == 0 || n >= len(b) {
			return dst[:began]
		}
		name := b[1 : 1+n]
		b = b[1+n:]
		if !isText(name) {
			continue
		}
		const more = ", ..."
		if len(dst)-began+len(", ")+n+len(more) > maxOffer {
			return append(dst, more...)
		}
		if len(dst) > began {
			dst = append(dst, ", "...)
		}
		dst = append(dst, name...)
	}
	return dst
}

func isText(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return true
}

// extension gives what was captured of an extension of a ClientHello, nil when
// there is none.
func extension(b []byte, want int) []byte {
	if len(b) < 43 || b[0] != handshake || b[5] != clientHello {
		return nil
	}
	b = b[43:]                   // headers, version, random
	b = after(b, 1)              // session
	b = after(b, 2)              // cipher suites
	b = after(b, 1)              // compression methods
	if b = cut(b, 2); b == nil { // length of all extensions
		return nil
	}
	for len(b) >= 4 {
		kind, length := int(b[0])<<8|int(b[1]), int(b[2])<<8|int(b[3])
		b = b[4:]
		if kind == want {
			return b[:min(length, len(b))]
		}
		if length > len(b) {
			return nil
		}
		b = b[length:]
	}
	return nil
}

// serverName takes the first host name of the extension.
func serverName(b []byte) []byte {
	if len(b) < 5 || b[2] != 0 {
		return nil
	}
	n := int(b[3])<<8 | int(b[4])
	if n == 0 || n > 255 || len(b) < 5+n {
		return nil
	}
	if name := b[5 : 5+n]; isText(name) {
		return name
	}
	return nil
}

// after passes over a field that begins with its length in n bytes; nil when it
// is not there as a whole.
func after(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	length := int(b[0])
	if n == 2 {
		length = length<<8 | int(b[1])
	}
	return cut(b, n+length)
}

func cut(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	return b[n:]
}
