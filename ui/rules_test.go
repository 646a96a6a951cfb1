package ui

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"vitals/themes"
	"vitals/ui/canvas"
)

// The palette takes tokens of themes for tokens of canvas, by their order.
func TestTokensAreTheSame(t *testing.T) {
	if int(canvas.NumTokens) != themes.NumTokens+1 {
		t.Fatalf("canvas has %d tokens, themes %d", canvas.NumTokens-1, themes.NumTokens)
	}
	for theme, cv := range map[themes.Token]canvas.Token{themes.BG: canvas.BG, themes.FG: canvas.FG, themes.SelFG: canvas.SelFG, themes.HeaderFG: canvas.Header,
		themes.OK: canvas.OK, themes.Off: canvas.Off, themes.Key: canvas.Key, themes.Graph1: canvas.Graph1, themes.Heat3: canvas.Heat3} {
		if canvas.Token(theme)+1 != cv {
			t.Errorf("token %v is %d here, %d there", theme, cv, theme)
		}
	}
}

// Colours live in themes: nothing here names one.
func TestNoColourLiterals(t *testing.T) {
	literal := regexp.MustCompile(`"#[0-9a-fA-F]{3,8}"|lipgloss\.(ANSI)?Color|38;[25];[0-9]`)
	each(t, ".go", func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		if m := literal.FindString(text); m != "" {
			t.Errorf("%s names a colour: %s", path, m)
		}
	})
}

func TestFilesAreShort(t *testing.T) {
	each(t, ".go", func(path, text string) {
		if n := strings.Count(text, "\n"); n > 420 && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines: split it by concern", path, n)
		}
		if strings.Contains(strings.ToLower(text), "lo"+"rem") {
			t.Errorf("%s has filler text", path)
		}
	})
}

// A page that is a folder and not in the list is a page that nobody sees.
func TestEveryPageIsListed(t *testing.T) {
	listed := map[string]bool{"process": true, "integration": true, "route": true} // opened from the others
	for _, p := range pages() {
		listed[filepath.Base(reflect.TypeOf(p).Elem().PkgPath())] = true
	}
	dirs, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() && !listed[d.Name()] {
			t.Errorf("page/%s is not in pages.go", d.Name())
		}
	}
}

func each(t *testing.T, ext string, f func(path, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ext {
			return err
		}
		n++
		b, err := os.ReadFile(path)
		f(path, string(b))
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files, %v", n, err)
	}
}
