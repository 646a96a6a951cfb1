// Package dial connects to servers where they are: inside their network
// namespace, at Unix sockets below their own root directory, and, where the user
// agreed, as another user.
package dial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Target says where a server is.
type Target struct {
	// Proc is a process of the server whose namespaces are entered; the zero value
	// is here. Another process that got its number later is not the server.
	Proc core.ProcKey
}

// Here is what connects from where vitals is itself.
func Here() Target { return Target{} }

// At is the target of a process: Here when it shares the network and the root
// directory with us, so that the target outlives the process.
func At(proc core.ProcKey) Target {
	t := Target{Proc: proc}
	if same(proc.PID, "ns/net") && same(proc.PID, "ns/mnt") && same(proc.PID, "root") && t.still() == nil {
		return Here()
	}
	return t
}

// still reports whether the process is the one that was meant. Asked after
// something of it was opened, it says whose that is: a process that is there now
// was there then.
func (t Target) still() error {
	if t == Here() {
		return nil
	}
	b, err := birth(t.Proc.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", t.Proc.PID, err)
	}
	if b != t.Proc.Birth {
		return fmt.Errorf("process %d has ended, and another one has its number", t.Proc.PID)
	}
	return nil
}

// birth is when a process began, in clock ticks after the boot.
func birth(pid int32) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	const startTime = 22 - 3 // of the fields after it
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= startTime {
		return 0, errors.New("its state cannot be read")
	}
	return strconv.ParseUint(string(fields[startTime]), 10, 64)
}

func same(pid int32, what string) bool {
	theirs, err := os.Stat("/proc/" + strconv.Itoa(int(pid)) + "/" + what)
	if err != nil {
		return false
	}
	ours, err := os.Stat("/proc/self/" + what)
	return err == nil && os.SameFile(theirs, ours)
}

// Dial connects. It returns soon after ctx ends.
func (t Target) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" && address != "" && address[0] != '@' && t != Here() {
		fd, err := t.socket(address)
		if err != nil {
			return nil, fmt.Errorf("connect to unix:%s: %w", address, err)
		}
		defer unix.Close(fd)
		c, err := dial(ctx, network, "/proc/self/fd/"+strconv.Itoa(fd))
		if err != nil {
			return nil, fmt.Errorf("connect to unix:%s: %w", address, cause(err))
		}
		return c, nil
	}
	if t == Here() {
		return dial(ctx, network, address)
	}
	if same(t.Proc.PID, "ns/net") {
		if err := t.still(); err != nil {
			return nil, err
		}
		return dial(ctx, network, address)
	}
	return apart(t.enter,
		func() (net.Conn, error) { return dial(ctx, network, address) })
}

// DialAs connects as another user. Only this one call is made so: the rest of the
// program keeps its rights.
func (t Target) DialAs(ctx context.Context, uid, gid uint32, network, address string) (net.Conn, error) {
	if int(uid) == os.Geteuid() {
		return t.Dial(ctx, network, address)
	}
	if network != "unix" || address == "" {
		return nil, errors.New("only servers at Unix sockets see who connects")
	}
	name := address
	if address[0] != '@' { // found as ourselves: the other user may not search the directory
		fd, err := t.socket(address)
		if err != nil {
			return nil, fmt.Errorf("connect to unix:%s: %w", address, err)
		}
		defer unix.Close(fd)
		name = "/proc/self/fd/" + strconv.Itoa(fd)
	}
	c, err := apart(func() (func() error, error) { return become(uid, gid) },
		func() (net.Conn, error) { return dial(ctx, network, name) })
	if err != nil {
		return nil, fmt.Errorf("connect to unix:%s as user %d: %w", address, uid, cause(err))
	}
	return c, nil
}

// Owner is the owner of a Unix socket.
func (t Target) Owner(path string) (uid, gid uint32, err error) {
	fd, err := t.socket(path)
	if err != nil {
		return 0, 0, fmt.Errorf("look at unix:%s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, fmt.Errorf("look at unix:%s: %w", path, err)
	}
	return st.Uid, st.Gid, nil
}

// socket finds a Unix socket below the target's root directory, which its
// symbolic links cannot leave.
func (t Target) socket(path string) (int, error) {
	pid := "self"
	if t != Here() {
		pid = strconv.Itoa(int(t.Proc.PID))
	}
	root, err := unix.Open("/proc/"+pid+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the root directory of process %s: %w", pid, err)
	}
	defer unix.Close(root)
	if err := t.still(); err != nil {
		return -1, err
	}
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		unix.Close(fd)
		return -1, errors.New("it is not a socket")
	}
	return fd, nil
}

// dial makes the socket on the calling thread: addresses are tried one after the
// other.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{FallbackDelay: -1, KeepAlive: 30 * time.Second}
	return d.DialContext(ctx, network, address)
}

// cause is what an error of the dialer is about, without the name that it was given.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// apart runs connect on a thread of its own that was changed, and changes it
// back. A thread that cannot be changed back ends with its goroutine.
func apart(change func() (restore func() error, err error), connect func() (net.Conn, error)) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		restore, err := change()
		if err != nil {
			done <- result{err: err} // the thread may be half changed: it ends
			return
		}
		var r result
		r.conn, r.err = connect()
		if restore() == nil {
			runtime.UnlockOSThread()
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}

// enter takes this thread into the network namespace of the process.
func (t Target) enter() (func() error, error) {
	pid := t.Proc.PID
	ours, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open our network namespace: %w", err)
	}
	theirs, err := unix.Open("/proc/"+strconv.Itoa(int(pid))+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(ours)
		return nil, fmt.Errorf("open the network namespace of process %d: %w", pid, err)
	}
	defer unix.Close(theirs)
	if err := t.still(); err != nil {
		unix.Close(ours)
		return nil, err
	}
	if err := unix.Setns(theirs, unix.CLONE_NEWNET); err != nil {
		unix.Close(ours)
		return nil, fmt.Errorf("enter the network namespace of process %d: %w", pid, needsRoot(err))
	}
	return func() error {
		defer unix.Close(ours)
		return unix.Setns(ours, unix.CLONE_NEWNET)
	}, nil
}

// become gives this thread, and no other, the effective identity of a user.
func become(uid, gid uint32) (func() error, error) {
	const keep = ^uintptr(0)
	ids := func(call, id uintptr) error {
		if _, _, e := syscall.RawSyscall(call, keep, id, keep); e != 0 {
			return e
		}
		return nil
	}
	own, group := os.Geteuid(), os.Getegid()
	if err := ids(unix.SYS_SETRESGID, uintptr(gid)); err != nil {
		return nil, needsRoot(err)
	}
	if err := ids(unix.SYS_SETRESUID, uintptr(uid)); err != nil {
		return nil, needsRoot(err)
	}
	return func() error {
		return errors.Join(ids(unix.SYS_SETRESUID, uintptr(own)), ids(unix.SYS_SETRESGID, uintptr(group)))
	}, nil
}

func needsRoot(err error) error {
	if errors.Is(err, unix.EPERM) {
		return &core.Remedied{Err: fmt.Errorf("%w: %w", core.ErrUnsupported, err), Remedy: "run vitals as root"}
	}
	return err
}
