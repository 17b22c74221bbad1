package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

func newLogsCommand() *cobra.Command {
	var options client.LogOptions
	var rank int
	var stateDir string
	command := &cobra.Command{
		Use:   "logs [-f] WORKFLOW-ID",
		Short: "Print what the ranks of a training write",
		Long: "Prints the logs of a training's newest attempt, given the training or its lifecycle. They are kept in\n" +
			"the artifact store while they grow, so neither the agent nor the host need be there. With several\n" +
			"ranks each line begins with its rank.\n\n" +
			"Ctrl-C stops reading; the training goes on.",
		Example: "  mainspring logs -f lifecycle/flight-delay/2013-03-01\n" +
			"  mainspring logs --rank 1 --attempt 2 --tail 50 lifecycle/flight-delay/2013-03-01/train",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if rank < -1 || options.Attempt < 0 || options.Tail < 0 {
				return &usageError{errors.New("--rank, --attempt and --tail can't be negative")}
			}
			if rank >= 0 {
				options.Rank = &rank
			}
			options.Notes = command.ErrOrStderr()
			stack, err := findStack(stateDir)
			if err != nil {
				return err
			}
			connection, err := dial(command.Context(), stack)
			if err != nil {
				return err
			}
			defer connection.Close()
			store, err := stores.Open(storeEnv(stack))
			if err != nil {
				return err
			}
			return connection.Logs(command.Context(), args[0], store, options, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&options.Follow, "follow", "f", false, "go on until the training ends, attempt after attempt")
	flags.IntVar(&rank, "rank", -1, "only this rank (default: all)")
	flags.IntVar(&options.Attempt, "attempt", 0, "only this attempt, 1 for the first (default: the newest)")
	flags.IntVar(&options.Tail, "tail", 0, "begin with the last so many lines of each rank (default: all)")
	flags.StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}
