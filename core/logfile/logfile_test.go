package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestRotationIsBoundedAndLosesNothingNew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "deep", "vitals.log")
	l, err := open(name, nil, 1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				fmt.Fprintf(l, "writer %d line %03d ............................\n", g, i)
			}
		})
	}
	wg.Wait()
	fmt.Fprint(l, "the last line\n")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(name + "*")
	if len(files) != 3 {
		t.Errorf("files: %v", files)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || len(text) == 0 || len(text) > 1000 {
			t.Errorf("%s: %d bytes, %v", f, len(text), err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "writer ") && line != "the last line\n" {
				t.Errorf("%s: torn line %q", f, line)
			}
		}
		if st, _ := os.Stat(f); st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, st.Mode())
		}
	}
	if text, _ := os.ReadFile(name); !strings.HasSuffix(string(text), "the last line\n") || l.Dropped() != 0 {
		t.Errorf("dropped %d, ends in %q", l.Dropped(), text)
	}
	fmt.Fprint(l, "after the end\n")
	if l.Dropped() != 1 {
		t.Errorf("a record after Close is not counted: %d", l.Dropped())
	}
}

func TestAppendsToWhatIsThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "vitals.log")
	for range 2 {
		l, err := Open(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(l, "x\n")
		l.Close()
	}
	if text, _ := os.ReadFile(name); string(text) != "x\nx\n" {
		t.Errorf("%q", text)
	}
}

func TestRefusesLinksAndPipes(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	os.WriteFile(victim, []byte("precious"), 0o644)
	link := filepath.Join(dir, "link.log")
	os.Symlink(victim, link)
	pipe := filepath.Join(dir, "pipe.log")
	syscall.Mkfifo(pipe, 0o644)
	for _, name := range []string{link, pipe, dir} {
		if l, err := Open(name, nil); err == nil || !strings.Contains(err.Error(), "log.file") {
			t.Errorf("%s: %v %v", name, l, err)
		}
	}
	if text, _ := os.ReadFile(victim); string(text) != "precious" {
		t.Errorf("written through a link: %q", text)
	}
}

// Even when files cannot be moved the log stays bounded.
func TestRotationThatFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "vitals.log")
	os.MkdirAll(filepath.Join(name+".1", "occupied"), 0o755)
	l, err := open(name, nil, 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 100 {
		fmt.Fprint(l, "0123456789012345678\n")
	}
	if st, _ := os.Stat(name); st.Size() > 220 {
		t.Errorf("grew to %d bytes", st.Size())
	}
}

func TestSecretsAndControlCharacters(t *testing.T) {
	var b bytes.Buffer
	log := New(&b, slog.LevelInfo)
	u, _ := url.Parse("https://me:hunter2@h/x")
	log.Info("push to http://me:hunter2@gateway:9091/metrics failed", "url", u, "raw", "me:hunter2@gateway:9091", "err", errors.New("get \"http://me:hunter2@h\": refused"),
		"Authorization", "Basic hunter2", "push_token", "hunter2", "nil", (*url.URL)(nil), "mail", "a@b.example", "name", "\x1b[31m\u202e")
	log.Debug("hidden")
	out := b.String()
	if strings.Contains(out, "hunter2") || strings.ContainsAny(out, "\x1b\u202e") || strings.Contains(out, "hidden") {
		t.Error(out)
	}
	for _, want := range []string{"http://***@gateway:9091/metrics", "https://***@h/x", "raw=***@gateway:9091", "http://***@h", "a@b.example", "level=INFO"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}
