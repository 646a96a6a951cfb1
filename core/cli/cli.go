// Package cli is the command line: commands, flags, help, completion and exit
// codes. It parses and judges everything before anything runs, and then calls a
// function that main provides.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vitals/core"
	"vitals/core/config"
	"vitals/core/diagnose"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // it was tried and did not work
	ExitUsage  = 2 // the command line or the configuration is wrong: nothing was tried
)

// Actions are what the commands do. Main provides them; all but those marked
// optional are required. Each gets a context that ends on SIGINT and SIGTERM.
type Actions struct {
	// Dashboard shows the screen, and pushes too when Options.Push.URL is set.
	Dashboard func(context.Context, *Options) error
	// Headless pushes without a screen.
	Headless func(context.Context, *Options) error
	// Snapshot takes one look and writes it to Options.Stdout in format Options.Output.
	Snapshot func(context.Context, *Options) error
	// Why explains the decisions for a process or service in format
	// Options.Output; with Options.Rehearse nothing is attached.
	Why func(ctx context.Context, r *Options, subject string) error
	// Check tells the health of units into Options.Stdout, in format Options.Output.
	Check func(context.Context, *Options, CheckOptions) (core.Status, error)
	// Gateway receives pushes, as Options.Gateway says, until ctx ends; optional.
	Gateway func(context.Context, *Options) error
	// Capabilities tells what the kernel side can do, for doctor; optional.
	Capabilities func(context.Context, *Options) []diagnose.Row
	// Themes writes the list of themes, ShowTheme one theme. They run with the
	// rights of the user whose directories are read.
	Themes    func(w io.Writer, dirs []string) error
	ShowTheme func(w io.Writer, name string, dirs []string) error
	// Checks judges kinds, rules and themes; theme files are in dirs.
	Checks func(dirs []string) config.Checks

	Version, Commit string
	Env             []string // "KEY=value" entries; nil means the process' environment
	TTY             bool     // standard output is a terminal
}

// Options is everything that a command was told: the configuration with flags and
// variables applied, and what is not part of a configuration.
type Options struct {
	*config.Loaded
	PIDs   []int32 // -p: only these and their descendants; empty means all
	Once   bool
	DryRun bool
	// Command is what follows --: it is started, and only it is observed.
	Command []string
	// Rehearse attaches nothing: units say what would be attached.
	Rehearse bool

	For    time.Duration // snapshot: how long to look
	Output string        // snapshot: table, json or prometheus; doctor: text or json

	Gateway *GatewayOptions // of the command gateway only

	Stdout, Stderr io.Writer
	TTY            bool
}

// InstanceName is the one identifier of this agent: as configured, else the host name.
func (r *Options) InstanceName() string {
	if r.Instance != "" {
		return r.Instance
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "localhost"
	}
	return core.Clean(host, core.MaxName)
}

// Usage marks err as a fault of the command line or configuration: exit code 2.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// ExitWith ends the program with a code and without a word: that of a command
// that it ran.
func ExitWith(code int) error { return exitError(code) }

type exitError int

func (e exitError) Error() string        { return fmt.Sprintf("exit code %d", int(e)) }
func (e exitError) Is(target error) bool { return target == errSilent }

// ExitCode maps an error of a command to the exit code.
func ExitCode(err error) int {
	var usage *usageError
	var bad *config.Error
	var exit exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage), errors.As(err, &bad):
		return ExitUsage
	}
	return ExitFailed
}

// Run runs the command line and returns the exit code. Errors are one line on
// stderr. Cancelling ctx is the normal end of what runs until it is told to stop.
func Run(ctx context.Context, args []string, a Actions, stdout, stderr io.Writer) int {
	root := New(a)
	if args == nil {
		args = []string{} // cobra takes nil for os.Args
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return ExitOK
	}
	if err != nil && !errors.Is(err, errSilent) {
		fmt.Fprintf(stderr, "vitals: %s\n", oneLine(err))
	}
	return ExitCode(err)
}

// errSilent is a failure that has been told already.
var errSilent = errors.New("told already")

// oneLine keeps an error to one line that is safe on a terminal.
func oneLine(err error) string {
	s := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
	return core.Clean(s, 2048)
}

// app is the command line with its actions.
type app struct {
	Actions
	global globalFlags
}

// New builds the commands.
func New(a Actions) *cobra.Command {
	if a.Env == nil {
		a.Env = os.Environ()
	}
	app := &app{Actions: a}
	root := app.root()
	root.AddCommand(
		app.snapshot(), app.doctor(), app.config(), app.themes(), app.version(), app.completion(),
		app.why(), app.check(), app.gateway(),
	)
	return root
}

// load reads the configuration with the flags of cmd applied.
func (a *app) load(cmd *cobra.Command) (*Options, error) {
	l, err := config.Load(a.options(cmd))
	if err != nil {
		return nil, err
	}
	return &Options{Loaded: l, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr(), TTY: a.TTY}, nil
}

func (a *app) options(cmd *cobra.Command) config.Options {
	paths := config.FindPaths(a.Env)
	return config.Options{File: a.global.config, Env: a.Env, Flags: givenFlags(cmd), Checks: a.checks(paths)}
}

// checks lets themes be read with the rights of the user whose files they are.
func (a *app) checks(paths config.Paths) config.Checks {
	if a.Checks == nil {
		return config.Checks{}
	}
	k := a.Checks(paths.Themes())
	if theme := k.Theme; theme != nil {
		k.Theme = func(name string) error {
			return paths.User.Do(func() error { return theme(name) })
		}
	}
	return k
}

// warn tells what was wrong with the configuration on stderr. The dashboard does
// not use it: it shows the same lines itself.
func warn(r *Options) {
	for _, n := range r.Notes() {
		fmt.Fprintf(r.Stderr, "vitals: warning: %s\n", n)
	}
}
