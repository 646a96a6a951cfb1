package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows lists what may be imported by whom; everything of ours or of the four
// guarded libraries that no rule allows is a wrong arrow. See ARCHITECTURE.md.
var arrows = []struct {
	folder string   // the importing folder, longest match wins
	ours   []string // folders of ours that it and those below may import, besides its own subtree
}{
	{"", []string{"core", "probes", "push", "ui", "themes"}}, // main wires
	{"core", []string{"core"}},
	{"core/wire", nil},
	{"core/metric", []string{"core"}},
	{"probes", []string{"core", "probes"}},
	{"push", []string{"core"}},
	{"ui", []string{"core", "themes"}},
	{"themes", nil},
}

// guarded libraries and the folders that may use them.
var guarded = map[string][]string{
	"github.com/cilium/ebpf":              {"probes"},
	"charm.land/":                         {"ui"},
	"github.com/prometheus/client_golang": {"push", "core/expose", "core/serve", "core/integrations"},
	"github.com/prometheus/client_model":  {"push", "core/expose", "core/serve", "core/integrations"},
}

func TestImportsPointAtCore(t *testing.T) {
	checked := 0
	walkGo(t, func(path string, imports []string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		if folder == "." {
			folder = ""
		}
		checked++
		for _, imp := range imports {
			if wrong := wrongArrow(folder, imp); wrong != "" {
				t.Errorf("%s imports %s: %s", path, imp, wrong)
			}
		}
	})
	if checked < 10 {
		t.Fatalf("only %d files found: the walk is broken", checked)
	}
}

func TestCoreDictionaryImportsNoneOfOurs(t *testing.T) {
	walkGo(t, func(path string, imports []string) {
		if filepath.Dir(path) != "core" || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, imp := range imports {
			if strings.HasPrefix(imp, "vitals/") || strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("%s imports %s: the dictionary uses the standard library only", path, imp)
			}
		}
	})
}

// A wrong arrow must be seen: the test above is only worth what this one proves.
func TestWrongArrowsAreSeen(t *testing.T) {
	for _, c := range []struct {
		folder, imp string
		wrong       bool
	}{
		{"core/engine", "vitals/ui", true},
		{"core/engine", "vitals/core/metric", false},
		{"core/wire/http1", "vitals/core", true},
		{"ui/widget", "vitals/probes", true},
		{"ui/widget", "vitals/ui/canvas", false},
		{"ui", "vitals/core/engine", true},
		{"ui", "vitals/core", false},
		{"push", "vitals/ui", true},
		{"push", "vitals/core/expose", false},
		{"core/discover", "github.com/cilium/ebpf", true},
		{"probes/kern", "github.com/cilium/ebpf/link", false},
		{"", "vitals/ui", false},
		{"", "charm.land/bubbletea/v2", true},
	} {
		if got := wrongArrow(c.folder, c.imp) != ""; got != c.wrong {
			t.Errorf("wrongArrow(%q, %q) = %v, want %v", c.folder, c.imp, got, c.wrong)
		}
	}
}

func wrongArrow(folder, imp string) string {
	for lib, users := range guarded {
		if strings.HasPrefix(imp, lib) && !under(folder, users) {
			return "only " + strings.Join(users, ", ") + " may use it"
		}
	}
	target, ours := strings.CutPrefix(imp, "vitals/")
	if !ours {
		return ""
	}
	best := -1
	for i, a := range arrows {
		if under(folder, []string{a.folder}) && (best < 0 || len(a.folder) > len(arrows[best].folder)) {
			best = i
		}
	}
	rule := arrows[best]
	if rule.folder != "" && under(target, []string{rule.folder}) {
		return ""
	}
	// The interface sees the dictionary only: snapshots in, intents out.
	if rule.folder == "ui" && target != "core" && under(target, []string{"core"}) {
		return "ui imports core and themes only"
	}
	if under(target, rule.ours) {
		return ""
	}
	return "not an arrow of ARCHITECTURE.md"
}

func under(folder string, roots []string) bool {
	for _, r := range roots {
		if r == "" || folder == r || strings.HasPrefix(folder, r+"/") {
			return true
		}
	}
	return false
}

func walkGo(t *testing.T, visit func(path string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range f.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			imports = append(imports, p)
		}
		visit(path, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
