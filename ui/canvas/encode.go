package canvas

import "unicode/utf8"

// Palette is a theme made ready for a terminal: for every token the parameters
// of its SGR sequence, empty for the terminal's own colour,
// and attributes that stand for the colour where there is none.
type Palette struct {
	Fg, Bg   [NumTokens]string
	FgA, BgA [NumTokens]Attr
}

// Encode returns the screen as lines with SGR sequences. It allocates the
// result and nothing else.
func (c *Canvas) Encode(p *Palette) string {
	out := c.out[:0]
	for y := range c.h {
		if y > 0 {
			out = append(out, '\n')
		}
		last := Style{FG: NumTokens}
		for _, x := range c.cells[y*c.w : (y+1)*c.w] {
			if x.r == 0 {
				if c.ASCII {
					out = append(out, ' ')
				}
				continue
			}
			if x.style != last {
				out = p.append(out, x.style)
				last = x.style
			}
			if x.r < utf8.RuneSelf {
				out = append(out, byte(x.r))
			} else {
				out = utf8.AppendRune(out, c.glyph(x.r))
			}
		}
		out = append(out, "\x1b[m"...)
	}
	c.out = out
	return string(out)
}

func (p *Palette) append(out []byte, s Style) []byte {
	out = append(out, "\x1b[0"...)
	attr := s.Attr | p.FgA[s.FG] | p.BgA[s.BG]
	for i, code := range [...]string{";1", ";2", ";3", ";4", ";7"} {
		if attr&(1<<i) != 0 {
			out = append(out, code...)
		}
	}
	if f := p.Fg[s.FG]; f != "" {
		out = append(append(out, ';'), f...)
	}
	if b := p.Bg[s.BG]; b != "" {
		out = append(append(out, ';'), b...)
	}
	return append(out, 'm')
}

func (c *Canvas) glyph(r rune) rune {
	if !c.ASCII || r < utf8.RuneSelf {
		return r
	}
	return asciiOf(r)
}

// asciiOf is the stand-in for a glyph where the terminal shows ASCII only.
func asciiOf(r rune) rune {
	switch r {
	case '─', '━', '–', '╌', '┄':
		return '-'
	case '│', '┃', '┊', '▏', '▎', '▍':
		return '|'
	case '╭', '╮', '╰', '╯', '┌', '┐', '└', '┘', '├', '┤', '┬', '┴', '┼':
		return '+'
	case '●':
		return '*'
	case '◌':
		return '~'
	case '○':
		return 'o'
	case '✖':
		return 'x'
	case '▲', '↑':
		return '^'
	case '▼', '↓':
		return 'v'
	case '▶', '→', '›', '»':
		return '>'
	case '◀', '←', '‹':
		return '<'
	case '✓':
		return '+'
	case '◆':
		return '#'
	case '·', '…':
		return '.'
	case '░':
		return '.'
	case '▒':
		return ':'
	case '▓':
		return '%'
	case '█', '▉', '▊', '▋', '▌':
		return '#'
	case 'µ':
		return 'u'
	case '×':
		return 'x'
	case '⏎':
		return '>'
	case '⏸':
		return '='
	}
	return '?'
}
