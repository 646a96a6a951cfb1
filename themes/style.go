package themes

import (
	"fmt"
	"strconv"
	"strings"
)

// ColorKind says how a Color is given.
type ColorKind uint8

// Kinds of colours.
const (
	None    ColorKind = iota // the terminal's own foreground or background
	Indexed                  // a number of the terminal's palette; 0 to 15 are the user's
	RGB                      // red, green and blue
)

// Color is one colour of a theme. The zero Color is the terminal's own.
type Color struct {
	Kind    ColorKind
	Index   uint8 // Indexed: 0 to 255
	R, G, B uint8 // RGB
}

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

// Style is a colour with attributes. Whether the colour is a foreground or a
// background follows from the token: BG, Surface and SelBG are backgrounds.
type Style struct {
	Color Color
	Attr  Attr
}

// Has reports whether all attributes of a are set.
func (s Style) Has(a Attr) bool { return s.Attr&a == a }

var ansiNames = [16]string{
	"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
	"bright-black", "bright-red", "bright-green", "bright-yellow", "bright-blue", "bright-magenta", "bright-cyan", "bright-white",
}

var attrNames = [...]string{"bold", "faint", "italic", "underline", "reverse"}

// ParseStyle reads a style as theme files write it: a colour ("#4fdcc0",
// "bright-blue", "208" or "none"), attributes ("bold", "faint", "italic",
// "underline", "reverse"), or a colour followed by attributes.
func ParseStyle(text string) (Style, error) {
	var s Style
	words := strings.Fields(text)
	if len(words) == 0 {
		return s, fmt.Errorf("empty: give a colour such as \"#4fdcc0\" or \"blue\", attributes such as \"bold\", or \"none\"")
	}
	for i, w := range words {
		if a, ok := parseAttr(w); ok {
			s.Attr |= a
			continue
		}
		c, err := parseColor(w)
		if err != nil {
			return Style{}, err
		}
		if i > 0 {
			return Style{}, fmt.Errorf("%s: the colour comes first and only once, attributes follow", quote(w))
		}
		s.Color = c
	}
	return s, nil
}

func parseAttr(w string) (Attr, bool) {
	for i, name := range attrNames {
		if w == name {
			return 1 << i, true
		}
	}
	return 0, false
}

func parseColor(w string) (Color, error) {
	if w == "none" {
		return Color{}, nil
	}
	for i, name := range ansiNames {
		if w == name {
			return Color{Kind: Indexed, Index: uint8(i)}, nil
		}
	}
	if hex, ok := strings.CutPrefix(w, "#"); ok {
		if len(hex) == 3 {
			hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
		}
		n, err := strconv.ParseUint(hex, 16, 24)
		if err != nil || len(hex) != 6 {
			return Color{}, fmt.Errorf("%s is not a colour: write #rrggbb, for example \"#4fdcc0\"", quote(w))
		}
		return Color{Kind: RGB, R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n)}, nil
	}
	if n, err := strconv.ParseUint(w, 10, 8); err == nil {
		return Color{Kind: Indexed, Index: uint8(n)}, nil
	}
	return Color{}, fmt.Errorf("%s is not a colour: use \"#rrggbb\", an ANSI name such as blue or bright-red, 0 to 255, or none", quote(w))
}

// String gives the form that ParseStyle reads.
func (s Style) String() string {
	var words []string
	if s.Color.Kind != None || s.Attr == 0 {
		words = append(words, s.Color.String())
	}
	for i, name := range attrNames {
		if s.Has(1 << i) {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// String gives the form that ParseStyle reads.
func (c Color) String() string {
	switch {
	case c.Kind == RGB:
		return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
	case c.Kind == Indexed && c.Index < 16:
		return ansiNames[c.Index]
	case c.Kind == Indexed:
		return strconv.Itoa(int(c.Index))
	}
	return "none"
}

// quote makes a string from a file safe for an error line.
func quote(s string) string { return strconv.Quote(cut(s, 40)) }

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
