package main

import (
	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

func newWorkerCommand() *cobra.Command {
	var config worker.Config
	command := &cobra.Command{
		Use:   "worker",
		Short: "Serve workflows and light activities on queue " + models.TaskQueue,
		Long: "Serves every workflow and the activities that need no device. Start as many as you like.\n" +
			"Where Temporal, S3 and MLflow are is read from the environment; see docs/configuration.md.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return worker.Run(command.Context(), config)
		},
	}
	command.Flags().StringSliceVar(&config.Pools, "pool", []string{models.DefaultPool}, "device pools to keep running")
	command.Flags().StringVar(&config.MetricsAddr, "metrics-addr", "127.0.0.1:0", "address of /metrics; empty for none")
	return command
}
