package gateway

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vitals/core/config"
)

// asNobody runs f with the rights of nobody on files.
func asNobody(f func() error) error {
	return config.User{Name: "nobody", UID: 65534, GID: 65534, Other: true}.Do(f)
}

// A store in a directory of somebody else's is theirs: what they put in the place
// of its files leads root nowhere.
func TestAStoreIsItsAuthors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := OpenDisk(filepath.Join(dir, "new"), asNobody, nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a directory was made where its author may not: %v", err)
	}
	os.Chown(dir, 65534, 65534)
	precious := filepath.Join(t.TempDir(), "precious")
	os.WriteFile(precious, []byte("precious"), 0o600)
	for _, name := range []string{"lock", journalName, tempPrefix + fileName("a"), tempPrefix + fileName("b")} {
		os.Symlink(precious, filepath.Join(dir, name))
		if d, err := OpenDisk(dir, asNobody, nil); err == nil {
			if err = d.Load(func([]byte) error { return nil }); err == nil {
				d.journal.file.Close()
				d.journal = nil // each group is a file
				err = d.Commit([]Change{{ID: "a", Data: []byte("x")}, {ID: "b", Data: []byte("y")}})
			}
			d.lock.Close()
			if strings.HasPrefix(name, tempPrefix) != (err == nil) { // left over ones are removed
				t.Errorf("%s: %v", name, err)
			}
		} else if name != "lock" {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(filepath.Join(dir, name))
		if text, _ := os.ReadFile(precious); string(text) != "precious" {
			t.Fatalf("written through %s: %q", name, text)
		}
	}
	d, err := OpenDisk(dir, asNobody, nil)
	if err != nil {
		t.Fatal(err)
	}
	groups := 0
	if err := d.Load(func([]byte) error { groups++; return nil }); err != nil || groups != 2 {
		t.Errorf("%d groups: %v", groups, err)
	}
	if err := errors.Join(d.Commit([]Change{{ID: "c", Data: []byte("z")}}), d.Close()); err != nil {
		t.Error(err)
	}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if i, err := f.Info(); err != nil || i.Sys().(*syscall.Stat_t).Uid != 65534 {
			t.Errorf("%s is not the author's", f.Name())
		}
	}
	if len(files) < 4 {
		t.Errorf("%d files", len(files))
	}
}
