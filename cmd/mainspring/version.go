package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/worker"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and platform",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintln(command.OutOrStdout(), describeBuild(info))
			return err
		},
	}
}

// describeBuild writes what the Go tool recorded; info may be nil.
func describeBuild(info *debug.BuildInfo) string {
	return fmt.Sprintf("mainspring %s %s %s/%s", worker.BuildVersion(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
