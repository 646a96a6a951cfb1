package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"vitals/core"
)

func TestChoicesOutliveTheRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "on the way", "toggles.json")
	p := &plant{}
	cfg := Config{Specs: []core.Spec{p.spec("requests")}, StatePath: path}
	inLab(t, cfg, func(l *lab) {
		l.up(10)
		l.toggle("requests", core.ScopeGlobal, "", 0, core.Off)
		l.toggle("requests", core.ScopeService, "web\nshop", 0, core.On)
		l.toggle("requests", core.ScopeService, "web", 0, core.On)
		l.toggle("requests", core.ScopeGroup, "front", 0, core.On)
		l.toggle("requests", core.ScopeGroup, "front", 0, core.Auto)
		l.toggle("requests", core.ScopeProcess, "", 10, core.Off)
	})
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	cfg.Specs = []core.Spec{p.spec("requests")}
	inLab(t, cfg, func(l *lab) {
		want := map[core.ToggleKey]core.Choice{
			{Kind: "requests", Scope: core.ScopeGlobal}:                 core.Off,
			{Kind: "requests", Scope: core.ScopeService, Target: "web"}: core.On,
		}
		got := l.witness.toggles.Choices
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%v is %q, want %q", k, got[k], v)
			}
		}
		if len(got) != len(want) || len(l.notices()) != 0 {
			t.Errorf("choices %v, notices %q", got, l.notices())
		}
		l.up(10)
		l.wantPhase(req, core.PhaseRunning)
	})
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestHostileStateIsRefusedAndTold(t *testing.T) {
	good := `{"version":1,"choices":[{"kind":"requests","scope":"global","choice":"off"}]}`
	for name, plantIt := range map[string]func(path string) error{
		"link": func(path string) error {
			return os.Symlink(write(t, filepath.Dir(path), "elsewhere", good, 0o600), path)
		},
		"folder":          func(path string) error { return os.Mkdir(path, 0o700) },
		"fifo":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"writable by all": func(path string) error { write(t, "", path, good, 0o666); return os.Chmod(path, 0o666) },
		"not JSON":        func(path string) error { write(t, "", path, "\x00\x01", 0o600); return nil },
		"future version":  func(path string) error { write(t, "", path, `{"version":2}`, 0o600); return nil },
		"control character": func(path string) error {
			write(t, "", path, strings.Replace(good, "requests", `r\u001b[31m`, 1), 0o600)
			return nil
		},
		"unknown scope": func(path string) error {
			write(t, "", path, strings.Replace(good, "global", "planet", 1), 0o600)
			return nil
		},
		"too big": func(path string) error { write(t, "", path, good+strings.Repeat(" ", stateBytes), 0o600); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "toggles.json")
			if err := plantIt(path); err != nil {
				t.Fatal(err)
			}
			p := &plant{}
			inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, StatePath: path}, func(l *lab) {
				if n := l.notices(); len(n) != 1 || !strings.Contains(n[0], "starting fresh") || !strings.Contains(n[0], path) {
					t.Errorf("notices %q", n)
				}
				if len(l.witness.toggles.Choices) != 0 {
					t.Errorf("choices %v", l.witness.toggles.Choices)
				}
				l.up(10)
				l.wantPhase(req, core.PhaseRunning)
			})
		})
	}
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Under sudo the file belongs to the user, and a link in the user's folders
// never leads root into a folder of somebody else.
func TestStateBelongsToTheInvokingUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	home := filepath.Join(t.TempDir(), "home")
	owner := Owner{UID: 12345, GID: 12346}
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, owner.UID, owner.GID); err != nil {
		t.Fatal(err)
	}
	kept := map[core.ToggleKey]core.Choice{{Kind: "requests", Scope: core.ScopeGlobal}: core.Off}
	f := stateFile{path: filepath.Join(home, "state", "vitals", "toggles.json"), owner: owner}
	if err := f.write(kept); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{f.path, filepath.Dir(f.path), filepath.Dir(filepath.Dir(f.path))} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); int(sys.Uid) != owner.UID || int(sys.Gid) != owner.GID {
			t.Errorf("%s belongs to %d:%d", path, sys.Uid, sys.Gid)
		}
	}
	if got, err := f.read(); err != nil || len(got) != 1 {
		t.Errorf("read: %v %v", got, err)
	}

	roots := t.TempDir() // a folder of root, as /etc is
	if err := os.Symlink(roots, filepath.Join(home, "trap")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(home, "trap", "toggles.json"), filepath.Join(home, "trap", "vitals", "toggles.json")} {
		trapped := stateFile{path: path, owner: owner}
		if err := trapped.write(kept); err == nil || !strings.Contains(err.Error(), "belongs to user 0") {
			t.Errorf("write to %s: %v", path, err)
		}
	}
	if left, _ := os.ReadDir(roots); len(left) != 0 {
		t.Errorf("written into root's folder: %v", left)
	}
	// Not believed either: a file that a third user left there.
	if err := os.Chown(f.path, 54321, 54321); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(); err == nil {
		t.Error("a stranger's file was believed")
	}
}

func TestStateThatCannotBeWrittenIsTold(t *testing.T) {
	dir := t.TempDir()
	blocked := write(t, dir, "file", "", 0o600)
	p := &plant{}
	inLab(t, Config{Specs: []core.Spec{p.spec("requests")}, StatePath: filepath.Join(blocked, "toggles.json")}, func(l *lab) {
		l.toggle("requests", core.ScopeGlobal, "", 0, core.Off)
		l.toggle("requests", core.ScopeGlobal, "", 0, core.On)
		synctest.Wait()
		n := l.notices()
		if len(n) == 0 || !strings.Contains(n[len(n)-1], "not a directory") {
			t.Errorf("notices %q", n)
		}
	})
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"version":1,"choices":[{"kind":"requests","scope":"service","target":"web","choice":"off"}]}`))
	f.Add([]byte(`{"version":1,"choices":[{"kind":"x","scope":"global","target":"y","choice":"auto"}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept, err := parseState(raw)
		if err != nil {
			return
		}
		again, err := render(kept)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > stateBytes {
			return
		}
		back, err := parseState(again)
		if err != nil || len(back) != len(kept) {
			t.Fatalf("round trip: %v, %d of %d choices", err, len(back), len(kept))
		}
	})
}
