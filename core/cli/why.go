package cli

import "github.com/spf13/cobra"

func (a *app) why() *cobra.Command {
	formats := []string{"text", "json"}
	cmd := &cobra.Command{
		Use:   "why PID|SERVICE [flags]",
		Short: "what is attached, what is not, by which rule, and what would change it",
		Long: "Explains every decision for a process, or for each process of a service: what was found, which rule decided,\n" +
			"what is attached, what is not and why, and what would change that.",
		Example: "  sudo vitals why 2871\n  sudo vitals why nginx --dry-run",
		Args:    oneArg("PID or service", "nginx"),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := output(cmd, formats...)
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
			r.Output = format
			r.Rehearse, _ = cmd.Flags().GetBool("dry-run")
			warn(r)
			return a.Why(cmd.Context(), r, args[0])
		},
	}
	selectionFlags(cmd)
	cmd.Flags().Bool("dry-run", false, "attach nothing: say what would be attached")
	outputFlag(cmd, formats...)
	return cmd
}
