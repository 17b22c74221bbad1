package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
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
	version, commit, dirty := "(unknown)", "", ""
	if info != nil {
		version = info.Main.Version
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = " commit " + setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				dirty = "+dirty"
			}
		}
	}
	if commit == "" {
		dirty = ""
	}
	return fmt.Sprintf("mainspring %s%s%s %s %s/%s", version, commit, dirty, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
