package ui

import (
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/themes"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // clocks on golden screens
	os.Exit(m.Run())
}

// driver feeds an app like Bubble Tea does, without a terminal.
type driver struct {
	t *testing.T
	a *app
	f *fake
}

func drive(t *testing.T, s *core.Snapshot, w, h int, opts ...func(*Config, *terminal)) *driver {
	t.Helper()
	f := newFake(s)
	cfg := Config{Source: f, Control: f, Width: w, Height: h, SaveDir: t.TempDir(), Metrics: sampleMetrics}
	term := terminal{}
	midnight, err := themes.Load(themes.DefaultDark)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Theme = &midnight
	for _, o := range opts {
		o(&cfg, &term)
	}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	return &driver{t, newApp(t.Context(), cfg, term), f}
}

func inASCII(_ *Config, t *terminal) { t.ascii = true }

func withTheme(name string) func(*Config, *terminal) {
	return func(c *Config, _ *terminal) {
		th, err := themes.Load(name)
		if err != nil {
			panic(err)
		}
		c.Theme = &th
	}
}

// keys presses keys, named as the key table names them, and returns the last command.
func (d *driver) keys(names ...string) (cmd tea.Cmd) {
	for _, n := range names {
		_, cmd = d.a.Update(press(n))
	}
	return cmd
}

func (d *driver) typed(text string) {
	for _, r := range text {
		d.keys(map[bool]string{true: "space", false: string(r)}[r == ' '])
	}
}

// publish makes a snapshot the newest and lets the app look.
func (d *driver) publish(s *core.Snapshot) {
	d.f.publish(s)
	d.a.Update(lookMsg{})
}

// screen is what is shown, as text; every frame must have the size of the screen.
func (d *driver) screen() string {
	d.a.View()
	text := d.a.cv.Text()
	if lines := strings.Count(text, "\n"); lines != d.a.h {
		d.t.Fatalf("the frame has %d lines on a screen of %d", lines, d.a.h)
	}
	return text
}

func (d *driver) sees(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			d.t.Fatalf("the screen does not show %q:\n%s", p, s)
		}
	}
}

func (d *driver) hides(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if strings.Contains(s, p) {
			d.t.Fatalf("the screen shows %q:\n%s", p, s)
		}
	}
}

func press(name string) tea.KeyPressMsg {
	var k tea.KeyPressMsg
	rest := name
	for _, m := range []struct {
		prefix string
		mod    tea.KeyMod
	}{{"ctrl+", tea.ModCtrl}, {"shift+", tea.ModShift}} {
		if r, ok := strings.CutPrefix(rest, m.prefix); ok {
			rest, k.Mod = r, k.Mod|m.mod
		}
	}
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "home": tea.KeyHome, "end": tea.KeyEnd,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "delete": tea.KeyDelete, "f1": tea.KeyF1}
	switch code, ok := special[rest]; {
	case ok:
		k.Code = code
	case rest == "space":
		k.Code, k.Text = ' ', " "
	default:
		k.Code = []rune(rest)[0]
		if k.Mod == 0 {
			k.Text = rest
		}
	}
	return k
}
