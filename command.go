package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/cli"
	"vitals/core/config"
)

// waitingArg makes this program wait until it is told, and then become another
// one: a command is there, with its pid, before it does anything, so that all
// that it does is seen.
const waitingArg = "--become-when-told"

// becomeCommand waits at the gate, which is descriptor 3, and executes args: the
// path, then the arguments with the name. It returns only when it could not, or
// when the gate closes without a word.
func becomeCommand(args []string) (code int) {
	if !startedByVitals() {
		fmt.Fprintf(os.Stderr, "vitals: %s is how vitals starts a command, and for nobody else: use vitals -- COMMAND\n", waitingArg)
		return cli.ExitUsage
	}
	unix.CloseOnExec(3)
	gate := os.NewFile(3, "gate")
	if n, err := gate.Read(make([]byte, 1)); n != 1 || err != nil || len(args) < 2 {
		return 1
	}
	err := unix.Exec(args[0], args[1:], os.Environ())
	fmt.Fprintf(os.Stderr, "vitals: start %s: %v\n", core.Clean(args[0], core.MaxCmdline), err)
	return 126
}

// startedByVitals reports whether descriptor 3 is a gate and, where that matters,
// whether vitals is at its other end. Who may only call sudo vitals must not get
// anything else run by root: a descriptor 3 there is one way or another, be it
// one of the runtime's own.
func startedByVitals() bool {
	var gate unix.Stat_t
	if unix.Fstat(3, &gate) != nil || gate.Mode&unix.S_IFMT != unix.S_IFIFO {
		return false
	}
	if os.Geteuid() != 0 {
		return true
	}
	if config.Invoker(os.Environ()).Other { // then vitals starts it as that user
		return false
	}
	var own, parent unix.Stat_t
	return unix.Stat("/proc/self/exe", &own) == nil && unix.Stat(fmt.Sprintf("/proc/%d/exe", os.Getppid()), &parent) == nil &&
		own.Dev == parent.Dev && own.Ino == parent.Ino
}

// command is a program that vitals started to watch it. A nil command is none.
type command struct {
	*exec.Cmd
	gate   *os.File
	name   string
	output *os.File      // what it prints while a screen is drawn; nil when it prints itself
	ended  chan struct{} // closed once it has, with err set
	err    error
	said   io.Writer // where is told how it ended
	told   bool      // it was ended by us
}

// commandGrace is how long a command may take to end when it is told to.
const commandGrace = 5 * time.Second

// commandPatience is how long a command waits for everything to be attached:
// then it begins all the same.
const commandPatience = 10 * time.Second

// startCommand starts what follows -- and holds it at the gate; r observes it and
// nothing else. With a screen its output goes to a file. Under sudo it runs as the
// user who called, not as root.
func startCommand(r *cli.Options, screen bool) (*command, error) {
	if len(r.Command) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(r.Command[0])
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", core.Clean(r.Command[0], core.MaxCmdline), err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", core.Clean(r.Command[0], core.MaxCmdline), err)
	}
	c := &command{Cmd: exec.Command(self, slices.Concat([]string{waitingArg, path}, r.Command)...), name: core.Clean(r.Command[0], core.MaxName),
		ended: make(chan struct{}), said: r.Stderr}
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, r.Stdout, r.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{}
	c.as(r.Paths.User)
	if screen {
		err := r.Paths.User.Do(func() (err error) {
			c.output, err = os.CreateTemp("", "vitals-output-*.log")
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", c.name, err)
		}
		c.Stdin, c.Stdout, c.Stderr = nil, c.output, c.output
		c.SysProcAttr.Setpgid = true // the keyboard is the dashboard's
	}
	inside, gate, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	defer inside.Close()
	c.gate, c.ExtraFiles = gate, []*os.File{inside}
	if err := c.Start(); err != nil {
		gate.Close()
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	go func() {
		c.err = c.Wait()
		close(c.ended)
	}()
	r.PIDs = []int32{int32(c.Process.Pid)}
	return c, nil
}

// as gives the command the rights and the environment of who called sudo.
func (c *command) as(u config.User) {
	if !u.Other {
		return
	}
	credential := &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
	for _, g := range u.Groups {
		credential.Groups = append(credential.Groups, uint32(g))
	}
	c.SysProcAttr.Credential = credential
	c.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.HasPrefix(name, "SUDO_") || name == "HOME" || name == "USER" || name == "LOGNAME"
	})
	c.Env = append(c.Env, "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name)
}

// release lets the command begin once ready returns.
func (c *command) release(ctx context.Context, ready func(context.Context)) {
	if c == nil {
		return
	}
	defer c.gate.Close()
	patience, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	ready(patience)
	if ctx.Err() == nil {
		c.gate.Write([]byte{1}) // when nobody reads it has ended already
	}
}

// until ends with ctx or with the command.
func (c *command) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if c != nil {
		go func() {
			select {
			case <-c.ended:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// wait returns when the command has ended, or ctx.
func (c *command) wait(ctx context.Context) {
	select {
	case <-c.ended:
	case <-ctx.Done():
	}
}

// end tells the command to end if it still runs, and waits for it.
func (c *command) end() {
	if c == nil {
		return
	}
	select {
	case <-c.ended:
		return
	default:
	}
	c.told = true
	c.signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(commandGrace):
		c.signal(syscall.SIGKILL)
		<-c.ended
	}
}

// signal reaches the command, and what it started if that is a group of its own.
func (c *command) signal(s syscall.Signal) {
	pid := c.Process.Pid
	if c.SysProcAttr.Setpgid {
		pid = -pid
	}
	syscall.Kill(pid, s)
}

// outcome tells how the command ended, as an exit code when it was not ended by
// us, and where its output is.
func (c *command) outcome() error {
	if c == nil {
		return nil
	}
	state := c.ProcessState.String()
	if c.output != nil {
		c.output.Close()
		fmt.Fprintf(c.said, "%s (pid %d): %s; its output is in %s\n", c.name, c.Process.Pid, state, c.output.Name())
	}
	var failed *exec.ExitError
	if c.told || !errors.As(c.err, &failed) {
		return nil
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return cli.ExitWith(128 + int(status.Signal()))
	}
	return cli.ExitWith(failed.ExitCode())
}

// note says on screen where the output goes.
func (c *command) note() []string {
	if c == nil || c.output == nil {
		return nil
	}
	return []string{fmt.Sprintf("the output of %s goes to %s", c.name, c.output.Name())}
}
