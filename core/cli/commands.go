package cli

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vitals/core/config"
	"vitals/core/diagnose"
)

func (a *app) snapshot() *cobra.Command {
	formats := []string{"table", "json", "prometheus"}
	cmd := &cobra.Command{
		Use:   "snapshot [flags]",
		Short: "one look, for scripts",
		Long:  "Watches for a while and prints what it saw. Counts and quantiles cover that time. An interrupt ends it early\nand prints what there is.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := output(cmd, formats...)
			if err != nil {
				return err
			}
			window, err := duration(cmd, "for", maxFor)
			if err != nil {
				return err
			}
			r, err := a.load(cmd)
			if err != nil {
				return err
			}
			if r.PIDs, err = pids(cmd); err != nil {
				return err
			}
			r.For, r.Output = window, format
			warn(r)
			return a.Snapshot(cmd.Context(), r)
		},
	}
	selectionFlags(cmd)
	cmd.Flags().String("for", "5s", "how long to look: `TIME`")
	outputFlag(cmd, formats...)
	return cmd
}

func (a *app) doctor() *cobra.Command {
	formats := []string{"text", "json"}
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "what this kernel and user allow, and how to get the rest",
		Long:  "Lists feature by feature what works here, what does not, why, and what would change it. Exit code 0 when\neverything essential works, else 1.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := output(cmd, formats...)
			if err != nil {
				return err
			}
			r, err := a.load(cmd)
			if err != nil {
				return err
			}
			r.Output = format
			warn(r)
			return a.runDoctor(cmd, r)
		},
	}
	outputFlag(cmd, formats...)
	return cmd
}

func (a *app) runDoctor(cmd *cobra.Command, r *Options) error {
	system := diagnose.System{Env: a.Env, TTY: a.TTY}
	if r.Paths.User.Other {
		system.User = r.Paths.User.Name
	}
	rows := diagnose.Look(system)
	if a.Capabilities != nil {
		rows = append(rows, a.Capabilities(cmd.Context(), r)...)
	}
	write := diagnose.WriteText
	if r.Output == "json" {
		write = diagnose.WriteJSON
	}
	if err := write(r.Stdout, rows); err != nil {
		return err
	}
	if !diagnose.OK(rows) {
		return errSilent
	}
	return nil
}

func (a *app) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "check, print, or find the configuration", Args: subcommand, RunE: group}
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "list everything that is wrong with it, line by line; exit 0 when nothing is, else 2",
		Args:  atMostOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := a.options(cmd)
			if len(args) == 1 {
				o.File = args[0]
			}
			return checkConfig(cmd, o)
		},
	}
	print := &cobra.Command{
		Use:   "print",
		Short: "every value in force and who decided it; --sample: a commented file to start from",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sample, _ := cmd.Flags().GetBool("sample"); sample {
				_, err := fmt.Fprint(cmd.OutOrStdout(), config.Sample())
				return err
			}
			r, err := a.load(cmd)
			if err != nil {
				return err
			}
			warn(r)
			_, err = fmt.Fprint(r.Stdout, r.Print())
			return err
		},
	}
	print.Flags().Bool("sample", false, "print a commented configuration with all defaults")
	path := &cobra.Command{
		Use:   "path",
		Short: "the file that is read, or that would be",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := config.Load(a.options(cmd))
			file := l.File
			if file == "" {
				file = l.Paths.Files()[0]
				if named := a.global.config; named != "" {
					return err
				}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), file)
			return err
		},
	}
	cmd.AddCommand(check, print, path)
	return cmd
}

func atMostOneFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("%s takes one file, got %d arguments", cmd.CommandPath(), len(args))
	}
	return nil
}

func checkConfig(cmd *cobra.Command, o config.Options) error {
	l, err := config.Load(o)
	problems := l.AllProblems(err)
	for _, p := range problems {
		fmt.Fprintln(cmd.ErrOrStderr(), p)
	}
	for _, w := range l.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), w)
	}
	if len(problems) > 0 {
		return Usage(errSilent) // as every command that is told such a file
	}
	file := l.File
	if file == "" {
		file = "no file, all defaults"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", file)
	return err
}

func (a *app) themes() *cobra.Command {
	cmd := &cobra.Command{Use: "themes", Short: "list and show themes", Args: subcommand, RunE: group}
	list := &cobra.Command{
		Use:   "list",
		Short: "the themes that --theme accepts",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			paths := config.FindPaths(a.Env)
			return paths.User.Do(func() error { return a.Themes(cmd.OutOrStdout(), paths.Themes()) })
		},
	}
	show := &cobra.Command{
		Use:   "show NAME",
		Short: "a theme as a file: copy it to themes/ beside config.yaml and change it",
		Args:  oneArg("name", "midnight"),
		RunE: func(cmd *cobra.Command, args []string) error {
			paths := config.FindPaths(a.Env)
			return Usage(paths.User.Do(func() error { return a.ShowTheme(cmd.OutOrStdout(), args[0], paths.Themes()) }))
		},
	}
	importing := &cobra.Command{
		Use:   "import FILE",
		Short: "take over a theme of another program (not built yet)",
		RunE: func(*cobra.Command, []string) error {
			return notBuilt("themes import", "copy the output of vitals themes show midnight and change its colours")
		},
	}
	cmd.AddCommand(list, show, importing)
	return cmd
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "version, commit, Go and kernel",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.printVersion(cmd) },
	}
}

func (a *app) printVersion(cmd *cobra.Command) error {
	kernel := "unknown"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "vitals %s (commit %s), %s %s/%s, kernel %s\n",
		or(a.Version, "dev"), or(a.Commit, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel)
	return err
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (a *app) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "a script that completes commands and flags: " + strings.Join(shells, ", "),
		Example:   "  vitals completion bash > /etc/bash_completion.d/vitals",
		Args:      oneArg("shell ("+strings.Join(shells, ", ")+")", "bash"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usagef("%s is not a shell that can be completed: use %s", quoted(args[0]), strings.Join(shells, ", "))
		},
	}
}

// subcommand refuses what is not one of cmd's commands.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usagef("unknown command %s: %s has %s", quoted(args[0]), cmd.CommandPath(), strings.Join(names, ", "))
}

// group is a command that only holds others: called alone it shows them.
func group(cmd *cobra.Command, _ []string) error { return cmd.Help() }
