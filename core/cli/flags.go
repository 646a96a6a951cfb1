package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vitals/core"
	"vitals/core/config"
)

// globalFlags are the flags that every command has.
type globalFlags struct {
	config, instance, logLevel string
}

func (a *app) addGlobal(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&a.global.config, "config", "", "configuration `FILE`, instead of the usual places")
	f.StringVar(&a.global.instance, "instance", "", "`NAME` of this agent in labels (default: the host name)")
	f.StringVar(&a.global.logLevel, "log-level", "", "`LEVEL` of the log: debug, info, warn or error")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
}

// selectionFlags choose processes.
func selectionFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayP("pid", "p", nil, "only this `PID` and its descendants; may be repeated")
	f.StringArray("include", nil, "observe only processes that match `RULE`, for example name=nginx*; may be repeated")
	f.StringArray("exclude", nil, "never observe processes that match `RULE`; may be repeated")
}

// givenFlags lists the flags that were given, as config wants them. Flags that
// config does not know are ignored there.
func givenFlags(cmd *cobra.Command) (out []config.Flag) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		out = append(out, config.Flag{Name: f.Name, Values: values})
	})
	return out
}

func pids(cmd *cobra.Command) ([]int32, error) {
	texts, err := cmd.Flags().GetStringArray("pid")
	if err != nil {
		return nil, err
	}
	var out []int32
	for _, t := range texts {
		for one := range strings.SplitSeq(t, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(one), 10, 32)
			if err != nil || n <= 0 {
				return nil, usagef("--pid: %s is not a process id: give a positive number", quoted(one))
			}
			out = append(out, int32(n))
		}
	}
	return out, nil
}

// outputFlag adds -o with its choices; the first is the default.
func outputFlag(cmd *cobra.Command, choices ...string) {
	cmd.Flags().StringP("output", "o", choices[0], "`FORMAT`: "+strings.Join(choices, ", "))
	complete(cmd, "output", choices...)
}

func output(cmd *cobra.Command, choices ...string) (string, error) {
	o, err := cmd.Flags().GetString("output")
	if err == nil && !slices.Contains(choices, o) {
		err = usagef("--output: %s is not a format: use %s", quoted(o), strings.Join(choices, ", "))
	}
	return o, err
}

func duration(cmd *cobra.Command, name string, most time.Duration) (time.Duration, error) {
	text, err := cmd.Flags().GetString(name)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, usagef("--%s: %s is not a duration from 0s to %v: write for example 500ms, 10s or 1m", name, quoted(text), most)
	}
	return d, nil
}

func complete(cmd *cobra.Command, flag string, words ...string) {
	// The only error is an unknown flag, which the tests would show.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func quoted(s string) string { return strconv.Quote(core.Clean(s, 80)) }

// flagError makes pflag's errors say what to do.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &missing) && missing.GetFlag() != nil:
		kind, _ := pflag.UnquoteUsage(missing.GetFlag())
		return usagef("--%s needs a value: --%s %s", missing.GetFlag().Name, missing.GetFlag().Name, kind)
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			name = "-" + s
		}
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			help = "did you mean --" + near + "?"
		}
		return usagef("unknown flag %s: %s", core.Clean(name, 80), help)
	case errors.As(err, &invalid):
		return usagef("--%s: %s does not fit: %v", invalid.GetFlag().Name, quoted(invalid.GetValue()), invalid.Unwrap())
	}
	return usagef("%v: %s", err, help)
}

func nearestFlag(cmd *cobra.Command, name string) string {
	var names []string
	collect := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.Flags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	return config.Nearest(name, names)
}

// noArgs refuses arguments in one line.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %s", cmd.CommandPath(), quoted(args[0]))
	}
	return nil
}

func oneArg(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s needs one %s: %s %s", cmd.CommandPath(), what, cmd.CommandPath(), example)
		}
		return nil
	}
}

// notBuilt is the answer of what belongs to a later version.
func notBuilt(what, instead string) error {
	return fmt.Errorf("%s is not built yet: %s", what, instead)
}

// maxFor is the longest look of a snapshot.
const maxFor = 7 * 24 * time.Hour
