package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

func newRollBackCommand() *cobra.Command {
	f := &personFlags{}
	var back models.RollBackOrder
	command := &cobra.Command{
		Use:   "rollback MODEL",
		Short: "Make an earlier version the champion again, with all traffic",
		Long: "Serves the earlier version, gives it all traffic and the alias champion, and waits until that is done. A\n" +
			"rollout that is under way is ended first. Ctrl-C stops waiting; the rollback goes on.",
		Example: "  mainspring rollback flight-delay --reason 'delays at JFK are off'\n" +
			"  mainspring rollback flight-delay --to 2 --reason 'version 3 was trained on wrong labels'",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := f.signed(); err != nil {
				return err
			}
			back.By, back.Reason, back.RequestID = f.by, f.reason, cmp.Or(back.RequestID, rand.Text())
			return connect(command.Context(), f.stateDir, func(ctx context.Context, c *client.Client) error {
				return f.rollBack(ctx, command, c, args[0], back)
			})
		},
	}
	command.Flags().StringVar(&back.To, "to", "", "version (default: the previous champion)")
	command.Flags().StringVar(&back.RequestID, "id", "", "the same ID is carried out once, however often it is sent (default: a new one)")
	f.add(command)
	return command
}

func (f *personFlags) rollBack(ctx context.Context, command *cobra.Command, c *client.Client, model string, back models.RollBackOrder) error {
	out := command.OutOrStdout()
	status, err := c.Steward(ctx, model)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintln(out, announceRollBack(model, status.StewardState, back.To))
	}
	result, err := c.RollBack(ctx, model, back, f.narrator(out))
	if errors.Is(err, client.ErrStoppedFollowing) {
		fmt.Fprintf(command.ErrOrStderr(), "\nstopped waiting; the rollback goes on\n  its outcome:  mainspring audit %s --last 5\n"+
			"  wait again:   mainspring rollback %s --id %s --reason …\n", model, model, back.RequestID)
	}
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(out, result)
	}
	_, err = fmt.Fprintf(out, "%s: version %s is champion in place of %s (record %d of the audit trail)\n",
		model, result.To, cmp.Or(result.From, "none"), result.Record)
	return err
}

// narrator tells what the steward does while a person waits.
func (f *personFlags) narrator(out io.Writer) func(string) {
	if f.json {
		return nil
	}
	return func(now string) { fmt.Fprintln(out, "  "+now) }
}

func announceRollBack(model string, state models.StewardState, to string) string {
	text := fmt.Sprintf("%s: the champion is %s", model, cmp.Or(state.Champion, "none"))
	if to == "" && state.Previous == "" {
		return text
	}
	return text + "; rolling back to version " + cmp.Or(to, state.Previous)
}
