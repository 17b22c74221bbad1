package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
)

func newStatusCommand() *cobra.Command {
	var follow bool
	var stateDir string
	command := &cobra.Command{
		Use:   "status WORKFLOW-ID",
		Short: "Print where a lifecycle stands, or follow it",
		Long: "Prints a lifecycle's stages and what it waits for; of any other of Mainspring's workflows (such as\n" +
			"pool/default, model/<name>, monitor/<endpoint>) its status as JSON.",
		Example: "  mainspring status lifecycle/flight-delay/2013-03-01\n  mainspring status pool/default",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return connect(command.Context(), stateDir, func(ctx context.Context, connection *client.Client) error {
				if !follow {
					return connection.PrintStatus(ctx, args[0], command.OutOrStdout())
				}
				_, err := connection.Follow(ctx, args[0], command.OutOrStdout())
				return err
			})
		},
	}
	command.Flags().BoolVar(&follow, "follow", false, "follow the lifecycle until it ends")
	command.Flags().StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}
