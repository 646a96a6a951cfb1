package http1

// AppendRoute appends the class of a path to dst and returns it: segments that
// name one thing among many become {id}, so that a route has few values. cut
// says that the path was captured incompletely: its last segment becomes "*".
//
//	/users/42/orders/9f1c2b3a-…      /users/{id}/orders/{id}
//	/static/GPL-3                    /static/GPL-3
func AppendRoute(dst, path []byte, cut bool) []byte {
	if len(path) == 0 || len(path) == 1 && path[0] == '/' {
		if cut {
			return append(dst, "/*"...)
		}
		return append(dst, '/')
	}
	if path[0] != '/' {
		return append(dst, path...)
	}
	for depth := 0; len(path) > 0; depth++ {
		path = path[1:]
		end := 0
		for end < len(path) && path[end] != '/' {
			end++
		}
		dst = append(dst, '/')
		if depth == maxDepth || cut && end == len(path) {
			return append(dst, '*')
		}
		dst = appendSegment(dst, path[:end])
		path = path[end:]
	}
	return dst
}

// maxDepth is how many segments of a path a route has.
const maxDepth = 12

// appendSegment appends seg, or {id} for it. One pass counts what it is made of.
func appendSegment(dst, seg []byte) []byte {
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
