package ui

import (
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"vitals/themes"
	"vitals/ui/canvas"
)

// On sixteen colours what is nearly black is black, not navy, and what a theme
// tells apart by hue stays apart.
func TestSixteenColours(t *testing.T) {
	for c, want := range map[themes.Color]uint8{
		{Kind: themes.RGB, R: 0x1d, G: 0x24, B: 0x30}: 0,
		{Kind: themes.RGB, R: 0x50, G: 0x5a, B: 0x6b}: 8,
		{Kind: themes.RGB, R: 0xc4, G: 0xc8, B: 0xcd}: 7,
		{Kind: themes.RGB, R: 0xfb, G: 0xfb, B: 0xf8}: 15,
		{Kind: themes.RGB, R: 0x8c, G: 0x0f, B: 0x2b}: 1,
		{Kind: themes.RGB, R: 0xff, G: 0x40, B: 0x40}: 9,
		{Kind: themes.RGB, R: 0x8a, G: 0x5a}:          3,
		{Kind: themes.RGB, R: 0x0d, G: 0x6b, B: 0x70}: 6,
		{Kind: themes.RGB, R: 0x0b, G: 0x5c, B: 0xad}: 4,
		{Kind: themes.RGB, R: 0xa6, G: 0x0c, B: 0xf2}: 13,
		{Kind: themes.Indexed, Index: 4}:              4,
	} {
		if got := sixteen(c); got.Kind != themes.Indexed || got.Index != want {
			t.Errorf("#%02x%02x%02x is %d, want %d", c.R, c.G, c.B, got.Index, want)
		}
	}
	for _, name := range []string{themes.DefaultLight, themes.DefaultDark} {
		th, err := themes.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		p := palette(&th, colorprofile.ANSI)
		if p.Fg[canvas.FG] == p.Bg[canvas.BG] || p.Fg[canvas.OK] == p.Fg[canvas.Crit] || p.Fg[canvas.Warn] == p.Fg[canvas.Crit] || p.Fg[canvas.SelFG] == p.Bg[canvas.SelBG] {
			t.Errorf("%s: things look the same that are not: %+v", name, p)
		}
	}
}

// The terminal tells late how many colours it has: what was chosen is drawn anew.
func TestColoursFollowTheTerminal(t *testing.T) {
	d := drive(t, sample(), 80, 24, withTheme(themes.DefaultLight))
	d.screen()
	before := d.a.frame
	d.a.Update(tea.ColorProfileMsg{Profile: colorprofile.ANSI})
	d.screen()
	if d.a.frame == before {
		t.Error("the frame still has the colours of a better terminal")
	}
}
