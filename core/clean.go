package core

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of strings in a snapshot, in bytes.
const (
	MaxName    = 128  // names of processes, services, containers, methods
	MaxRoute   = 256  // routes, fingerprints, peers
	MaxCmdline = 1024 // command lines
)

// Clean makes a string from a process, the network or a file safe to show: at
// most limit bytes, valid UTF-8, no control characters, no escape sequences, no
// bidirectional overrides, no zero-width or combining marks. What is removed is
// replaced by "·" so that a hostile name cannot look like a harmless one; what
// is cut ends in "…". A clean string is returned as it is, without allocating.
func Clean(s string, limit int) string {
	if isPlain(s) && len(s) <= limit {
		return s
	}
	var b strings.Builder
	b.Grow(min(len(s), limit) + 4)
	for i, r := range s {
		if b.Len()+utf8.UTFMax > limit && len(s)-i > limit-b.Len() {
			b.WriteString("…")
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc, unicode.Cf) {
			r = '·'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
