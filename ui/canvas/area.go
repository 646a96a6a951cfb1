package canvas

// Rect is a rectangle of cells.
type Rect struct{ X, Y, W, H int }

// Has reports whether the cell lies inside.
func (r Rect) Has(x, y int) bool { return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H }

// Area is a rectangle of a canvas. Coordinates are its own; what lies outside is
// not drawn.
type Area struct {
	c    *Canvas
	X, Y int // where it lies on the canvas
	W, H int
	base Style
}

// Rect is the area's place on the canvas, for finding out what was clicked.
func (a Area) Rect() Rect { return Rect{a.X, a.Y, a.W, a.H} }

// Sub is the part of a at the given place, cut to a.
func (a Area) Sub(x, y, w, h int) Area {
	x, y = min(max(x, 0), a.W), min(max(y, 0), a.H)
	w, h = min(max(w, 0), a.W-x), min(max(h, 0), a.H-y)
	return Area{a.c, a.X + x, a.Y + y, w, h, a.base}
}

// Top cuts n rows off the top: the rows and what is left.
func (a Area) Top(n int) (top, rest Area) {
	n = min(max(n, 0), a.H)
	return a.Sub(0, 0, a.W, n), a.Sub(0, n, a.W, a.H-n)
}

// Bottom cuts n rows off the bottom: the rows and what is left.
func (a Area) Bottom(n int) (bottom, rest Area) {
	n = min(max(n, 0), a.H)
	return a.Sub(0, a.H-n, a.W, n), a.Sub(0, 0, a.W, a.H-n)
}

// Left cuts n columns off the left: the columns and what is left.
func (a Area) Left(n int) (left, rest Area) {
	n = min(max(n, 0), a.W)
	return a.Sub(0, 0, n, a.H), a.Sub(n, 0, a.W-n, a.H)
}

// On is the same area with another base style: what is drawn with Inherit takes
// its colours.
func (a Area) On(base Style) Area {
	a.base = a.resolve(base)
	return a
}

// ASCII reports whether only ASCII may be shown.
func (a Area) ASCII() bool { return a.c.ASCII }

func (a Area) resolve(st Style) Style {
	if st.FG == Inherit {
		st.FG = a.base.FG
	}
	if st.BG == Inherit {
		st.BG = a.base.BG
	}
	// On a selection only the selection's own colour is sure to be readable.
	if st.BG == SelBG {
		st.FG = SelFG
	}
	st.Attr |= a.base.Attr
	return st
}

// Fill draws r in every cell.
func (a Area) Fill(r rune, st Style) {
	st = a.resolve(st)
	for y := range a.H {
		row := a.c.cells[(a.Y+y)*a.c.w+a.X:]
		for x := range a.W {
			row[x] = cell{r, st}
		}
	}
}

// Set draws one rune of width one.
func (a Area) Set(x, y int, r rune, st Style) {
	if x < 0 || y < 0 || x >= a.W || y >= a.H {
		return
	}
	if r, w := shown(r); w == 1 {
		a.c.cells[(a.Y+y)*a.c.w+a.X+x] = cell{r, a.resolve(st)}
	}
}

// Text draws s from x on and returns the column after it.
func (a Area) Text(x, y int, s string, st Style) int {
	if y < 0 || y >= a.H {
		return x + Width(s)
	}
	st = a.resolve(st)
	row := a.c.cells[(a.Y+y)*a.c.w+a.X:]
	for _, r := range s {
		r, w := shown(r)
		switch {
		case x >= a.W:
			return x
		case x < 0:
		case w == 2 && x+1 >= a.W:
			row[x] = cell{' ', st}
		case w == 2:
			row[x], row[x+1] = cell{r, st}, cell{0, st}
		default:
			row[x] = cell{r, st}
		}
		x += w
	}
	return x
}

// Fit draws s in w columns from x on, cut with "…" when it is longer, and
// returns the column after the text.
func (a Area) Fit(x, y, w int, s string, st Style) int {
	w = min(w, a.W-x)
	if w <= 0 || x < 0 || y < 0 || y >= a.H {
		return x
	}
	if len(s) <= w || Width(s) <= w {
		return x + min(a.Sub(x, y, w, 1).Text(0, 0, s, st), w)
	}
	n := min(a.Sub(x, y, w-1, 1).Text(0, 0, s, st), w-1)
	a.Set(x+n, y, '…', st)
	return x + n + 1
}

// Right draws s so that it ends before column x+w.
func (a Area) Right(x, y, w int, s string, st Style) {
	n := Width(s)
	if n > w {
		a.Fit(x, y, w, s, st)
		return
	}
	a.Text(x+w-n, y, s, st)
}

// HLine draws a horizontal rule.
func (a Area) HLine(y int, st Style) {
	for x := range a.W {
		a.Set(x, y, '─', st)
	}
}

// Copy draws what a shows as text, line by line.
func (a Area) Copy() string {
	var b []rune
	for y := range a.H {
		end := len(b)
		for x := range a.W {
			if r := a.c.cells[(a.Y+y)*a.c.w+a.X+x].r; r != 0 {
				b = append(b, a.c.glyph(r))
				if r != ' ' {
					end = len(b)
				}
			}
		}
		b = append(b[:end], '\n')
	}
	return string(b)
}
