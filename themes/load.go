package themes

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

//go:embed builtin/*.yaml
var builtin embed.FS

const (
	suffix    = ".yaml"
	maxFile   = 32 << 10 // bytes of one theme file
	maxThemes = 500      // files of one directory that are looked at
	maxName   = 64
)

// Load returns the theme of that name: from the first of dirs that has a file
// NAME.yaml, else the built-in one. Errors name the file, the line and the key.
func Load(name string, dirs ...string) (Theme, error) {
	l := loader{dirs: dirs}
	t, err := l.load(name, 0, nil)
	var missing *notFound
	if errors.As(err, &missing) && missing.by == "" {
		return Theme{}, fmt.Errorf("unknown theme %s: choose %s", quote(name), strings.Join(l.names(), ", "))
	}
	return t, err
}

// Entry is one theme that can be chosen, or a file that cannot be used.
type Entry struct {
	Theme
	Err error // why the file cannot be used; Name and From are set
}

// List returns all themes: built-in ones first, in the order of the
// documentation, then those of dirs by name. A file that shadows a built-in
// theme takes its place.
func List(dirs ...string) []Entry {
	l := loader{dirs: dirs}
	var out []Entry
	for _, name := range l.names() {
		t, err := l.load(name, 0, nil)
		if err != nil {
			t = Theme{Name: name, From: l.from(name)}
		}
		out = append(out, Entry{Theme: t, Err: err})
	}
	return out
}

// builtinOrder is the order of presentation; a test compares it with the files.
var builtinOrder = [...]string{DefaultDark, DefaultLight, "contrast-dark", "contrast-light", "terminal", NoColor}

// loader finds theme files in layers: the directories in order, the built-in
// ones last. A theme may inherit from its own name: the next layer's.
type loader struct{ dirs []string }

type notFound struct{ name, by string }

func (e *notFound) Error() string {
	return fmt.Sprintf("%s: inherits unknown theme %s: see vitals themes list", e.by, quote(e.name))
}

type visit struct {
	name  string
	layer int
}

func (l *loader) load(name string, layer int, seen []visit) (Theme, error) {
	text, from, layer, err := l.find(name, layer)
	if err != nil {
		return Theme{}, err
	}
	here := visit{name, layer}
	if slices.Contains(seen, here) || len(seen) > 16 {
		return Theme{}, fmt.Errorf("%s: themes inherit from each other in a circle: %s", from, chain(append(seen, here)))
	}
	f, err := parse(from, text)
	if err != nil {
		return Theme{}, err
	}
	var t Theme
	if f.inherits != "" {
		start := 0
		if f.inherits == name {
			start = layer + 1
		}
		t, err = l.load(f.inherits, start, append(seen, here))
		var missing *notFound
		if errors.As(err, &missing) && missing.by == "" {
			err = &notFound{name: f.inherits, by: fmt.Sprintf("%s:%d", from, f.inheritsLine)}
		}
		if err != nil {
			return Theme{}, err
		}
	}
	return f.over(t, name, from)
}

// find returns the text of a theme file in the first layer from the given one on.
func (l *loader) find(name string, layer int) (text []byte, from string, at int, err error) {
	if !validName(name) {
		return nil, "", 0, &notFound{name: name}
	}
	for ; layer < len(l.dirs); layer++ {
		from = filepath.Join(l.dirs[layer], name+suffix)
		text, err = readFile(from)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return text, from, layer, err
		}
	}
	if layer > len(l.dirs) {
		return nil, "", 0, &notFound{name: name}
	}
	text, err = builtin.ReadFile(path.Join("builtin", name+suffix))
	if err != nil {
		return nil, "", 0, &notFound{name: name}
	}
	return text, BuiltIn, layer, nil
}

func (l *loader) from(name string) string {
	if _, from, _, err := l.find(name, 0); err == nil || from != "" {
		return from
	}
	return BuiltIn
}

func (l *loader) names() []string {
	names := slices.Clone(builtinOrder[:])
	for _, dir := range l.dirs {
		var own []string
		for _, name := range listDir(dir) {
			if !slices.Contains(names, name) {
				own = append(own, name)
			}
		}
		slices.Sort(own)
		names = append(names, own...)
	}
	return names
}

func listDir(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	files, _ := d.Readdirnames(maxThemes)
	var out []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f, suffix); ok && validName(name) {
			out = append(out, name)
		}
	}
	return out
}

// validName keeps names to what is safe as a file name and on a screen.
func validName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// readFile reads a regular file of bounded size. O_NONBLOCK: a pipe in its place
// must not hang the program.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d KiB, which no theme needs", name, maxFile>>10)
	}
	return text, nil
}

func chain(seen []visit) string {
	names := make([]string, len(seen))
	for i, v := range seen {
		names[i] = v.name
	}
	return strings.Join(names, " -> ")
}
