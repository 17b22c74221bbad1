package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/workflows"
)

func newReplayCommand() *cobra.Command {
	var stateDir string
	command := &cobra.Command{
		Use:   "replay HISTORY.json...",
		Short: "Replay recorded workflow histories against this version's code",
		Long: "Replays histories, as `temporal workflow show --output json` writes them, against the workflows in\n" +
			"this binary. A history that this version would continue differently is an error: runs in flight\n" +
			"would break on the upgrade. Large payloads are fetched from the artifact store that the environment\n" +
			"or the local stack names.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, paths []string) error {
			stack, err := findStack(stateDir)
			if err != nil {
				return err
			}
			payloads, err := claimcheck.FromEnv(storeEnv(stack))
			if err != nil {
				return err
			}
			for _, path := range paths {
				if err := workflows.Replay(path, payloads); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				fmt.Fprintf(command.OutOrStdout(), "ok  %s\n", path)
			}
			return nil
		},
	}
	command.Flags().StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}
