package kit

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core/config"
)

// nobody's rights, as those of who called sudo are.
func nobody(t *testing.T) Operator {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	return Operator{Other: true, UID: 65534, GID: 65534, Groups: []uint32{65534}, Name: "nobody", Home: "/nonexistent", Do: config.User{Name: "nobody", UID: 65534, GID: 65534, Other: true}.Do}
}

func reference(t *testing.T, text string) (s Secret) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// What settings name is read with the rights of who wrote them: secrets, and the
// files of TLS.
func TestFilesOfSettingsAreReadAsTheirAuthor(t *testing.T) {
	as := WithOperator(t.Context(), nobody(t))
	dir, err := os.MkdirTemp("", "kit")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	file := filepath.Join(dir, "secret")
	os.WriteFile(file, []byte("topsecret"), 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, ref := range []string{"file:" + file, "credential:secret"} {
		if got, err := reference(t, ref).Read(as); !errors.Is(err, fs.ErrPermission) || got != "" {
			t.Errorf("%s: %q %v", ref, got, err)
		}
		if got, err := reference(t, ref).Read(t.Context()); err != nil || got != "topsecret" {
			t.Errorf("as ourselves: %q %v", got, err)
		}
	}
	for _, how := range []TLS{{CA: file}, {Cert: file, Key: "/dev/null"}, {Cert: "/etc/hostname", Key: file}} {
		if _, err := how.Config(as, "h:1"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%+v: %v", how, err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	unix.Mkfifo(pipe, 0o644)
	if _, err := reference(t, "file:"+pipe).Read(as); err == nil {
		t.Error("a pipe was read")
	}
}

// A command runs as who wrote the settings, with their groups and environment,
// at usual priority whatever ours is.
func TestCommandsRunAsTheirAuthor(t *testing.T) {
	o := nobody(t)
	t.Setenv("SUDO_UID", "65534")
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // with the thread ends its priority
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -7); err != nil {
			done <- err
			return
		}
		got, err := reference(t, "cmd:"+script(t, "echo $(id -u) $(id -G) $HOME $USER $SUDO_UID $(nice)")).Read(WithOperator(context.Background(), o))
		if got != "65534 65534 /nonexistent nobody 0" {
			t.Errorf("%q", got)
		}
		if raw, _ := unix.Getpriority(unix.PRIO_PROCESS, 0); 20-raw != -7 {
			t.Errorf("this thread has the niceness %d now", 20-raw)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "script")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	name := filepath.Join(dir, "run")
	os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755)
	return name
}

// What a command started goes with it, when its time is over and when it ends.
func TestCommandsLeaveNothingBehind(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		good bool
	}{"too slow": {"sleep 1000 & echo $! >$1; wait", false}, "ended": {"sleep 1000 & echo $! >$1; echo secret", true}} {
		file := filepath.Join(t.TempDir(), "pid")
		ctx, expire := expiring(t)
		if !c.good {
			go func() { // once the child is there
				for text := []byte{}; !bytes.HasSuffix(text, []byte("\n")) && t.Context().Err() == nil; time.Sleep(10 * time.Millisecond) {
					text, _ = os.ReadFile(file)
				}
				expire()
			}()
		}
		began := time.Now()
		got, err := output(ctx, []string{script(t, c.text), file})
		if (err == nil) != c.good || c.good != (got == "secret") || time.Since(began) > 30*time.Second {
			t.Errorf("%s: %q %v after %v", name, got, err, time.Since(began))
		}
		if !c.good && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		text, _ := os.ReadFile(file)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		if pid == 0 {
			t.Fatalf("%s: no child", name)
		}
		for deadline := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				unix.Kill(pid, unix.SIGKILL)
				t.Fatalf("%s: its child lives on", name)
			}
		}
	}
	if _, err := output(t.Context(), []string{"sh", "-c", "exit 3"}); err == nil {
		t.Error("a failure is none")
	} else if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Error(err)
	}
}

// alive is false of what has ended and only waits for init to notice.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}
