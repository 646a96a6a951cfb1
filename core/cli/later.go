package cli

import "github.com/spf13/cobra"

// Commands that later versions bring. They have their names and flags already,
// so that a script written for them fails with a clear line.

func (a *app) check() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [UNIT ...]",
		Short: "health, with exit codes for monitoring (not built yet)",
		RunE: func(*cobra.Command, []string) error {
			return notBuilt("check", "vitals snapshot -o json has the health of every unit")
		},
	}
	cmd.Flags().String("spec", "", "check what this `FILE` describes")
	cmd.Flags().StringP("output", "o", "text", "`FORMAT`: text, json")
	return cmd
}
