package ui

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/page"
)

func quits(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	switch m := cmd().(type) {
	case tea.QuitMsg:
		return true
	case tea.BatchMsg:
		for _, c := range m {
			if quits(c) {
				return true
			}
		}
	}
	return false
}

func TestQuitting(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want bool
	}{
		{[]string{"q"}, true},
		{[]string{"ctrl+c"}, true},
		{[]string{"2", "q"}, true},
		{[]string{"2", "enter", "q"}, false},
		{[]string{"2", "enter", "q", "q"}, true},
		{[]string{"esc"}, false},
		{[]string{"2", "enter", "esc", "esc", "esc"}, false},
		{[]string{"?", "q"}, false},
		{[]string{"/", "q"}, false},
		{[]string{":", "ctrl+c"}, false},
		{[]string{":", "ctrl+c", "ctrl+c"}, true},
		{[]string{":", "q", "enter"}, true},
		{[]string{"T", "esc"}, false},
		{[]string{"7", "K", "ctrl+c"}, false},
	} {
		d := drive(t, sample(), 120, 36)
		if got := quits(d.keys(c.keys...)); got != c.want {
			t.Errorf("%v quits: %v, want %v", c.keys, got, c.want)
		}
	}
}

// Space switches all kinds of the process under the cursor, u takes it back.
func TestCursorStaysOnItsProcess(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "down", "down")
	d.sees("web-frontend / 2100")
	s := sampleSeq(2)
	for _, p := range s.Processes {
		p.Server.Rate = float64(p.PID)
	}
	d.publish(s)
	d.sees("web-frontend / 2100")
}

func TestFilterNarrowsAndEscWidens(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "/")
	d.typed("lang:go")
	d.sees("1 of 13", "checkout-api")
	d.hides("catalog")
	d.keys("enter")
	d.keys("/", "ctrl+u")
	d.typed("port:80")
	d.sees("3 of 13")
	d.keys("enter", "esc")
	d.sees("catalog")
	d.keys("/")
	d.typed("planet:mars")
	d.sees("no key planet", "the filter asks for planet")
}

func TestPauseAndRewind(t *testing.T) {
	d := drive(t, sampleSeq(1), 120, 36)
	for seq := uint64(2); seq <= 130; seq++ {
		d.publish(sampleSeq(seq))
	}
	d.keys("p")
	d.sees("paused at 12:06:40")
	d.keys("left", "left")
	d.sees("paused at 12:06:38, 2s ago")
	d.keys("ctrl+left")
	d.sees("paused at 12:05:38")
	d.publish(sampleSeq(131))
	d.sees("paused at 12:05:38, 1m3s ago")
	d.keys("right")
	d.sees("paused at 12:05:39")
	d.keys("0")
	d.sees("paused at 12:06:41, 0s ago")
	d.keys("p")
	d.sees("live 1s", "live again")
}

// The past is bounded in number and in memory, whatever changes.
func TestHistoryIsBounded(t *testing.T) {
	var h history
	base := sample()
	for seq := range 2000 {
		s := *base
		s.At = sampleAt.Add(time.Duration(seq) * time.Second)
		h.add(&s)
	}
	if len(h.looks) > maxLooks {
		t.Errorf("%d looks, at most %d", len(h.looks), maxLooks)
	}
	h = history{}
	for i := range uint64(60) {
		s := many(5000)
		s.Seq, s.At = i, sampleAt.Add(time.Duration(i)*time.Second)
		h.add(s)
	}
	if h.bytes > maxPast+3<<20 || len(h.looks) > 20 {
		t.Errorf("%d looks of %d bytes are kept although every row changes", len(h.looks), h.bytes)
	}
	before := len(h.looks)
	s := many(100)
	for i := range uint64(50) { // rows that stay cost next to nothing
		c := *s
		c.At = sampleAt.Add(time.Duration(100+i) * time.Second)
		h.add(&c)
	}
	if len(h.looks) < 50 {
		t.Errorf("%d looks after 50 without change, %d before", len(h.looks), before)
	}
	var close history
	for i := range 100 { // looks that follow closely replace each other
		s := sample()
		s.At = sampleAt.Add(time.Duration(i) * 50 * time.Millisecond)
		close.add(s)
	}
	if n := len(close.looks); n > 7 {
		t.Errorf("%d looks within five seconds", n)
	}
}

// A message that changes nothing draws nothing.
func TestFramesAreKept(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.screen()
	n := d.a.draws
	for range 50 {
		d.a.Update(lookMsg{})
		d.a.View()
	}
	if d.a.draws != n {
		t.Errorf("%d frames were drawn although nothing changed", d.a.draws-n)
	}
	d.publish(sampleSeq(2))
	d.a.View()
	d.a.View()
	if d.a.draws != n+1 {
		t.Errorf("%d frames for one snapshot", d.a.draws-n)
	}
}

func TestSavedScreenIsANewFile(t *testing.T) {
	synctest.Test(t, savedScreen)
}

func savedScreen(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	msgs := run(d.keys("ctrl+s"))
	files, _ := filepath.Glob(filepath.Join(d.a.cfg.SaveDir, "vitals-*.txt"))
	if len(files) != 1 {
		t.Fatalf("files %v, messages %v", files, msgs)
	}
	text, _ := os.ReadFile(files[0])
	if !strings.Contains(string(text), "checkout-api") {
		t.Errorf("saved: %s", text)
	}
	d.a.Update(run(d.keys("ctrl+s"))[0])
	d.sees("there already")
}

