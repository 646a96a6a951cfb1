package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// nobody is somebody else than root on every machine.
const nobody = 65534

// sudoHome is a home of nobody's that only they can enter, with the environment
// that sudo would give us.
func sudoHome(t *testing.T) (home string, env []string) {
	t.Helper()
	needRoot(t)
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	os.Chown(home, nobody, nobody)
	os.Chmod(home, 0o700)
	return home, []string{"HOME=/root", "SUDO_UID=65534", "SUDO_USER=nobody", "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state")}
}

func TestInvokerUnderSudo(t *testing.T) {
	needRoot(t)
	u := Invoker([]string{"HOME=/root", "SUDO_UID=65534", "SUDO_USER=nobody"})
	if !u.Other || u.UID != nobody || u.Name != "nobody" || u.Home == "/root" {
		t.Errorf("%+v", u)
	}
	p := FindPaths([]string{"HOME=/root", "SUDO_UID=65534"})
	if strings.HasPrefix(p.ConfigDir, "/root") || strings.HasPrefix(p.StateDir, "/root") || !strings.HasSuffix(p.Log(), "/.local/state/vitals/vitals.log") {
		t.Errorf("%+v", p)
	}
	for _, env := range [][]string{{"HOME=/root"}, {"HOME=/root", "SUDO_UID=0"}, {"HOME=/root", "SUDO_UID=-1"}, {"HOME=/root", "SUDO_UID=4294967295"}, {"HOME=/root", "SUDO_UID=x"}, {"HOME=/root", "SUDO_UID="}} {
		if u := Invoker(env); u.Other || u.UID != 0 || u.Home != "/root" {
			t.Errorf("%v: %+v", env, u)
		}
	}
}

// Whom the user database does not know is not root either.
func TestUnknownCallersAreNotRoot(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		env  []string
		want User
	}{
		{[]string{"SUDO_UID=54321", "SUDO_GID=54322", "SUDO_USER=of-ldap"}, User{Name: "of-ldap", UID: 54321, GID: 54322, Other: true}},
		{[]string{"PKEXEC_UID=54321"}, User{Name: "number 54321", UID: 54321, GID: nobody, Other: true}},
		{[]string{"DOAS_USER=of-ldap"}, User{Name: "number 65534", UID: nobody, GID: nobody, Other: true}},
	} {
		env := append(c.env, "HOME=/root")
		if u := Invoker(env); !reflect.DeepEqual(u, c.want) {
			t.Errorf("%v: %+v", c.env, u)
		}
		if p := FindPaths(env); p.ConfigDir != "" || p.StateDir != "" {
			t.Errorf("%v: %+v", c.env, p)
		}
	}
}

func TestNoHomeNoPaths(t *testing.T) {
	p := Paths{}
	if f := p.Files(); len(f) != 1 || f[0] != "/etc/vitals/config.yaml" || p.Log() != "" {
		t.Errorf("%v %q", f, p.Log())
	}
	if err := p.SaveState(p.State(), 1); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("%v", err)
	}
	if err := p.LoadState(p.State(), nil); err != nil {
		t.Error(err)
	}
}

// What is created under sudo belongs to the user, and the thread is root again.
func TestFilesUnderSudoBelongToTheUser(t *testing.T) {
	_, env := sudoHome(t)
	p := FindPaths(env)
	if err := p.SaveState(p.State(), map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{p.State(), p.StateDir} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != nobody || sys.Gid != nobody || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: owner %d:%d, mode %v", path, sys.Uid, sys.Gid, st.Mode())
		}
	}
	var back map[string]int
	if err := p.LoadState(p.State(), &back); err != nil || back["a"] != 1 {
		t.Errorf("%v %v", back, err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.StateDir, ".vitals-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if uid, gid := fsIDs(); uid != 0 || gid != 0 {
		t.Errorf("this thread is now %d:%d", uid, gid)
	}
}

// A link to what the user may not read or write gets them nothing.
func TestLinksUnderSudoReachNothingNew(t *testing.T) {
	home, env := sudoHome(t)
	secret := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(secret, []byte("topsecret: hash\n"), 0o600)
	dir := filepath.Join(home, "vitals")
	os.Mkdir(dir, 0o755)
	os.Chown(dir, nobody, nobody)
	os.Symlink(secret, filepath.Join(dir, "config.yaml"))
	l, err := Load(Options{Env: env})
	if err != nil || len(l.Problems) != 1 || strings.Contains(l.Notes()[0], "topsecret") || !strings.Contains(l.Notes()[0], "permission denied") {
		t.Errorf("%v %q", err, l.Notes())
	}
	// A state directory that is a link into root's.
	target, _ := os.MkdirTemp("", "target")
	t.Cleanup(func() { os.RemoveAll(target) })
	os.Chmod(target, 0o755)
	os.Mkdir(filepath.Join(home, "state"), 0o777)
	os.Symlink(target, filepath.Join(home, "state", "vitals"))
	if err := l.Paths.SaveState(l.Paths.State(), 1); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("written through a link: %v", err)
	}
	if files, _ := os.ReadDir(target); len(files) != 0 {
		t.Errorf("%v", files)
	}
}

func TestDoPassesErrorsAndPanicsOn(t *testing.T) {
	_, env := sudoHome(t)
	u := Invoker(env)
	want := errors.New("x")
	if err := u.Do(func() error { return want }); err != want {
		t.Error(err)
	}
	if err := u.Do(func() error { panic("boom") }); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
	for range 50 {
		if err := u.Do(func() error { _, err := os.ReadFile("/etc/shadow"); return err }); !errors.Is(err, fs.ErrPermission) {
			t.Fatalf("/etc/shadow: %v", err)
		}
		if _, err := os.ReadFile("/etc/shadow"); err != nil {
			t.Fatalf("our own rights did not come back: %v", err)
		}
	}
}

func TestHostileState(t *testing.T) {
	dir := t.TempDir()
	p := Paths{StateDir: dir}
	os.WriteFile(p.State(), []byte("{\"a\":"), 0o644)
	var v map[string]int
	if err := p.LoadState(p.State(), &v); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Error(err)
	}
	os.WriteFile(p.State(), make([]byte, maxFile+1), 0o644)
	if err := p.LoadState(p.State(), &v); err == nil || !strings.Contains(err.Error(), "KiB") {
		t.Error(err)
	}
	victim := filepath.Join(t.TempDir(), "victim")
	os.WriteFile(victim, []byte("precious"), 0o644)
	os.Remove(p.State())
	os.Symlink(victim, p.State())
	if err := p.SaveState(p.State(), 1); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(victim); string(text) != "precious" {
		t.Errorf("written through a link: %q", text)
	}
}
