package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

func newAliasesCommand() *cobra.Command {
	f := &personFlags{}
	actions := []struct {
		name, usage string
		action      models.AliasAction
		given       bool
	}{
		{name: "restore", action: models.AliasRestore, usage: "set the aliases in MLflow back to what is recorded"},
		{name: "adopt", action: models.AliasAdopt, usage: "make what MLflow has the record; traffic follows the champion"},
		{name: "take-over", action: models.AliasTakeOver, usage: "claim a model that another steward holds, such as that of a Temporal namespace that is gone"},
	}
	command := &cobra.Command{
		Use:   "aliases MODEL",
		Short: "Compare a model's aliases in MLflow with the record, and decide about differences",
		Long: "Shows the aliases that the steward has recorded beside those that MLflow has now. An alias that somebody\n" +
			"else moved is not overwritten by itself: a release that would do so waits until it is restored or adopted.",
		Example: "  mainspring aliases flight-delay\n  mainspring aliases flight-delay --restore --reason 'moved by mistake'",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			what := models.AliasOrder{Action: models.AliasLook}
			for _, a := range actions {
				if a.given {
					what.Action = a.action
				}
			}
			if what.Action != models.AliasLook {
				if err := f.signed(); err != nil {
					return err
				}
				what.By, what.Reason = f.by, f.reason
			}
			return connect(command.Context(), f.stateDir, func(ctx context.Context, c *client.Client) error {
				return f.aliases(ctx, command, c, args[0], what)
			})
		},
	}
	var names []string
	for i := range actions {
		command.Flags().BoolVar(&actions[i].given, actions[i].name, false, actions[i].usage)
		names = append(names, actions[i].name)
	}
	command.MarkFlagsMutuallyExclusive(names...)
	f.add(command)
	return command
}

func (f *personFlags) aliases(ctx context.Context, command *cobra.Command, c *client.Client, model string, what models.AliasOrder) error {
	out := command.OutOrStdout()
	tell := f.narrator(out)
	if what.Action == models.AliasLook {
		tell = nil // done in a moment
	}
	report, err := c.Aliases(ctx, model, what, tell)
	if errors.Is(err, client.ErrStoppedFollowing) {
		fmt.Fprintf(command.ErrOrStderr(), "\nstopped waiting; the order goes on: mainspring audit %s --last 5\n", model)
	}
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(out, report)
	}
	return printAliases(out, model, report)
}
