package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A file of root's that somebody names under sudo is not read, so that no error
// quotes it.
func TestNamedFileIsReadWithTheRightsOfWhoCalledSudo(t *testing.T) {
	_, env := sudoHome(t)
	secret := filepath.Join(t.TempDir(), "secret.yaml")
	os.WriteFile(secret, []byte("topsecret: hash\n"), 0o600)
	for _, o := range []Options{{Env: env, File: secret}, {Env: append(env, "VITALS_CONFIG="+secret)}} {
		l, err := Load(o)
		if err == nil || strings.Contains(err.Error(), "topsecret") || !strings.Contains(err.Error(), "rights of nobody") || l.File != "" {
			t.Errorf("%v, file %q", err, l.File)
		}
	}
	if _, err := Load(Options{File: secret}); err == nil || !strings.Contains(err.Error(), "topsecret") {
		t.Errorf("root itself: %v", err)
	}
}

func TestWhatBelongsToTheMachine(t *testing.T) {
	for file, want := range map[string]bool{
		"/etc/vitals/config.yaml": true, "/etc/vitals/deep/x.yaml": true, "/etc/vitals": false, "/etc/vitals2/config.yaml": false,
		"/etc/vitals/../shadow": false, "/etc/../etc/vitals/x": true, "/root/.config/vitals/config.yaml": false, "/proc/self/cmdline": false,
	} {
		if got := ofMachine(file); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
}

// What root wrote holds with root's rights, unless somebody else says where to.
func TestAuthors(t *testing.T) {
	other := User{Name: "nobody", UID: nobody, GID: nobody, Other: true}
	machine, own := "/etc/vitals/config.yaml", "/home/me/.config/vitals/config.yaml"
	for _, c := range []struct {
		name, file string
		sources    map[string]string
		pushes     bool // with another's rights
		login      bool // push.http stays
	}{
		{"root's", machine, map[string]string{"push.url": machine + ":2", "push.http": machine + ":3"}, false, true},
		{"root's list", machine, map[string]string{"push": machine + ":2"}, false, true},
		{"another address", machine, map[string]string{"push.url": "--push", "push.http": machine + ":3"}, true, false},
		{"another file", machine, map[string]string{"push.path": "VITALS_PUSH_PATH", "push.http": machine + ":3"}, true, false},
		{"the user's", own, map[string]string{"push.url": own + ":2", "push.http": own + ":3"}, true, true},
		{"flags only", "", map[string]string{"push.url": "--push"}, true, true},
	} {
		l := &Loaded{File: c.file, Sources: c.sources, Paths: Paths{User: other}}
		l.Push.HTTP = "bearer_token: hunter2"
		l.keepLogin()
		if got := l.PushAuthor().Other; got != c.pushes {
			t.Errorf("%s: pushes as another: %v", c.name, got)
		}
		if (l.Push.HTTP != "") != c.login || (len(l.Warnings) == 0) != c.login {
			t.Errorf("%s: login %q, %q", c.name, l.Push.HTTP, l.Warnings)
		}
		l.Paths.User.Other = false
		if l.PushAuthor().Other || l.Author("integrations").Other {
			t.Errorf("%s: nobody called sudo", c.name)
		}
	}
}

// The groups of root may read what the user may not, and the user's own may.
func TestGroupsChangeWithTheUser(t *testing.T) {
	_, env := sudoHome(t)
	made, err := os.CreateTemp("", "vitals-groups-test") // where nobody may go, too
	if err != nil {
		t.Fatal(err)
	}
	made.Close()
	file := made.Name()
	defer os.Remove(file)
	os.Chmod(file, 0o640)
	os.Chown(file, 0, 4242)
	u := Invoker(env)
	read := func() error {
		return u.Do(func() error {
			_, err := os.ReadFile(file)
			return err
		})
	}
	before, _ := syscall.Getgroups()
	if err := read(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("read without the group: %v", err)
	}
	u.Groups = append(u.Groups, 4242)
	if err := read(); err != nil {
		t.Errorf("with the group: %v", err)
	}
	done := make(chan error)
	go func() { // with a thread in the group of root's that may
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := setGroups([]int{4242}); err != nil {
			done <- err
			return
		}
		u := User{Name: "nobody", UID: nobody, GID: nobody, Other: true}
		restore, err := u.become()
		if err != nil {
			done <- err
			return
		}
		if _, err = os.ReadFile(file); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("read with root's group: %v", err)
		}
		if now, _ := threadGroups(); !restore() || now != 0 {
			t.Errorf("%d groups", now)
		}
		if now, err := threadGroups(); err != nil || now != 1 {
			t.Errorf("root's groups did not come back: %d", now)
		}
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if after, _ := syscall.Getgroups(); len(after) != len(before) {
		t.Errorf("the groups of the process changed: %v, were %v", after, before)
	}
}

func threadGroups() (int, error) {
	all, err := syscall.Getgroups()
	return len(all), err
}
