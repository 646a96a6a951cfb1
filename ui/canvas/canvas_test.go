package canvas

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Whatever is drawn, no order reaches the terminal and every line has the
// width of the canvas.
func FuzzTextIsOnlyText(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31mred\x1b[0m", "\u202eevil", "a\u0301\u0301b", "汉字 wide", "\a\b\r\n\t", "\xff\xfe", "👩‍👩‍👧", "\u200b\u2066x", "\u009b31m", "ﷺ", "\U000e0001"} {
		f.Add(s, 10, false)
		f.Add(s, 3, true)
	}
	f.Fuzz(func(t *testing.T, s string, w int, ascii bool) {
		w = min(max(w, 1), 60)
		c := &Canvas{ASCII: ascii}
		c.Reset(w, 2)
		a := c.All()
		if end := a.Fit(0, 0, w, s, Fg(OK)); end > w {
			t.Fatalf("Fit(%q, %d) ends at %d", s, w, end)
		}
		a.Right(0, 1, w, s, Fg(OK))
		for y := range 2 {
			row := c.Row(y)
			for _, r := range row {
				if r < 0x20 || r >= 0x7f && r < 0xa0 || ascii && r > 0x7e {
					t.Fatalf("%U in row %q of %q", r, row, s)
				}
			}
			if got := ansi.StringWidth(row); got > w {
				t.Fatalf("row %q of %q has %d columns, want at most %d", row, s, got, w)
			}
		}
		out := c.Encode(&Palette{})
		if plain := ansi.Strip(out); strings.ContainsRune(plain, 0x1b) || !utf8.ValidString(plain) {
			t.Fatalf("%q encodes to %q", s, out)
		}
		for y, line := range strings.Split(ansi.Strip(out), "\n") {
			if n := ansi.StringWidth(line); n != w {
				t.Fatalf("line %d of %q has %d columns, want %d: %q", y, s, n, w, line)
			}
		}
	})
}

func TestAreasAreClipped(t *testing.T) {
	c := &Canvas{}
	c.Reset(10, 4)
	in := c.All().Sub(2, 1, 4, 2)
	in.Text(0, 0, "overflowing", Style{})
	in.Text(-2, 1, "abcdef", Style{})
	in.Text(0, 5, "below", Style{})
	in.Text(0, -1, "above", Style{})
	in.Set(9, 0, 'x', Style{})
	in.Sub(3, 1, 99, 99).Fill('#', Style{})
	want := "\n  over\n  cde#\n\n"
	if got := c.Text(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if a := c.All().Sub(50, 50, 5, 5); a.W != 0 || a.H != 0 {
		t.Errorf("an area outside has size %dx%d", a.W, a.H)
	}
}

func TestFit(t *testing.T) {
	for _, x := range []struct {
		s    string
		w    int
		want string
	}{{"short", 8, "short"}, {"exactly8", 8, "exactly8"}, {"a bit longer", 8, "a bit l…"}, {"汉字汉字", 8, "汉字汉字"}, {"汉字汉字汉", 8, "汉字汉 …"}, {"x", 0, ""}} {
		c := &Canvas{}
		c.Reset(12, 1)
		c.All().Fit(0, 0, x.w, x.s, Style{})
		if got := c.Row(0); got != x.want {
			t.Errorf("Fit(%q, %d) shows %q, want %q", x.s, x.w, got, x.want)
		}
	}
}

func TestEncodeStyles(t *testing.T) {
	p := &Palette{}
	p.Fg[OK], p.Bg[BG], p.FgA[Crit] = "32", "40", Reverse
	c := &Canvas{}
	c.Reset(4, 1)
	a := c.All()
	a.Text(0, 0, "ab", Strong(OK))
	a.Text(2, 0, "c", Fg(Crit))
	want := "\x1b[0;1;32;40mab\x1b[0;7;40mc\x1b[0;40m \x1b[m"
	if got := c.Encode(p); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSelectionIsReadable(t *testing.T) {
	c := &Canvas{}
	c.Reset(3, 1)
	a := c.All().On(Style{FG: SelFG, BG: SelBG})
	a.Text(0, 0, "x", Fg(Faint))
	if st := c.cells[0].style; st.FG != SelFG || st.BG != SelBG {
		t.Errorf("style on the selection is %+v", st)
	}
}

func BenchmarkEncode(b *testing.B) {
	c := &Canvas{}
	c.Reset(160, 48)
	p := &Palette{}
	for i := range p.Fg {
		p.Fg[i], p.Bg[i] = "38;2;100;100;100", "48;2;1;2;3"
	}
	for y := range 48 {
		for x := 0; x < 160; x += 8 {
			c.All().Text(x, y, "abc ▁▂▃", Fg(Token(1+(x+y)%20)))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Encode(p)
	}
}
