package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// errRolledBack is the exit status of a rollout that was watched to an end
// without a promotion.
var errRolledBack = errors.New("the version was not promoted")

// rolloutFlags are those of mainspring rollout.
type rolloutFlags struct {
	stateDir   string
	once, json bool
}

func newRolloutCommand() *cobra.Command {
	var f rolloutFlags
	command := &cobra.Command{
		Use:   "rollout ENDPOINT",
		Short: "Watch a canary's evidence, or pause, resume, abort and promote it",
		Long: `Shows the endpoint's rollout: the weights, what both versions answered, and the
evidence of each metric against its thresholds. On a terminal it follows the
rollout until it ends; elsewhere, and with --once, it prints where it stands.

The judge may be looked at and acted on at any moment: its error budgets hold
however often one looks. A person may decide instead, on the record.`,
		Example: "  mainspring rollout flights\n" +
			"  mainspring rollout pause flights --reason 'the upstream is being upgraded'\n" +
			"  mainspring rollout abort flights --reason 'complaints from support'",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return connect(command.Context(), f.stateDir, func(ctx context.Context, c *client.Client) error {
				return f.show(ctx, c, args[0], command.OutOrStdout())
			})
		},
	}
	flags := command.Flags()
	flags.BoolVar(&f.once, "once", false, "print where it stands, and leave")
	flags.BoolVar(&f.json, "json", false, "print where it stands as JSON, and leave")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	command.AddCommand(
		rolloutOrderCommand(models.RolloutPause, "Keep the weight until resume; harm still rolls back, the deadline waits"),
		rolloutOrderCommand(models.RolloutResume, "Go on with a paused rollout"),
		rolloutOrderCommand(models.RolloutAbort, "Roll back now, whatever the evidence"),
		rolloutOrderCommand(models.RolloutPromote, "Release now, whatever the evidence"),
	)
	return command
}

func rolloutOrderCommand(action models.RolloutAction, short string) *cobra.Command {
	f := &personFlags{}
	command := &cobra.Command{
		Use: string(action) + " ENDPOINT", Short: short,
		Long:    short + ".\nWho did it, why, and the evidence at that moment are kept in the model's audit trail.",
		Example: fmt.Sprintf("  mainspring rollout %s flights --reason '…'", action),
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := f.signed(); err != nil {
				return err
			}
			return connect(command.Context(), f.stateDir, func(ctx context.Context, c *client.Client) error {
				status, err := c.OrderRollout(ctx, args[0], models.RolloutOrder{Action: action, By: f.by, Reason: f.reason})
				if err != nil {
					return err
				}
				if f.json {
					return writeJSON(command.OutOrStdout(), status)
				}
				_, err = fmt.Fprintln(command.OutOrStdout(), ordered(args[0], action, status))
				return err
			})
		},
	}
	f.add(command)
	return command
}

// ordered says what an order did, and what comes next.
func ordered(endpoint string, action models.RolloutAction, status models.RolloutStatus) string {
	text := fmt.Sprintf("%s: the rollout of version %s ", endpoint, status.Version)
	switch action {
	case models.RolloutPause:
		return text + "is paused; harm still rolls it back\n  go on:  mainspring rollout resume " + endpoint + " --reason …"
	case models.RolloutResume:
		return text + "goes on"
	case models.RolloutAbort:
		if status.Champion == "" {
			return text + "is aborted; it gets no traffic"
		}
		return text + "is aborted; all traffic goes back to version " + status.Champion
	case models.RolloutPromote:
		if !status.Serving {
			return text + "ends with its promotion once its servers are ready"
		}
		return text + "ends with its promotion"
	default:
		return text + "was told to " + string(action)
	}
}

func (f rolloutFlags) show(ctx context.Context, c *client.Client, endpoint string, out io.Writer) error {
	found, err := c.Rollout(ctx, endpoint)
	switch {
	case err != nil:
		return err
	case f.json:
		return writeJSON(out, found)
	case f.once || !terminal.Is(out):
		return printLines(out, rolloutFrame{plainLayout(), found, time.Now()}.lines())
	}
	view := live{
		lines: func(l layout) []string { return rolloutFrame{l, found, time.Now()}.lines() },
		ended: func() bool { return !found.Closed.IsZero() },
		look: func(ctx context.Context) error {
			next, err := c.Rollout(ctx, endpoint)
			if err == nil {
				found = next
			}
			return err
		},
	}
	view.follow(ctx, terminal.NewScreen(out, nil))
	if view.ended() && (found.Result == nil || found.Result.Verdict != models.VerdictPass) {
		return errRolledBack
	}
	return nil
}
