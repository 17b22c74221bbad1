package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/models"
)

func newTopUpCommand() *cobra.Command {
	var stateDir string
	up := models.TopUp{}
	command := &cobra.Command{
		Use:   "top-up WORKFLOW-ID GPU-SECONDS",
		Short: "Give a training with a budget more GPU-seconds",
		Long: "Adds to the budget of a training (train.budget.gpu_seconds). A training that has used its budget up is\n" +
			"paused without devices; a top-up lets it go on from its last checkpoint. WORKFLOW-ID is the training's or\n" +
			"its lifecycle's.",
		Example: "  mainspring top-up lifecycle/flight-delay/2013-03-01 3600",
		Args:    cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			seconds, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || seconds <= 0 {
				return &usageError{fmt.Errorf("%q is no number of GPU-seconds; write a whole number above 0, such as 3600", args[1])}
			}
			up.GPUSeconds, up.ID = seconds, cmp.Or(up.ID, rand.Text())
			stack, err := findStack(stateDir)
			if err != nil {
				return err
			}
			connection, err := dial(command.Context(), stack)
			if err != nil {
				return err
			}
			defer connection.Close()
			done, err := connection.TopUp(command.Context(), args[0], up)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), done)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&up.ID, "id", "", "the same ID counts once, however often it is sent (default: a new one)")
	flags.StringVar(&up.By, "by", os.Getenv("USER"), "who gives it, for the record")
	flags.StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}
