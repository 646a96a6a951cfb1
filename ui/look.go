package ui

import (
	"strconv"

	"vitals/themes"
	"vitals/ui/canvas"
)

// palette makes a theme ready for the canvas. The tokens of canvas are those of
// themes in the same order, behind Inherit.
func palette(t *themes.Theme) *canvas.Palette {
	p := &canvas.Palette{}
	for tok := range themes.Token(themes.NumTokens) {
		s, i := t.Style(tok), canvas.Token(tok)+1
		p.Fg[i], p.Bg[i] = sgr(s.Color, 30, 90, "38"), sgr(s.Color, 40, 100, "48")
		a := attrs(s.Attr)
		p.FgA[i], p.BgA[i] = a, a
	}
	return p
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
