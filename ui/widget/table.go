package widget

import (
	"strconv"

	"vitals/ui/canvas"
)

// Column describes one column of a Table.
type Column struct {
	Title string
	W     int // width it wants
	Min   int // width it shrinks to before any column leaves; 0 means W
	Max   int // width it grows to when there is room; 0 means W
	Right bool
	// Leave is the order in which columns leave a narrow screen: 1 first, 0 never.
	Leave int
	// Fixed columns cannot be sorted by.
	Fixed bool
}

// Table is a virtual table: it draws the rows that fit, whatever their number.
// It knows how many rows there are and where the cursor is; what stands in a
// cell is the caller's.
type Table struct {
	Columns []Column
	Sort    int // index of the column the rows are sorted by, -1 for none
	Desc    bool
	Cursor  int
	N       int // number of rows
	// Quiet tables show no cursor: they have not the focus.
	Quiet bool
	// Marked, when set, says whether a row is selected.
	Marked func(row int) bool

	top    int
	page   int
	widths []int
	head   canvas.Rect
	body   canvas.Rect
}

const gutter = 2 // cursor mark left of the first column

// Draw shows the head and the rows that fit. cell is called for every visible
// cell with an area of one row and the column's width.
func (t *Table) Draw(a canvas.Area, cell func(row, col int, c canvas.Area)) {
	head, body := a.Top(1)
	t.head, t.body, t.page = head.Rect(), body.Rect(), body.H
	t.layout(a.W - gutter)
	t.scroll()
	t.drawHead(head)
	for y := range min(body.H, t.N-t.top) {
		row := t.top + y
		line := body.Sub(0, y, body.W, 1)
		mark := t.Marked != nil && t.Marked(row)
		switch {
		case row == t.Cursor && !t.Quiet:
			line = line.On(canvas.Style{FG: canvas.SelFG, BG: canvas.SelBG})
			line.Fill(' ', canvas.Style{})
			line.Set(0, 0, '▶', canvas.Strong(canvas.Accent))
		case mark:
			line = line.On(canvas.Style{BG: canvas.Surface})
			line.Fill(' ', canvas.Style{})
		}
		if mark {
			line.Set(1, 0, '+', canvas.Strong(canvas.Accent))
		}
		x := gutter
		for col, w := range t.widths {
			if w > 0 {
				cell(row, col, line.Sub(x, 0, w, 1))
				x += w + 1
			}
		}
	}
}

// Lines shows rows without columns and without a head: a list.
func (t *Table) Lines(a canvas.Area, line func(row int, c canvas.Area)) {
	t.head, t.body, t.page = canvas.Rect{}, a.Rect(), a.H
	t.scroll()
	for y := range min(a.H, t.N-t.top) {
		c := a.Sub(0, y, a.W, 1)
		if t.top+y == t.Cursor && !t.Quiet {
			c = c.On(canvas.Style{FG: canvas.SelFG, BG: canvas.SelBG})
			c.Fill(' ', canvas.Style{})
		}
		line(t.top+y, c.Sub(1, 0, c.W-2, 1))
	}
}

func (t *Table) drawHead(head canvas.Area) {
	x := gutter
	for col, w := range t.widths {
		if w == 0 {
			continue
		}
		c := t.Columns[col]
		st := canvas.Fg(canvas.Muted)
		title := c.Title
		if col == t.Sort {
			st = canvas.Strong(canvas.Accent)
			title += "▲"
			if t.Desc {
				title = c.Title + "▼"
			}
			if canvas.Width(title) > w {
				title = c.Title
			}
		}
		if c.Right {
			head.Right(x, 0, w, title, st)
		} else {
			head.Fit(x, 0, w, title, st)
		}
		x += w + 1
	}
}