func TestCopyAndMouse(t *testing.T) {
	synctest.Test(t, copyAndMouse)
}

func copyAndMouse(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	cmd := d.keys("2", "y")
	if cmd == nil || len(run(cmd)) == 0 {
		t.Error("y gives no command")
	}
	d.sees("copied the command line")
	d.keys("M")
	if d.a.View().MouseMode != tea.MouseModeNone {
		t.Error("M keeps the mouse")
	}
	d.a.View()
	d.a.Update(tea.MouseClickMsg{X: 30, Y: 6, Button: tea.MouseLeft})
	d.sees("web-frontend / 2100")
	d.a.Update(tea.MouseClickMsg{X: d.a.tabs[5].X + 2, Y: 1, Button: tea.MouseLeft})
	d.sees("[6 Events]")
	d.a.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	d.sees("Event 4")
}

func TestPaletteCommands(t *testing.T) {
	for _, c := range []struct {
		line string
		sees string
	}{
		{"pid 2871", "checkout-api/2871"},
		{"pid 999999", "there is no process 999999"},
		{"proc redis", "1 of 13"},
		{"theme daylight", "theme daylight"},
		{"theme nosuch", "no theme nosuch"},
		{"refresh 2s", "live 2s"},
		{"refresh x", "refresh x: give a time"},
		{"events", "[6 Events]"},
		{"off lang:go", "1 processes off"},
		{"on lang:cobol", "no process matches"},
		{"push now", "pushing now"},
		{"nonsense!", "no command nonsense!"},
	} {
		d := drive(t, sample(), 120, 36)
		d.keys(":")
		d.typed(c.line)
		d.keys("enter")
		if !strings.Contains(d.screen(), c.sees) {
			t.Errorf(":%s does not show %q:\n%s", c.line, c.sees, d.screen())
		}
	}
}

func TestWarningsAreShownAndStateIsKept(t *testing.T) {
	var kept State
	d := drive(t, sample(), 120, 36, func(c *Config, _ *terminal) {
		c.Warnings = []string{"config.yaml:3: unknown key colour", "second warning"}
		c.State = State{Page: "Processes", View: "tree", Sort: "CPU%", Save: func(s State) error { kept = s; return nil }}
	})
	d.sees("unknown key colour", "as a tree", "CPU%▼")
	d.a.expire()
	d.a.Update(expireMsg{d.a.toast.n})
	d.sees("second warning")
	d.keys("t", "1")
	if err := d.a.saveState(); err != nil || kept.Page != "Overview" || kept.View != "process" || kept.Sort != "CPU%" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	d.a.cfg.State.Save = func(State) error { return errors.New("disk full") }
	if err := d.a.saveState(); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a state that cannot be kept says %v", err)
	}
}

// However slow the refresh, the first looks come at once, and so does the
// effect of a wish; storms of changes are spread.
func TestPaceOfLooks(t *testing.T) {
	d := drive(t, sample(), 120, 36, func(c *Config, _ *terminal) { c.Refresh = 10 * time.Second })
	now := d.a.began.Add(time.Second)
	if got := d.a.spacing(now); got != 100*time.Millisecond {
		t.Errorf("a second after the start: %v", got)
	}
	now = now.Add(10 * time.Second)
	if got := d.a.spacing(now); got != 10*time.Second {
		t.Errorf("later: %v", got)
	}
	d.keys("2", "space")
	if got := d.a.spacing(now.Add(10 * time.Second)); got != 100*time.Millisecond {
		t.Errorf("with a wish on its way: %v", got)
	}
	quick := drive(t, sample(), 120, 36)
	var got time.Duration
	for i := range 10 {
		got = quick.a.spacing(quick.a.began.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	if got < 300*time.Millisecond {
		t.Errorf("in a storm: %v", got)
	}
}

func TestFocusPID(t *testing.T) {
	d := drive(t, &core.Snapshot{Seq: 1}, 120, 36, func(c *Config, _ *terminal) { c.FocusPID = 2871 })
	d.publish(sampleSeq(2))
	d.sees("checkout-api/2871", "[Summary]")
	d.keys("esc")
	d.publish(sampleSeq(3))
	d.hides("[Summary]")
}

func TestLossIsProminent(t *testing.T) {
	s := sample()
	s.Self.LostTotal, s.Self.Lost = 1234, map[string]uint64{"ring/full": 1234}
	d := drive(t, s, 80, 24)
	d.sees("lost 1.23k")
	s = calm()
	d = drive(t, s, 80, 24)
	d.sees("sudo vitals adds them", "RATE 0")
	none := *s
	none.Totals.Instrumented, none.Seq = 0, 2
	d.publish(&none)
	d.sees("RATE –", "No process is instrumented")
}

func TestEndedProcessIsStillThere(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "down", "down", "down", "down", "enter")
	s := sampleSeq(2)
	s.Processes = slices.DeleteFunc(s.Processes, func(p *core.ProcessRow) bool { return p.PID == 2871 })
	d.publish(s)
	d.sees("gone", "/srv/checkout")
	d.keys("space", "esc")
	if page.Process(s, core.ProcKey{PID: 2871, Birth: 287100}) != nil {
		t.Error("the process is found in a snapshot that has it not")
	}
}
