package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"vitals/core/config"
)

const rootLong = `What every process on this machine is doing, right now, in your terminal: requests, errors,
latency, network, CPU. Nothing is restarted, recompiled or configured.

Exit codes: 0 ok, 1 it was tried and failed, 2 the command line or the configuration is wrong.
vitals check: 0 ok, 1 something is not well, 2 it cannot be told.`

const rootExample = `  sudo vitals                                    the dashboard
  sudo vitals -p 2871                            only this process and its descendants
  sudo vitals -- ./server --port 8080            starts it and watches it, from its first request on
  sudo vitals --push http://gateway:9091         headless: push every 15 s
  sudo vitals --push http://gateway:9091 --ui    push, with the dashboard
  sudo vitals --listen 9435                      the dashboard, and /metrics for Prometheus
  sudo vitals --listen 9435 --headless           /metrics alone
  sudo vitals snapshot --for 10s -o json         one look, for scripts
  vitals doctor                                  what works here, and what does not`

func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "vitals [flags]",
		Short:             "what every process on this machine is doing, right now",
		Long:              rootLong,
		Example:           rootExample,
		Args:              rootArgs,
		RunE:              a.runRoot,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.SetFlagErrorFunc(flagError)
	cmd.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	a.addGlobal(cmd)
	selectionFlags(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.String("refresh", "", "`TIME` between two pictures (default 1s)")
	f.String("theme", "", "`NAME` of a theme, see vitals themes list (default: by the terminal's background)")
	f.String("color", "", "`COLORS`: auto, truecolor, 256, 16 or none")
	f.Bool("ascii", false, "draw with ASCII characters only")
	f.Bool("plain", false, "lines of text instead of a screen")
	f.String("listen", "", "serve /metrics, /health and the API on `ADDR`: 9435 is this machine only")
	f.String("web-config", "", "`FILE` with TLS and users for --listen, in the form that Prometheus' exporters have")
	f.String("push", "", "push to the Pushgateway at `URL`, without a screen")
	f.String("interval", "", "`TIME` between two pushes (default 15s)")
	f.String("job", "", "`NAME` of the job that is pushed (default vitals)")
	f.StringArray("group", nil, "further grouping label `NAME=VALUE`; may be repeated")
	f.Bool("once", false, "push once and exit")
	f.Bool("dry-run", false, "print what would be pushed, and where, and exit")
	f.Bool("ui", false, "push and show the dashboard too")
	f.Bool("headless", false, "push to the destinations of the configuration and serve, without a screen")
	f.Bool("version", false, "print the version and exit")
	complete(cmd, "color", "auto", "truecolor", "256", "16", "none")
	return cmd
}

// rootArgs lets through what follows "--" and explains everything else.
func rootArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || cmd.ArgsLenAtDash() == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	if near := config.Nearest(args[0], names); near != "" {
		return usagef("unknown command %s: did you mean %s?", quoted(args[0]), near)
	}
	return usagef("unknown command %s: there are %s", quoted(args[0]), strings.Join(names, ", "))
}

func (a *app) runRoot(cmd *cobra.Command, args []string) error {
	f := cmd.Flags()
	if v, _ := f.GetBool("version"); v {
		return a.printVersion(cmd)
	}
	r, err := a.load(cmd)
	if err != nil {
		return err
	}
	if r.PIDs, err = pids(cmd); err != nil {
		return err
	}
	if cmd.ArgsLenAtDash() == 0 {
		if r.Command = args; len(args) == 0 {
			return usagef("-- needs a command to start: vitals -- ./server --port 8080")
		}
		if len(r.PIDs) > 0 {
			return usagef("--pid and a command contradict each other: leave one out")
		}
	}
	r.Once, _ = f.GetBool("once")
	r.DryRun, _ = f.GetBool("dry-run")
	ui, _ := f.GetBool("ui")
	quiet, _ := f.GetBool("headless")
	if err := pushFlags(cmd, r, ui); err != nil {
		return err
	}
	if quiet || headless(r, ui) || servesOnly(r, ui) {
		warn(r)
		return a.Headless(cmd.Context(), r)
	}
	return a.Dashboard(cmd.Context(), r)
}

// headless: an address from the command line or a variable means an agent; one
// from the file is a destination that the dashboard serves beside the screen.
func headless(r *Options, ui bool) bool {
	if r.Once || r.DryRun {
		return true
	}
	source := r.Sources["push.url"]
	said := strings.HasPrefix(source, "--") || strings.HasPrefix(source, "VITALS_")
	return r.Push.URL != "" && said && !ui
}

// servesOnly: what serves and has no terminal to draw on is an agent, too.
func servesOnly(r *Options, ui bool) bool {
	return r.Listen != "" && !r.TTY && !ui && !r.Plain
}

// pushFlags refuses combinations that contradict each other.
func pushFlags(cmd *cobra.Command, r *Options, ui bool) error {
	f := cmd.Flags()
	if f.Changed("push") && r.Push.URL == "" {
		return usagef("--push needs the gateway's address, for example --push http://gateway:9091")
	}
	if ui && (r.Once || r.DryRun) {
		return usagef("--ui does not go with --once or --dry-run: leave one out")
	}
	if quiet, _ := f.GetBool("headless"); quiet && ui {
		return usagef("--headless and --ui contradict each other: leave one out")
	}
	if len(r.Pushes()) > 0 {
		return nil
	}
	for _, name := range []string{"interval", "job", "group", "once", "dry-run", "ui", "headless"} {
		serves := r.Listen != "" && (name == "ui" || name == "headless")
		if f.Changed(name) && !serves {
			return usagef("--%s needs an address to push to: add --push URL", name)
		}
	}
	return nil
}