// layout finds the width of each column; columns that left have 0.
func (t *Table) layout(w int) {
	if len(t.widths) != len(t.Columns) {
		t.widths = make([]int, len(t.Columns))
	}
	for i, c := range t.Columns {
		t.widths[i] = c.W
	}
	for t.least() > w {
		leave := -1
		for i, c := range t.Columns {
			if t.widths[i] > 0 && c.Leave > 0 && (leave < 0 || c.Leave < t.Columns[leave].Leave) {
				leave = i
			}
		}
		if leave < 0 {
			break
		}
		t.widths[leave] = 0
	}
	room := w - t.total()
	for room < 0 { // all that can shrink do, a column at a time
		shrunk := false
		for i, c := range t.Columns {
			if room < 0 && c.Min > 0 && t.widths[i] > c.Min {
				t.widths[i]--
				room++
				shrunk = true
			}
		}
		if !shrunk {
			break
		}
	}
	for room > 0 {
		grown := false
		for i, c := range t.Columns {
			if room > 0 && t.widths[i] > 0 && t.widths[i] < c.Max {
				t.widths[i]++
				room--
				grown = true
			}
		}
		if !grown {
			break
		}
	}
}

func (t *Table) total() int {
	n := -1
	for _, w := range t.widths {
		if w > 0 {
			n += w + 1
		}
	}
	return n
}

func (t *Table) least() int {
	n := -1
	for i, w := range t.widths {
		if w > 0 {
			if m := t.Columns[i].Min; m > 0 {
				w = m
			}
			n += w + 1
		}
	}
	return n
}

func (t *Table) scroll() {
	t.Cursor = min(max(t.Cursor, 0), max(t.N-1, 0))
	t.top = min(max(t.top, t.Cursor-t.page+1, 0), max(t.N-t.page, 0))
	t.top = min(t.top, t.Cursor)
}

// Move moves the cursor by n rows.
func (t *Table) Move(n int) { t.Cursor = min(max(t.Cursor+n, 0), max(t.N-1, 0)) }

// Page is how many rows a page has, for PgUp and PgDn.
func (t *Table) Page() int { return max(t.page-1, 1) }

// Hidden reports whether a column has left.
func (t *Table) Hidden(col int) bool { return col < len(t.widths) && t.widths[col] == 0 }

// SortBy sorts by the n-th sortable visible column away from the present one.
func (t *Table) SortBy(n int) {
	for i := 1; i <= len(t.Columns); i++ {
		col := ((t.Sort+n*i)%len(t.Columns) + len(t.Columns)) % len(t.Columns)
		if !t.Columns[col].Fixed && !t.Hidden(col) {
			t.Sort = col
			return
		}
	}
}

// RowAt finds the row at a place on the canvas, -1 where there is none.
func (t *Table) RowAt(x, y int) int {
	if row := t.top + y - t.body.Y; t.body.Has(x, y) && row < t.N {
		return row
	}
	return -1
}

// ColumnAt finds the column whose title was hit, -1 where there is none.
func (t *Table) ColumnAt(x, y int) int {
	if !t.head.Has(x, y) {
		return -1
	}
	at := t.head.X + gutter
	for col, w := range t.widths {
		if w > 0 && x >= at && x < at+w {
			return col
		}
		if w > 0 {
			at += w + 1
		}
	}
	return -1
}

// CursorAt is where the cursor's row is on the canvas, so that the terminal's
// own cursor can stand there for magnifiers and screen readers.
func (t *Table) CursorAt() (x, y int, ok bool) {
	y = t.body.Y + t.Cursor - t.top
	return t.body.X, y, t.N > 0 && !t.Quiet && t.body.Has(t.body.X, y)
}

// Span says which rows are visible, "1-20 of 214"; empty when all are.
func (t *Table) Span() string {
	if t.N <= t.page || t.page <= 0 {
		return ""
	}
	return strconv.Itoa(t.top+1) + "-" + strconv.Itoa(min(t.top+t.page, t.N)) + " of " + strconv.Itoa(t.N)
}
