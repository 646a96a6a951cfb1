package http2

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/http1"
	"vitals/core/wire/sse"
)

// key is a header that matters.
type key uint8

const (
	other  key = iota
	hidden     // its name was defined where nobody saw it
	method
	path
	authority
	status
	contentType
	grpcStatus
)

// Kinds of contents.
const (
	isGRPC   = 1
	isEvents = 2
)

// entry is a header with a value that matters, or without.
type entry struct {
	key  key
	num  int32  // status, grpc-status, kind of content
	text string // interned
}

// fields is what a block of headers says.
type fields struct {
	method, path, authority string
	status                  int
	content                 int32
	grpc                    int32 // grpc-status, -1 without
	hidden                  bool  // it has headers that nobody can know
}

// statics are the entries that matter of the static table, RFC 7541, appendix A.
var statics = [62]entry{
	1: {key: authority},
	2: {key: method, text: "GET"}, 3: {key: method, text: "POST"},
	4: {key: path, text: "/"}, 5: {key: path, text: "/index.html"},
	8: {key: status, num: 200}, 9: {key: status, num: 204}, 10: {key: status, num: 206}, 11: {key: status, num: 304},
	12: {key: status, num: 400}, 13: {key: status, num: 404}, 14: {key: status, num: 500},
	31: {key: contentType},
}

// Limits of what is remembered and decoded.
const (
	maxEntries = 256  // of a table: 4096 bytes, the default, hold at most 128
	maxValue   = 1024 // of a value
)

// table is the dynamic table of one direction. It holds the newest entries only,
// by their place from the newest, and needs no sizes: who encodes never refers to
// what the peer has dropped. Entries from before a gap are not given, the places
// of later ones are right again.
type table struct {
	ring []entry
	n    int // entries ever added since the last reset
}

func (t *table) add(e entry) {
	if len(t.ring) < maxEntries {
		t.ring = append(t.ring, e)
	} else {
		t.ring[t.n%maxEntries] = e
	}
	t.n++
}

// get gives the i-th newest, from 0.
func (t *table) get(i int) (entry, bool) {
	if i >= t.n || i >= maxEntries {
		return entry{key: hidden}, false
	}
	return t.ring[(t.n-1-i)%maxEntries], true
}

func (t *table) reset() { t.ring, t.n = t.ring[:0], 0 }

// decoder reads header blocks of one direction.
type decoder struct {
	table table
	names *wire.Names
}

// decode reads a block, or the beginning of one, and reports whether it is whole.
// What it adds to the table is right for what it has read.
func (d *decoder) decode(b []byte, f *fields) bool {
	f.grpc = -1
	for len(b) > 0 {
		var index int
		var ok bool
		first := b[0]
		switch {
		case first&0x80 != 0:
			if index, b, ok = number(b, 7); !ok || index == 0 {
				return false
			}
			f.take(d.at(index))
			continue
		case first&0xe0 == 0x20:
			if _, b, ok = number(b, 5); !ok {
				return false
			}
			continue
		case first&0xc0 == 0x40:
			index, b, ok = number(b, 6)
		default:
			index, b, ok = number(b, 4)
		}
		if !ok {
			return false
		}
		var e entry
		if e, b, ok = d.literal(index, b); !ok {
			return false
		}
		f.take(e)
		if first&0xc0 == 0x40 {
			d.table.add(e)
		}
	}
	return true
}

// at gives the entry with that index.
func (d *decoder) at(index int) entry {
	if index < len(statics) {
		return statics[index]
	}
	e, _ := d.table.get(index - len(statics))
	return e
}

// literal reads a header whose name has an index, or 0 and follows.
func (d *decoder) literal(index int, b []byte) (e entry, rest []byte, ok bool) {
	var room [maxValue]byte
	if index > 0 {
		e.key = d.at(index).key
	} else {
		var raw []byte
		var huffman bool
		if raw, huffman, b, ok = text(b); !ok {
			return e, b, false
		}
		// The longest name that matters has 12 bytes.
		if name, cut := plain(room[:16], raw, huffman); !cut {
			e.key = named(name)
		}
	}
	raw, huffman, rest, ok := text(b)
	if !ok || e.key == other || e.key == hidden {
		return e, rest, ok
	}
	value, cut := plain(room[:], raw, huffman)
	d.value(&e, value, cut)
	return e, rest, true
}

// plain gives the characters of a string, room for those that are encoded.
func plain(room, raw []byte, huffman bool) (b []byte, cut bool) {
	if !huffman {
		if len(raw) > len(room) {
			return raw[:len(room)], true
		}
		return raw, false
	}
	n, cut := unhuffman(room, raw)
	return room[:n], cut
}

func named(name []byte) key {
	switch string(name) {
	case ":method":
		return method
	case ":path":
		return path
	case ":authority", "host":
		return authority
	case ":status":
		return status
	case "content-type":
		return contentType
	case "grpc-status":
		return grpcStatus
	}
	return other
}

// value keeps what matters of a value, never more.
func (d *decoder) value(e *entry, v []byte, cut bool) {
	switch e.key {
	case method:
		if e.text = http1.Verb(v); e.text == "" {
			e.text = wire.Other
		}
	case path:
		var class [256]byte
		e.text = d.names.Get(route(class[:0], v, cut))
	case authority:
		if !cut && len(v) > 0 {
			e.text = d.names.Get(v[bytes.LastIndexByte(v, '@')+1:])
		}
	case status:
		e.num = small(v)
	case grpcStatus:
		e.num = small(v)
	case contentType:
		media, _, _ := bytes.Cut(v, []byte(";"))
		switch media = bytes.TrimSpace(media); {
		case bytes.HasPrefix(media, []byte("application/grpc")) && !bytes.HasPrefix(media, []byte("application/grpc-web")):
			e.num = isGRPC
		case string(media) == sse.ContentType:
			e.num = isEvents
		}
	}
}

func (f *fields) take(e entry) {
	switch e.key {
	case hidden:
		f.hidden = true
	case method:
		f.method = e.text
	case path:
		f.path = e.text
	case authority:
		f.authority = e.text
	case status:
		f.status = int(e.num)
	case contentType:
		f.content = e.num
	case grpcStatus:
		f.grpc = e.num
	}
}

// small reads a decimal number of at most three digits, -1 when it is none.
func small(b []byte) (n int32) {
	if len(b) == 0 || len(b) > 3 {
		return -1
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int32(c-'0')
	}
	return n
}

// number reads an integer with a prefix of so many bits, RFC 7541, section 5.1.
func number(b []byte, bits uint) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, b, false
	}
	most := 1<<bits - 1
	n = int(b[0]) & most
	b = b[1:]
	if n < most {
		return n, b, true
	}
	for shift := uint(0); len(b) > 0 && shift <= 21; shift += 7 {
		c := b[0]
		b = b[1:]
		n += int(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, true
		}
	}
	return 0, b, false
}

// text reads a string without decoding it.
func text(b []byte) (raw []byte, huffman bool, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false, b, false
	}
	huffman = b[0]&0x80 != 0
	n, b, ok := number(b, 7)
	if !ok || n > len(b) {
		return nil, false, b, false
	}
	return b[:n], huffman, b[n:], true
}
