package themes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func mustLoad(t *testing.T, name string, dirs ...string) Theme {
	t.Helper()
	th, err := Load(name, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBuiltinsAreListedAndComplete(t *testing.T) {
	files, err := builtin.ReadDir("builtin")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(builtinOrder) {
		t.Errorf("%d files, %d listed", len(files), len(builtinOrder))
	}
	for _, e := range List() {
		if e.Err != nil {
			t.Errorf("%s: %v", e.Name, e.Err)
		}
		if e.From != BuiltIn || e.Description == "" || e.Variant == "" {
			t.Errorf("%s: from %q, variant %q, description %q", e.Name, e.From, e.Variant, e.Description)
		}
		for tok := range Token(NumTokens) {
			s := e.Style(tok)
			switch {
			case e.Name == NoColor && s.Color.Kind != None:
				t.Errorf("mono: %s has a colour: %s", tok, s)
			case e.Name == "terminal" && s.Color.Kind == RGB:
				t.Errorf("terminal: %s is not one of the user's colours: %s", tok, s)
			case e.Variant != Any && s.Color.Kind != RGB:
				t.Errorf("%s: %s has no RGB colour: %s", e.Name, tok, s)
			}
		}
	}
}

// What must be read is readable, on every background that it can stand on.
func TestContrast(t *testing.T) {
	text := []Token{FG, Muted, Faint, Accent, HeaderFG, OK, Warn, Crit, Info, Off, Match, Key}
	for _, e := range List() {
		if e.Variant == Any {
			continue
		}
		onBG, onSurface, onSel, graph := 4.5, 4.5, 4.5, 4.5
		if strings.HasPrefix(e.Name, "contrast-") {
			onBG, onSurface, graph = 7, 6.5, 7
		}
		check := func(fg, bg Token, least float64) {
			if got := contrast(e.Style(fg).Color, e.Style(bg).Color); got < least {
				t.Errorf("%s: %s on %s has contrast %.2f, less than %.1f", e.Name, fg, bg, got, least)
			}
		}
		for _, tok := range text {
			check(tok, BG, onBG)
			check(tok, Surface, onSurface)
		}
		for _, tok := range []Token{FG, Muted, OK, Warn, Crit, Info, Off, Accent, Match} {
			check(tok, SelBG, onSel)
		}
		check(SelFG, SelBG, 7)
		for _, tok := range []Token{Graph1, Graph2, Graph3, Graph4} {
			check(tok, BG, graph)
		}
		check(Border, BG, 1.5)
		check(BorderFocus, BG, 3)
		check(Heat1, BG, 1.9)
		if dark := linearOf(e.Style(BG).Color).luminance() < 0.2; dark != (e.Variant == Dark) {
			t.Errorf("%s: variant %s does not fit its background", e.Name, e.Variant)
		}
	}
}

// Healthy, doubtful and broken are told apart with every common kind of sight,
// and so are the series of a chart.
func TestColoursAreToldApart(t *testing.T) {
	for _, e := range List() {
		if e.Variant == Any {
			continue
		}
		for name, vision := range visions {
			for _, set := range []struct {
				tokens []Token
				least  float64
			}{{[]Token{OK, Warn, Crit}, 20}, {[]Token{Graph1, Graph2, Graph3, Graph4}, 12}} {
				for i, a := range set.tokens {
					for _, b := range set.tokens[i+1:] {
						if got := deltaE(e.Style(a).Color, e.Style(b).Color, vision); got < set.least {
							t.Errorf("%s: %s and %s differ by %.0f for %s vision, less than %.0f", e.Name, a, b, got, name, set.least)
						}
					}
				}
			}
		}
	}
}

// A heat ramp moves steadily away from the background.
func TestHeatIsMonotone(t *testing.T) {
	for _, e := range List() {
		if e.Variant == Any {
			continue
		}
		last := 1.0
		for tok := Heat0; tok <= Heat3; tok++ {
			got := contrast(e.Style(tok).Color, e.Style(BG).Color)
			if got < last*1.1 {
				t.Errorf("%s: %s has contrast %.2f after %.2f", e.Name, tok, got, last)
			}
			last = got
		}
		first, final := linearOf(e.Style(Heat0).Color).luminance(), linearOf(e.Style(Heat3).Color).luminance()
		if (first < final) != (e.Variant == Dark) {
			t.Errorf("%s: the ramp runs the wrong way", e.Name)
		}
	}
}

func TestUserThemes(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "mine.yaml", "inherits: daylight\ndescription: mine\nok: \"#0a0\"\ncrit: bright-red bold underline\n")
	write(t, dir, "midnight.yaml", "inherits: midnight\nbg: none\n")
	write(t, other, "mine.yaml", "inherits: contrast-dark\n")
	write(t, other, "grand.yaml", "inherits: mine\n")
	write(t, other, "not a theme.yaml", "")

	mine := mustLoad(t, "mine", dir, other)
	if mine.Variant != Light || mine.Description != "mine" || mine.From != filepath.Join(dir, "mine.yaml") {
		t.Errorf("%+v", mine)
	}
	if got := mine.Style(OK); got != (Style{Color: Color{Kind: RGB, G: 0xaa}}) {
		t.Errorf("ok is %v", got)
	}
	if got := mine.Style(Crit); got != (Style{Color: Color{Kind: Indexed, Index: 9}, Attr: Bold | Underline}) {
		t.Errorf("crit is %v", got)
	}
	base := mustLoad(t, DefaultLight)
	if mine.Style(Warn) != base.Style(Warn) {
		t.Error("what is not set is not inherited")
	}
	if grand := mustLoad(t, "grand", dir, other); grand.Styles != mine.Styles {
		t.Error("inherited name was not found in the first directory")
	}
	shadow := mustLoad(t, DefaultDark, dir)
	if shadow.Style(BG).Color.Kind != None || shadow.Style(OK) != mustLoadBuiltin(t).Style(OK) {
		t.Error("a file does not lie over the built-in theme of its name")
	}
	var names []string
	for _, e := range List(dir, other) {
		names = append(names, e.Name)
	}
	if want := append(slices.Clone(builtinOrder[:]), "mine", "grand"); !slices.Equal(names, want) {
		t.Errorf("list is %v, want %v", names, want)
	}
}

func mustLoadBuiltin(t *testing.T) *Theme {
	th := mustLoad(t, DefaultDark)
	return &th
}

func TestErrorsTeach(t *testing.T) {
	for _, c := range []struct {
		text string
		says []string
	}{
		{"inherits: midnight\ncolour: red\n", []string{":2:", `"colour"`, "borderFocus"}},
		{"inherits: midnight\n\nok: \"#12345\"\n", []string{":3:", "ok", "#rrggbb"}},
		{"inherits: midnight\nok: #4fdcc0\n", []string{":2:", "quotes"}},
		{"inherits: midnight\nok: bold red\n", []string{":2:", "first"}},
		{"inherits: midnight\nok: shiny\n", []string{":2:", "shiny", "#rrggbb"}},
		{"inherits: midnight\nok: 256\n", []string{":2:", "256"}},
		{"inherits: midnight\nok: [red]\n", []string{":2:", "ok"}},
		{"inherits: midnight\nok: red\nok: blue\n", []string{":3"}},
		{"variant: dusk\n", []string{":1:", "dusk", "light"}},
		{"variant: dark\nok: red\n", []string{"bg", "heat3", "inherits"}},
		{"inherits: nosuch\n", []string{":1", "nosuch"}},
		{"inherits: broken\n", []string{"unknown theme"}},
		{"- a\n- b\n", []string{"mapping"}},
		{"", []string{"mapping"}},
		{"a: b: c\n  d", []string{"broken.yaml"}},
		{"ok: \x1b[31m\n", []string{"broken.yaml"}},
		{"\xff\xfe", []string{"UTF-8"}},
		{"inherits: midnight\n\"\\e[31m\": red\n", []string{`\x1b`}},
	} {
		dir := t.TempDir()
		write(t, dir, "broken.yaml", c.text)
		_, err := Load("broken", dir)
		if err == nil {
			t.Errorf("%q was accepted", c.text)
			continue
		}
		for _, word := range append(c.says, "broken") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: %q does not mention %q", c.text, err, word)
			}
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: not one clean line: %q", c.text, err)
		}
		if l := List(dir); l[len(l)-1].Err == nil || l[len(l)-1].Name != "broken" {
			t.Errorf("%q: the list hides the broken file", c.text)
		}
	}
	if _, err := Load("nosuch"); err == nil || !strings.Contains(err.Error(), `"nosuch": choose midnight, daylight`) {
		t.Errorf("unknown theme: %v", err)
	}
	if _, err := Load("../../etc/passwd", t.TempDir()); err == nil {
		t.Error("a path was taken for a name")
	}
}

func TestCirclesAndOddFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", "inherits: b\n")
	write(t, dir, "b.yaml", "inherits: a\n")
	if _, err := Load("a", dir); err == nil || !strings.Contains(err.Error(), "a -> b -> a") {
		t.Errorf("circle: %v", err)
	}
	write(t, dir, "self.yaml", "inherits: self\n")
	if _, err := Load("self", dir); err == nil {
		t.Error("a theme that only inherits from itself was accepted")
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load("pipe", dir); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("pipe: %v", err)
	}
	write(t, dir, "huge.yaml", strings.Repeat("# x\n", maxFile))
	if _, err := Load("huge", dir); err == nil || !strings.Contains(err.Error(), "KiB") {
		t.Errorf("huge: %v", err)
	}
}

func TestYAMLReadsBack(t *testing.T) {
	for _, e := range List() {
		dir := t.TempDir()
		write(t, dir, "copy.yaml", e.YAML())
		copied := mustLoad(t, "copy", dir)
		if copied.Styles != e.Styles || copied.Variant != e.Variant || copied.Description != e.Description {
			t.Errorf("%s does not read back", e.Name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("inherits: midnight\nok: \"#4fdcc0\"\n")
	f.Add("variant: dark\nok: [1, {a: b}]\n&a *b: <<\n")
	f.Add("? a\n: - b\n  - |\n    c\n---\n...")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxFile {
			return
		}
		f, err := parse("x.yaml", []byte(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\a") {
				t.Errorf("not one clean line: %q", err)
			}
			return
		}
		if strings.ContainsAny(f.description, "\n\x1b\a") {
			t.Errorf("raw description %q", f.description)
		}
	})
}

func TestWriteListAndTheme(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "mine.yaml", "inherits: midnight\n")
	write(t, dir, "broken.yaml", "ok: \"\\e[31m\"\n")
	var list strings.Builder
	if err := WriteList(&list, []string{dir}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"midnight        dark", "mono", "mine            dark", "broken          broken  " + dir + "/broken.yaml:1: ok: "} {
		if !strings.Contains(list.String(), want) {
			t.Errorf("%q is not in\n%s", want, &list)
		}
	}
	if strings.Contains(list.String(), "\x1b") {
		t.Errorf("control characters: %q", list.String())
	}
	var one strings.Builder
	if err := WriteTheme(&one, "mine", []string{dir}); err != nil || !strings.Contains(one.String(), "heat3: \"#ffe08a\"") {
		t.Errorf("%v\n%s", err, &one)
	}
}

// List is what the picker calls, Load is on the way to the first frame.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(DefaultDark); err != nil {
			b.Fatal(err)
		}
	}
}
