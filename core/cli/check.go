package cli

import (
	"github.com/spf13/cobra"

	"vitals/core"
)

// CheckOptions is what vitals check was told.
type CheckOptions struct {
	Units []string // ids or kinds; none means all
	// Spec says that the configuration is a file with what shall be checked,
	// whether it runs anywhere or not.
	Spec bool
}

const checkLong = `Tells the health of every unit: probes, integrations, destinations. With listen in the configuration
the vitals that runs there is asked; without one, what the configuration describes is tried: destinations and
integrations are connected to and asked something harmless, probes say whether they could be attached.

Exit codes: 0 all is well, 1 something is not, 2 it cannot be told, or the command line is wrong.`

func (a *app) check() *cobra.Command {
	formats := []string{"text", "json"}
	cmd := &cobra.Command{
		Use:   "check [UNIT ...] [flags]",
		Short: "health, with exit codes for monitoring",
		Long:  checkLong,
		Example: "  vitals check\n  vitals check destination/pushgateway -o json\n" +
			"  vitals check --spec new.yaml                   before it goes into config.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := output(cmd, formats...)
			if err != nil {
				return err
			}
			file, err := cmd.Flags().GetString("spec")
			if err != nil {
				return err
			}
			if file != "" {
				if a.global.config != "" {
					return usagef("--spec and --config contradict each other: leave one out")
				}
				a.global.config = file
			}
			r, err := a.load(cmd)
			if err != nil {
				return err
			}
			r.Output = format
			warn(r)
			status, err := a.Check(cmd.Context(), r, CheckOptions{Units: args, Spec: file != ""})
			if err != nil {
				return err
			}
			switch status {
			case core.StatusOK:
				return nil
			case core.StatusError:
				return errSilent
			}
			return Usage(errSilent) // exit code 2
		},
	}
	cmd.Flags().String("spec", "", "check what this `FILE` describes: it has the form of config.yaml")
	outputFlag(cmd, formats...)
	return cmd
}
