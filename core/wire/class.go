package wire

// AppendClass appends seg to dst and returns it, or {id} when seg names one thing
// among many: a number, a hash, a UUID, an address, a random token. seg is one
// segment of a path or of a name.
func AppendClass(dst, seg []byte) []byte {
	// Most segments are words.
	i := 0
	for i < len(seg) && seg[i]-'0' > 9 && seg[i] != '@' {
		i++
	}
	if i == len(seg) {
		return append(dst, seg...)
	}
	// One pass counts what it is made of.
	var digits, hex, other, flips, humps, tail int
	var last byte // class of the character before: 'd'igit, 'l'ower, 'u'pper or 0
	for _, c := range seg {
		var class byte
		switch {
		case c >= '0' && c <= '9':
			class = 'd'
			digits++
			hex++
			tail++
			if last == 'l' || last == 'u' {
				flips++
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			class = 'l'
			if c < 'a' {
				class = 'u'
			}
			if c|0x20 <= 'f' {
				hex++
			} else {
				other++
			}
			if last == 'd' {
				flips++
			} else if last == 'l' && class == 'u' {
				humps++
			}
			tail = 0
		case c == '@':
			return append(dst, "{id}"...) // an address
		default:
			if c != '-' && c != '_' && c != '.' && c != ':' && c != ',' && c != '~' && c != '=' {
				other++
			}
			tail = 0
		}
		last = class
	}
	switch {
	case digits == 0:
		return append(dst, seg...)
	case digits == hex && other == 0, // numbers, dates, versions
		hex >= 8 && digits >= 2 && other == 0, // hashes, UUIDs
		len(seg) >= 16 && flips >= 4,          // ULIDs, random base 32 and 36
		len(seg) >= 20 && humps >= 3 && digits >= 2:
		return append(dst, "{id}"...)
	case tail >= 4:
		return append(append(dst, seg[:len(seg)-tail]...), "{id}"...)
	}
	return append(dst, seg...)
}
