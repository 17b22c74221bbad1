package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/runner"
)

// newShimCommand is what an agent starts for each job; nobody types it.
func newShimCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    "shim --dir DIR",
		Short:  "Run the processes of one job",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Unlike other commands it hears every signal: nobody else ends its job.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
			defer stop()
			return runner.RunShim(ctx, dir, os.Stdin)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the job")
	if err := cmd.MarkFlagRequired("dir"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
