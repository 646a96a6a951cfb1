package widget

import (
	"math"
	"strings"
	"testing"

	"vitals/ui/canvas"
)

func draw(w, h int, ascii bool, f func(canvas.Area)) string {
	c := &canvas.Canvas{ASCII: ascii}
	c.Reset(w, h)
	f(c.All())
	return c.Text()
}

func TestColumnsLeaveInOrder(t *testing.T) {
	table := Table{Sort: -1, N: 1, Columns: []Column{{Title: "NAME", W: 10, Min: 6}, {Title: "RATE", W: 6, Right: true}, {Title: "LANG", W: 8, Leave: 2}, {Title: "RSS", W: 5, Right: true, Leave: 1}}}
	for _, c := range []struct {
		w    int
		want string
	}{{40, "NAME RATE LANG RSS"}, {30, "NAME RATE LANG RSS"}, {28, "NAME RATE LANG"}, {20, "NAME RATE"}, {8, "NAME"}} {
		head, _, _ := strings.Cut(draw(c.w, 2, false, func(a canvas.Area) { table.Draw(a, func(int, int, canvas.Area) {}) }), "\n")
		if got := strings.Join(strings.Fields(head), " "); got != c.want {
			t.Errorf("at %d columns: %q, want %q", c.w, got, c.want)
		}
	}
}

// Whatever number of rows there is, only those on the screen are asked for.
func TestOnlyVisibleRowsAreDrawn(t *testing.T) {
	table := Table{Sort: -1, N: 1_000_000, Columns: []Column{{Title: "N", W: 8}}}
	table.Cursor = 500_000
	seen := map[int]bool{}
	draw(20, 11, false, func(a canvas.Area) { table.Draw(a, func(row, _ int, _ canvas.Area) { seen[row] = true }) })
	if len(seen) != 10 || !seen[500_000] {
		t.Errorf("%d rows drawn, with the cursor's: %v", len(seen), seen[500_000])
	}
	if s := table.Span(); s != "499992-500001 of 1000000" && s != "500000-500009 of 1000000" {
		t.Error(s)
	}
	table.Move(-1 << 40)
	if table.Cursor != 0 {
		t.Errorf("cursor at %d", table.Cursor)
	}
	table.N = 0
	draw(20, 11, false, func(a canvas.Area) { table.Draw(a, func(int, int, canvas.Area) { t.Error("a row of none") }) })
}

func TestHits(t *testing.T) {
	table := Table{Sort: 0, N: 3, Columns: []Column{{Title: "A", W: 4}, {Title: "B", W: 4, Right: true}}}
	draw(20, 6, false, func(a canvas.Area) { table.Draw(a.Sub(3, 1, 17, 5), func(int, int, canvas.Area) {}) })
	if got := table.RowAt(6, 3); got != 1 {
		t.Errorf("row %d, want 1", got)
	}
	if got := table.RowAt(6, 5); got != -1 {
		t.Errorf("row %d below the last", got)
	}
	if got := table.ColumnAt(3+gutter+5, 1); got != 1 {
		t.Errorf("column %d, want 1", got)
	}
	if got := table.ColumnAt(0, 0); got != -1 {
		t.Errorf("column %d outside", got)
	}
}

func TestSpark(t *testing.T) {
	nan := float32(math.NaN())
	points := []float32{nan, 0, 1, 4, 8}
	for ascii, want := range map[bool]string{false: " ▁▁▄█\n", true: " __=#\n"} {
		if got := draw(5, 1, ascii, func(a canvas.Area) { Spark(a, 0, 0, 5, points, 8, canvas.Style{}) }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	draw(5, 1, false, func(a canvas.Area) { Spark(a, 0, 0, 5, nil, 0, canvas.Style{}) })
}

// A peak is never lost when points are more than columns.
func TestBucketsKeepThePeak(t *testing.T) {
	points := make([]float32, 300)
	points[123] = 9
	found := false
	for i := range 26 {
		found = found || bucket(points, i, 26) == 9
	}
	if !found {
		t.Error("the peak is in no column")
	}
}

func TestDots(t *testing.T) {
	got := draw(2, 2, false, func(a canvas.Area) { Dots(a, []float32{8, 4, 1, 8}, 8, canvas.Style{}) })
	if want := "⡇⢸\n⣿⣸\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHeatShowsTheFewAmongTheMany(t *testing.T) {
	got := draw(3, 2, false, func(a canvas.Area) {
		Heat(a, 3, 2, func(col, row int) uint32 { return [][]uint32{{100000, 0}, {60000, 1}, {0, 9000}}[col][row] })
	})
	if want := " ░▒\n██\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInput(t *testing.T) {
	in := NewInput("lang:go")
	for _, k := range []string{"ctrl+w", "home"} {
		if !in.Key(k) {
			t.Errorf("%q is no editing key", k)
		}
	}
	in.Insert("err>0 \x1b[31m")
	if got := in.String(); got != "err>0 [31m" {
		t.Errorf("%q", got)
	}
	in.Key("end")
	in.Key("backspace")
	in.Key("left")
	in.Insert("X")
	if got := in.String(); got != "err>0 [3X1" {
		t.Errorf("%q", got)
	}
	in.Key("ctrl+u")
	in.Key("ctrl+k")
	in.Insert(strings.Repeat("y", 1000))
	if n := len(in.String()); n != MaxInput {
		t.Errorf("%d characters were taken", n)
	}
	if in.Key("x") {
		t.Error("x is an editing key")
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("the quick brown fox jumps over averyverylongword end", 12)
	want := "the quick|brown fox|jumps over|averyverylongword|end"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
}

func TestPanelsInAnySpace(t *testing.T) {
	for w := range 30 {
		for h := range 5 {
			draw(w, h, false, func(a canvas.Area) { Panel(a, true, "Title", "remark", true) })
			draw(w, h, false, func(a canvas.Area) { Dialog(a, 20, 3, "Title") })
		}
	}
}
