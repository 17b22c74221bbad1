package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/devstack"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is installed, where it comes from, what is missing, and whether the stores answer",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			findings, err := devstack.Doctor(command.Context())
			if err != nil {
				return err
			}
			missing := false
			for _, f := range findings {
				mark := "✓"
				if !f.OK {
					mark, missing = "✗", true
				}
				fmt.Fprintf(command.OutOrStdout(), "%s %-18s %-12s %-8s %s %s\n", mark, f.What, f.Version, f.Source, f.Path, f.Hint)
			}
			well, err := examineStores(command.Context(), command.OutOrStdout())
			if err != nil {
				return err
			}
			if missing || !well {
				return errors.New("something is missing; see the lines marked ✗")
			}
			return nil
		},
	}
}

// newSetupCommand installs without starting anything, for images and caches.
func newSetupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Install what the local stack needs, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := devstack.Setup(command.Context(), devstack.ReporterFunc(func(p devstack.Progress) {
				fmt.Fprintf(command.OutOrStdout(), "%-10s %-28s %s\n", p.State, p.Title, p.Detail)
			}))
			return err
		},
	}
}

// newWatchdogCommand ends what is left of a stack whose supervisor was killed.
func newWatchdogCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "watchdog",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return devstack.RunWatchdog(command.InOrStdin())
		},
	}
}
