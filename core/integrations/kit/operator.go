package kit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Operator is who wrote the settings. Under sudo that is the user who called it:
// the files that they name are read, and the commands run, with the rights of
// that user and not with ours.
type Operator struct {
	Other      bool // it is not who we run as
	UID, GID   uint32
	Groups     []uint32
	Name, Home string
	Do         func(func() error) error // runs something with the operator's rights
}

type operatorKey struct{}

// WithOperator gives everything within ctx that reads what settings name the
// rights of o.
func WithOperator(ctx context.Context, o Operator) context.Context {
	return context.WithValue(ctx, operatorKey{}, o)
}

// As runs f with the rights of the operator, if that is another.
func (o Operator) As(f func() error) error {
	if o.Other {
		return o.Do(f)
	}
	return f()
}

// Same reports whether two operators are one.
func (o Operator) Same(p Operator) bool { return o.Other == p.Other && o.UID == p.UID }

func operatorOf(ctx context.Context) Operator {
	o, _ := ctx.Value(operatorKey{}).(Operator)
	return o
}

// demote lets a command run as the operator, in a group of its own.
func (o Operator) demote(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !o.Other {
		return
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.UID, Gid: o.GID, Groups: o.Groups}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.HasPrefix(name, "SUDO_") || name == "HOME" || name == "USER" || name == "LOGNAME"
	})
	cmd.Env = append(cmd.Env, "HOME="+o.Home, "USER="+o.Name, "LOGNAME="+o.Name)
}

// leftover is how long a command's output is waited for when it has ended and
// something that left its group holds on to it.
const leftover = time.Second

// run runs a command, and ends it and all that it started when ctx ends or it
// does: what left its group on purpose, a daemon, stays.
func run(ctx context.Context, cmd *exec.Cmd) error {
	cmd.WaitDelay = leftover
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := unhurried(cmd.Start); err != nil {
		return err
	}
	// The number of its group is its own as long as nobody has waited for it.
	end := func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(killed); end() })
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if !stop() {
		<-killed
	}
	end()
	err := cmd.Wait()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// unhurried runs start on a thread of usual priority, which a process that it
// starts inherits: vitals' own is higher.
func unhurried(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	own := 20 - raw
	if err != nil || own >= 0 || unix.Setpriority(unix.PRIO_PROCESS, 0, 0) != nil {
		return start()
	}
	defer unix.Setpriority(unix.PRIO_PROCESS, 0, own)
	return start()
}
