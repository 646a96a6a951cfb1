package ui

import (
	"strconv"

	"github.com/charmbracelet/colorprofile"

	"vitals/themes"
	"vitals/ui/canvas"
)

// palette makes a theme ready for the canvas. The tokens of canvas are those of
// themes in the same order, behind Inherit.
//
// On a terminal of sixteen colours we choose them: the nearest in brightness and
// hue, where the nearest in numbers would make a near black navy.
func palette(t *themes.Theme, profile colorprofile.Profile) *canvas.Palette {
	p := &canvas.Palette{}
	for tok := range themes.Token(themes.NumTokens) {
		s, i := t.Style(tok), canvas.Token(tok)+1
		if profile == colorprofile.ANSI {
			s.Color = sixteen(s.Color)
		}
		p.Fg[i], p.Bg[i] = sgr(s.Color, 30, 90, "38"), sgr(s.Color, 40, 100, "48")
		a := attrs(s.Attr)
		p.FgA[i], p.BgA[i] = a, a
	}
	return p
}

// sixteen is the nearest of the terminal's own sixteen colours: greys by how
// bright they are, the others by their hue.
func sixteen(c themes.Color) themes.Color {
	if c.Kind != themes.RGB {
		return c
	}
	r, g, b := int(c.R), int(c.G), int(c.B)
	high, low := max(r, g, b), min(r, g, b)
	if high-low < 40 || 5*(high-low) < high {
		bright := (3*r + 6*g + b) / 10
		for i, limit := range [...]int{48, 150, 245, 256} {
			if bright < limit {
				return indexed([...]uint8{0, 8, 7, 15}[i])
			}
		}
	}
	hues := [...]uint8{1, 3, 2, 6, 4, 5} // red, yellow, green, cyan, blue, magenta
	i := hues[(hue(r, g, b, high, low)+30)/60%6]
	if high > 190 {
		i += 8
	}
	return indexed(i)
}

func indexed(i uint8) themes.Color { return themes.Color{Kind: themes.Indexed, Index: i} }

// hue is the angle on the colour wheel, 0 is red.
func hue(r, g, b, high, low int) int {
	d := high - low
	switch high {
	case r:
		return (360 + 60*(g-b)/d) % 360
	case g:
		return 120 + 60*(b-r)/d
	}
	return 240 + 60*(r-g)/d
}

func sgr(c themes.Color, low, high int, extended string) string {
	switch {
	case c.Kind == themes.RGB:
		return extended + ";2;" + strconv.Itoa(int(c.R)) + ";" + strconv.Itoa(int(c.G)) + ";" + strconv.Itoa(int(c.B))
	case c.Kind == themes.Indexed && c.Index < 8:
		return strconv.Itoa(low + int(c.Index))
	case c.Kind == themes.Indexed && c.Index < 16:
		return strconv.Itoa(high + int(c.Index) - 8)
	case c.Kind == themes.Indexed:
		return extended + ";5;" + strconv.Itoa(int(c.Index))
	}
	return ""
}

func attrs(a themes.Attr) (out canvas.Attr) {
	for from, to := range map[themes.Attr]canvas.Attr{
		themes.Bold: canvas.Bold, themes.Dim: canvas.Dim, themes.Italic: canvas.Italic,
		themes.Underline: canvas.Underline, themes.Reverse: canvas.Reverse,
	} {
		if a&from != 0 {
			out |= to
		}
	}
	return out
}

func builtinThemes() []themes.Theme {
	var out []themes.Theme
	for _, e := range themes.List() {
		if e.Err == nil {
			out = append(out, e.Theme)
		}
	}
	return out
}
