package ui

import (
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/themes"
)

func TestThemePickerPreviewsAndKeeps(t *testing.T) {
	synctest.Test(t, themePicker)
}

func themePicker(t *testing.T) {
	kept := ""
	d := drive(t, sample(), 120, 36, func(c *Config, _ *terminal) {
		c.SaveTheme = func(name string) error { kept = name; return nil }
	})
	d.keys("T", "down")
	if d.a.theme.Name != themes.DefaultLight {
		t.Errorf("the screen shows %s while the cursor is on daylight", d.a.theme.Name)
	}
	d.keys("esc")
	if d.a.theme.Name != themes.DefaultDark {
		t.Errorf("esc leaves %s", d.a.theme.Name)
	}
	run(d.keys("T", "down", "enter"))
	if d.a.theme.Name != themes.DefaultLight || kept != themes.DefaultLight {
		t.Errorf("shown %s, kept %q", d.a.theme.Name, kept)
	}
}

// run carries out a command and those it batches, but not timers. It is for tests
// in a bubble: there the clock stands still while a command has work to do.
func run(cmd tea.Cmd) (msgs []tea.Msg) {
	if cmd == nil {
		return nil
	}
	got := make(chan tea.Msg, 1)
	go func() { got <- cmd() }()
	select {
	case m := <-got:
		if b, ok := m.(tea.BatchMsg); ok {
			for _, c := range b {
				msgs = append(msgs, run(c)...)
			}
			return msgs
		}
		return []tea.Msg{m}
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// The theme follows the terminal's background and colours until one is chosen.
func TestThemeFollowsTheTerminal(t *testing.T) {
	auto := func(c *Config, _ *terminal) { c.Theme = nil }
	d := drive(t, sample(), 80, 24, auto)
	if d.a.theme.Name != themes.DefaultDark {
		t.Errorf("before the terminal told anything: %s", d.a.theme.Name)
	}
	d.a.Update(tea.BackgroundColorMsg{Color: white{}})
	if d.a.theme.Name != themes.DefaultLight {
		t.Errorf("on white: %s", d.a.theme.Name)
	}
	d.a.Update(tea.ColorProfileMsg{Profile: 4 /* sixteen colours */})
	p, _ := profileOf("16")
	d.a.Update(tea.ColorProfileMsg{Profile: p})
	if d.a.theme.Name != "terminal" {
		t.Errorf("with 16 colours: %s", d.a.theme.Name)
	}
	p, _ = profileOf("none")
	d.a.Update(tea.ColorProfileMsg{Profile: p})
	if d.a.theme.Name != themes.NoColor {
		t.Errorf("without colours: %s", d.a.theme.Name)
	}
	fixed := drive(t, sample(), 80, 24)
	fixed.a.Update(tea.BackgroundColorMsg{Color: white{}})
	if fixed.a.theme.Name != themes.DefaultDark {
		t.Errorf("a chosen theme became %s", fixed.a.theme.Name)
	}
}

type white struct{}

func (white) RGBA() (r, g, b, a uint32) { return 0xffff, 0xffff, 0xffff, 0xffff }
