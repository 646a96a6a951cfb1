package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// listen says "hello" and the uid of whoever connects.
func listen(t *testing.T, network, address string) (where string, peers chan uint32) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	peers = make(chan uint32, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if u, ok := c.(*net.UnixConn); ok {
				raw, _ := u.SyscallConn()
				raw.Control(func(fd uintptr) {
					if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
						peers <- cred.Uid
					}
				})
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	return l.Addr().String(), peers
}

// listenInside listens in the network namespace of a target. No other goroutine
// may come to run on the thread that is there.
func listenInside(t *testing.T, target Target) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore, err := target.enter()
	if err != nil {
		t.Fatal(err)
	}
	inside, _ := listen(t, "tcp", "127.0.0.1:0")
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	return inside
}

func hello(t *testing.T, c net.Conn, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); string(b) != "hello" {
		t.Errorf("got %q", b)
	}
}

func key(t *testing.T, pid int32) core.ProcKey {
	t.Helper()
	b, err := birth(pid)
	if err != nil {
		t.Fatal(err)
	}
	return core.ProcKey{PID: pid, Birth: b}
}

func needsRootHere(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestDialHere(t *testing.T) {
	at, _ := listen(t, "tcp", "127.0.0.1:0")
	c, err := Here().Dial(t.Context(), "tcp", at)
	hello(t, c, err)
	path := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", path)
	c, err = Here().Dial(t.Context(), "unix", path)
	hello(t, c, err)
	if At(key(t, int32(os.Getpid()))) != Here() {
		t.Error("our own process is not here")
	}
}

// sleeper runs something in namespaces of its own and returns its pid once it does.
func sleeper(t *testing.T, args ...string) int32 {
	t.Helper()
	cmd := exec.Command("unshare", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatalf("unshare did not begin: %v", err)
	}
	return int32(cmd.Process.Pid)
}

func TestDialInsideAnotherNetworkNamespace(t *testing.T) {
	needsRootHere(t)
	pid := sleeper(t, "-n", "sh", "-c", "ip link set lo up; echo up; exec sleep 60")
	target := At(key(t, pid))
	if target.Proc.PID != pid {
		t.Fatal("a process in another network namespace is taken for one here")
	}
	ours, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	outside, _ := listen(t, "tcp", "127.0.0.1:0")
	if c, err := target.Dial(t.Context(), "tcp", outside); err == nil {
		c.Close()
		t.Error("the loopback of this machine was reached from inside")
	}
	inside := listenInside(t, target)
	for range 20 {
		c, err := target.Dial(t.Context(), "tcp", inside)
		hello(t, c, err)
	}
	if now, _ := os.Readlink("/proc/thread-self/ns/net"); now != ours {
		t.Errorf("this thread is in %s, was in %s", now, ours)
	}
}

// A process that has the number of the one that was meant is not entered, nor
// taken for one here: it would get the login of the other.
func TestAnotherProcessWithTheNumberIsNotEntered(t *testing.T) {
	needsRootHere(t)
	pid := sleeper(t, "-n", "-m", "sh", "-c", "ip link set lo up; echo up; exec sleep 60")
	meant := Target{key(t, pid)}
	inside := listenInside(t, meant)
	path := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", path)
	for _, k := range []core.ProcKey{meant.Proc, key(t, int32(os.Getpid()))} {
		former := At(core.ProcKey{PID: k.PID, Birth: k.Birth - 1})
		if former == Here() {
			t.Fatal("it is taken for one here")
		}
		for network, address := range map[string]string{"tcp": inside, "unix": path} {
			if c, err := former.Dial(t.Context(), network, address); err == nil || !strings.Contains(err.Error(), "another one has its number") {
				t.Errorf("%s: %v %v", network, c, err)
			}
		}
		if _, _, err := former.Owner(path); err == nil {
			t.Error("it has an owner")
		}
	}
	c, err := meant.Dial(t.Context(), "tcp", inside)
	hello(t, c, err)
}

// A container may make its socket a link to one of the host: it is not followed
// out of the container's root.
func TestLinksDoNotLeaveTheRootOfTheServer(t *testing.T) {
	needsRootHere(t)
	root, host := t.TempDir(), filepath.Join(t.TempDir(), "host.sock")
	listen(t, "unix", host)
	listen(t, "unix", filepath.Join(root, "real.sock"))
	if err := os.Symlink(host, filepath.Join(root, "link.sock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/real.sock", filepath.Join(root, "inner.sock")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"bin", "lib", "lib64", "usr"} { // what a shell needs
		os.Mkdir(filepath.Join(root, dir), 0o755)
	}
	pid := sleeper(t, "-m", "sh", "-c", `cd "$0" && for d in bin lib lib64 usr; do [ -e /$d ] && mount --rbind /$d $d; done; exec chroot . sh -c "echo up; exec sleep 60"`, root)
	target := At(key(t, pid))
	if target.Proc.PID != pid {
		t.Fatal("a process with another root is taken for one here")
	}
	for _, name := range []string{"/real.sock", "/inner.sock"} {
		c, err := target.Dial(t.Context(), "unix", name)
		hello(t, c, err)
	}
	if c, err := target.Dial(t.Context(), "unix", "/link.sock"); err == nil {
		c.Close()
		t.Error("a link led out of the server's root")
	}
	if _, _, err := target.Owner("/bin"); err == nil {
		t.Error("a directory was taken for a socket")
	}
}

func TestDialAsAnotherUser(t *testing.T) {
	needsRootHere(t)
	dir := t.TempDir()
	os.Chmod(dir, 0o700)
	path := filepath.Join(dir, "s")
	_, peers := listen(t, "unix", path)
	os.Chown(path, 65534, 65534)
	uid, gid, err := Here().Owner(path)
	if err != nil || uid != 65534 || gid != 65534 {
		t.Fatalf("owner %d %d: %v", uid, gid, err)
	}
	fds := open(t)
	defer func() {
		end := time.Now().Add(30 * time.Second) // accepted ones may not be closed yet
		for now := open(t); now > fds; now = open(t) {
			if time.Now().After(end) {
				t.Fatalf("%d descriptors are open, %d were", now, fds)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	for range 20 {
		c, err := Here().DialAs(t.Context(), uid, gid, "unix", path)
		hello(t, c, err)
		if who := <-peers; who != 65534 {
			t.Fatalf("the server saw uid %d", who)
		}
		c, err = Here().Dial(t.Context(), "unix", path)
		hello(t, c, err)
		if who := <-peers; who != 0 {
			t.Fatalf("after that we are uid %d", who)
		}
	}
	if os.Geteuid() != 0 {
		t.Error("we are not root any more")
	}
	if b, err := os.ReadFile("/proc/self/status"); err != nil || !strings.Contains(string(b), "Uid:\t0\t0\t0\t0") {
		t.Error("the main thread is not root any more")
	}
}

func open(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestDialErrorsSayWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.sock")
	for _, target := range []Target{Here(), {key(t, int32(os.Getpid()))}} {
		_, err := target.Dial(t.Context(), "unix", path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "/proc/") {
			t.Errorf("%v", err)
		}
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v is not a missing file", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if c, err := (Target{core.ProcKey{PID: 1 << 30}}).Dial(ctx, "tcp", "127.0.0.1:1"); err == nil {
		c.Close()
		t.Error("a process that is not there was entered")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
