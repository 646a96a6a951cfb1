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

const (
	replaced = '·'
	ellipsis = "…"
)

// Clean makes a string from a process, the network or a file safe to show: at
// most limit bytes, valid UTF-8, no control characters, no escape sequences, no
// bidirectional overrides, no zero-width, invisible or combining characters.
// What is removed is replaced by "·" so that a hostile name cannot look like a
// harmless one; what is cut ends in "…" (in nothing when not even that fits). A
// clean string is returned as it is, without allocating, and cleaning twice
// changes nothing.
func Clean(s string, limit int) string {
	if len(s) <= limit && isClean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(min(len(s), max(limit, 0)))
	cut := 0 // how much may stay when the rest does not fit
	for _, r := range s {
		if !showable(r) {
			r = replaced
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			if limit < len(ellipsis) {
				return b.String()[:cut]
			}
			return b.String()[:cut] + ellipsis
		}
		b.WriteRune(r)
		if b.Len()+len(ellipsis) <= limit {
			cut = b.Len()
		}
	}
	return b.String()
}

// showable reports whether a character takes its own cell, does not change its
// neighbours and can be seen.
func showable(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 0x20 && r < 0x7f
	}
	return r != utf8.RuneError && unicode.IsPrint(r) && !unicode.IsMark(r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) // fillers that count as letters
}

func isClean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return isCleanUnicode(s[i:])
		}
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isCleanUnicode(s string) bool {
	for _, r := range s {
		if !showable(r) {
			return false
		}
	}
	return true
}
