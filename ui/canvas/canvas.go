// Package canvas is a screen of cells. Whoever draws gets an Area, a rectangle
// that nothing can leave, and names colours by token; only Encode knows what a
// token looks like. No control character ever passes: what is drawn is text.
//
// A Canvas and its Areas belong to one goroutine.
package canvas

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Token names what a colour means. The theme says what it looks like.
type Token uint8

// Tokens. Inherit takes the colour of the area.
const (
	Inherit Token = iota
	BG
	Surface
	FG
	Muted
	Faint
	Accent
	Border
	BorderFocus
	SelBG
	SelFG
	Header
	OK
	Warn
	Crit
	Info
	Off
	Match
	Key
	Graph1
	Graph2
	Graph3
	Graph4
	Heat0
	Heat1
	Heat2
	Heat3
	NumTokens
)

// Attr is a set of text attributes.
type Attr uint8

// Attributes.
const (
	Bold Attr = 1 << iota
	Dim
	Italic
	Underline
	Reverse
)

// Style is how a cell looks, before a theme is applied.
type Style struct {
	FG, BG Token
	Attr   Attr
}

// Fg is a style with a foreground and nothing else.
func Fg(t Token) Style { return Style{FG: t} }

// Strong is a bold style.
func Strong(t Token) Style { return Style{FG: t, Attr: Bold} }

type cell struct {
	r     rune // 0: the right half of a wide rune
	style Style
}

// Canvas is a screen of cells.
type Canvas struct {
	w, h  int
	cells []cell
	out   []byte
	// ASCII maps every other rune to an ASCII stand-in.
	ASCII bool
}

// Reset sets the size and clears every cell. Memory is kept.
func (c *Canvas) Reset(w, h int) {
	c.w, c.h = max(w, 0), max(h, 0)
	if n := c.w * c.h; cap(c.cells) < n {
		c.cells = make([]cell, n)
	} else {
		c.cells = c.cells[:n]
	}
	blank := cell{' ', Style{FG: FG, BG: BG}}
	for i := range c.cells {
		c.cells[i] = blank
	}
}

// All is the area of the whole canvas.
func (c *Canvas) All() Area {
	return Area{c: c, W: c.w, H: c.h, base: Style{FG: FG, BG: BG}}
}

// Width is how many columns s takes when it is drawn.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return n + wideWidth(s[i:])
		}
		n++
	}
	return n
}

func wideWidth(s string) int {
	n := 0
	for _, r := range s {
		_, w := shown(r)
		n += w
	}
	return n
}

// shown is the rune that stands for r on the screen, and its width. Controls,
// marks and direction overrides become a visible dot.
func shown(r rune) (rune, int) {
	switch {
	case r >= 0x20 && r < 0x7f:
		return r, 1
	case r < 0xa0, r == 0xad:
		return '·', 1
	case r < 0x300, r >= 0x2190 && r <= 0x28ff:
		return r, 1
	case !unicode.IsPrint(r) || unicode.In(r, unicode.M, unicode.Cf) || r == unicode.ReplacementChar:
		return '·', 1
	}
	switch ansi.StringWidth(string(r)) {
	case 2:
		return r, 2
	case 1:
		return r, 1
	}
	return '·', 1
}

// Row returns the text of a row without styles, right-trimmed.
func (c *Canvas) Row(y int) string {
	var b strings.Builder
	for _, x := range c.cells[y*c.w : (y+1)*c.w] {
		if x.r != 0 {
			b.WriteRune(c.glyph(x.r))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Text returns the screen as lines of text.
func (c *Canvas) Text() string {
	var b strings.Builder
	for y := range c.h {
		b.WriteString(c.Row(y))
		b.WriteByte('\n')
	}
	return b.String()
}
