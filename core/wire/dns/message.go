package dns

import (
	"encoding/binary"
	"net/netip"

	"vitals/core/wire"
)

// Sizes and limits of the format, RFC 1035.
const (
	headSize   = 12
	maxName    = 255
	maxLabel   = 63
	maxRecords = 64 // that are looked at
)

// message is what matters of a message, as far as it was captured.
type message struct {
	id       uint16
	answer   bool // else it is a question
	opcode   uint8
	rcode    uint16
	kind     uint16 // type asked for
	class    uint16
	records  []byte // what follows the question
	count    int    // records in there
	asked    bool   // the question was captured whole
	reserved bool   // bits are set that nobody sets
	length   int    // of the name's class
	room     [maxClass]byte
}

// maxClass holds the class of the longest name, of one digit in each label.
const maxClass = 3 * maxName

// name gives the class of the name asked for.
func (m *message) name() []byte { return m.room[:m.length] }

// parse reads a message, and reports whether b may be one, or begin one when it
// is not all of it.
func (m *message) parse(b []byte, all bool) bool {
	if len(b) < headSize {
		return false
	}
	flags := binary.BigEndian.Uint16(b[2:])
	questions := binary.BigEndian.Uint16(b[4:])
	m.id = binary.BigEndian.Uint16(b)
	m.answer = flags&0x8000 != 0
	m.opcode = uint8(flags >> 11 & 15)
	m.rcode = flags & 15
	m.reserved = flags&0x40 != 0
	m.count = 0
	for i := 6; i < headSize; i += 2 {
		m.count += int(binary.BigEndian.Uint16(b[i:]))
	}
	m.length, m.records, m.asked = 0, nil, false
	if questions == 0 {
		m.records = b[headSize:]
		return m.answer
	}
	n, ok := m.question(b[headSize:])
	if !ok || all && n == 0 {
		return false
	}
	if questions == 1 && n > 0 {
		m.records = b[headSize+n:]
	}
	return true
}

// question reads the first question and gives its length, 0 when it was cut.
func (m *message) question(b []byte) (n int, ok bool) {
	var raw [maxName + 1]byte // lower case, with dots
	var at [maxName/2 + 1]uint8
	labels, size := 0, 0
	for {
		if n >= len(b) {
			return 0, true
		}
		l := int(b[n])
		n++
		if l == 0 {
			break
		}
		if l > maxLabel || size+l+1 > maxName {
			return 0, false // a question has no pointers
		}
		if n+l > len(b) {
			return 0, true
		}
		at[labels] = uint8(size)
		labels++
		for _, c := range b[n : n+l] {
			raw[size] = plain(c)
			size++
		}
		raw[size] = '.'
		size++
		n += l
	}
	if n+4 > len(b) {
		return 0, true
	}
	m.kind = binary.BigEndian.Uint16(b[n:])
	m.class = binary.BigEndian.Uint16(b[n+2:])
	m.asked = true
	m.length = len(appendClass(m.room[:0], raw[:size], at[:labels]))
	return n + 4, true
}

// plain gives the character that stands for a byte of a label.
func plain(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c | 0x20
	case c < ' ' || c == 0x7f || c == '.':
		return '?'
	}
	return c
}

// appendClass appends the class of a name: what looks like an id in front of the
// last two labels is one, and addresses are folded.
func appendClass(dst, name []byte, at []uint8) []byte {
	if len(at) == 0 {
		return append(dst, '.')
	}
	name = name[:len(name)-1]
	if n := len(at); n > 2 {
		if end := string(name[at[n-2]:]); end == "in-addr.arpa" || end == "ip6.arpa" {
			return append(append(dst, "{ip}."...), end...)
		}
	}
	for i := range at {
		if i > 0 {
			dst = append(dst, '.')
		}
		if i >= len(at)-2 {
			return append(dst, name[at[i]:]...)
		}
		dst = wire.AppendClass(dst, name[at[i]:at[i+1]-1])
	}
	return dst
}

// Types of records that matter.
const (
	typeA    = 1
	typeAAAA = 28
	typeOPT  = 41
	typeIXFR = 251
	typeAXFR = 252
)

// eachRecord calls f for the records that were captured whole.
func (m *message) eachRecord(f func(kind uint16, ttl uint32, data []byte)) {
	b := m.records
	for range min(m.count, maxRecords) {
		n := nameSize(b)
		if n == 0 || n+10 > len(b) {
			return
		}
		kind, ttl := binary.BigEndian.Uint16(b[n:]), binary.BigEndian.Uint32(b[n+4:])
		size := int(binary.BigEndian.Uint16(b[n+8:]))
		b = b[n+10:]
		if size > len(b) {
			return
		}
		f(kind, ttl, b[:size])
		b = b[size:]
	}
}

// nameSize gives how many bytes a name takes, 0 when it is none or was cut. A
// pointer ends a name, and is never followed.
func nameSize(b []byte) int {
	for n := 0; n < len(b) && n <= maxName; {
		switch l := int(b[n]); {
		case l == 0:
			return n + 1
		case l&0xc0 == 0xc0:
			return n + 2
		case l > maxLabel:
			return 0
		default:
			n += 1 + l
		}
	}
	return 0
}

// address gives the address in the data of a record.
func address(kind uint16, data []byte) (netip.Addr, bool) {
	if kind != typeA && kind != typeAAAA {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(data)
	return a, ok && a.Is4() == (kind == typeA)
}

// typeName gives the name of a type of records.
func typeName(kind uint16) string {
	switch kind {
	case typeA:
		return "A"
	case 2:
		return "NS"
	case 5:
		return "CNAME"
	case 6:
		return "SOA"
	case 12:
		return "PTR"
	case 15:
		return "MX"
	case 16:
		return "TXT"
	case typeAAAA:
		return "AAAA"
	case 33:
		return "SRV"
	case 35:
		return "NAPTR"
	case 43:
		return "DS"
	case 46:
		return "RRSIG"
	case 48:
		return "DNSKEY"
	case 52:
		return "TLSA"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case typeIXFR:
		return "IXFR"
	case typeAXFR:
		return "AXFR"
	case 255:
		return "ANY"
	case 257:
		return "CAA"
	}
	return wire.Other
}

// rcodes are the names of the outcomes.
var rcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
}

// rcode gives the name of an outcome, and whether it is an error to the server
// and to the client: a name that does not exist is the client's.
func rcode(n uint16) (name string, server, client bool) {
	switch {
	case int(n) < len(rcodes):
		name = rcodes[n]
	case n == 16:
		name = "BADVERS"
	case n == 23:
		name = "BADCOOKIE"
	default:
		name = wire.Other
	}
	switch n {
	case 0:
		return name, false, false
	case 1, 3, 5:
		return name, false, true
	}
	return name, true, true
}
