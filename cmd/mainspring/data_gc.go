package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

type collectFlags struct {
	stateDir  string
	remove    bool
	dryRun    bool
	json      bool
	grace     models.Duration
	olderThan models.Duration
	leftovers models.Duration
}

func newDataGCCommand() *cobra.Command {
	f := &collectFlags{}
	command := &cobra.Command{
		Use:   "gc",
		Short: "Delete snapshots whose retention is over and that nobody refers to",
		Long: "Shows every snapshot, who keeps it, and what would happen to it; --delete does it. A snapshot goes when the\n" +
			"retention after its last use is over and no model version, no run and no workflow refers to it. It is\n" +
			"condemned first and deleted by a later --delete, when the grace is over and nobody has used it meanwhile.\n" +
			"Files that another snapshot has too stay. If Temporal, MLflow or the store does not answer, nothing is\n" +
			"deleted. It may run beside anything, and again after it was killed: docs/governance.md.",
		Example: "  mainspring data gc\n  mainspring data gc --delete\n  mainspring data gc --older-than 365d --json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if f.grace < 0 || f.olderThan < 0 || f.leftovers < 0 {
				return &usageError{errors.New("a duration can't be negative")}
			}
			report, err := f.collect(command.Context())
			if err != nil {
				return err
			}
			if f.json {
				return writeJSON(command.OutOrStdout(), report)
			}
			return printCollection(command.OutOrStdout(), report)
		},
	}
	command.Flags().BoolVar(&f.remove, "delete", false, "do it; without, it is only shown")
	command.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would happen (the default)")
	command.Flags().BoolVar(&f.json, "json", false, "print JSON")
	command.Flags().TextVar(&f.grace, "grace", models.Duration(snapshots.Grace), "how long a condemned snapshot waits for somebody who uses it, and how old a file must be to be deleted")
	command.Flags().TextVar(&f.olderThan, "older-than", models.Duration(0), "retention of snapshots that have none, such as 365d (default: they are kept)")
	command.Flags().Lookup("older-than").DefValue = "" // the usage says it
	command.Flags().TextVar(&f.leftovers, "leftovers-after", 7*models.Day, "how long what preparations have found is kept for others to find")
	command.Flags().StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	command.MarkFlagsMutuallyExclusive("delete", "dry-run")
	return command
}

func (f *collectFlags) collect(ctx context.Context) (report snapshots.Report, err error) {
	stack, err := findStack(f.stateDir)
	if err != nil {
		return report, err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return report, err
	}
	tracking, err := openTracking(stack)
	if err != nil {
		return report, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	err = connect(ctx, f.stateDir, func(ctx context.Context, c *client.Client) error {
		collector := &snapshots.Collector{
			Catalog: snapshots.Catalog{Store: store}, Delete: f.remove, Host: host,
			Rules: snapshots.Rules{Grace: f.grace.Std(), OlderThan: f.olderThan.Std(), Leftovers: f.leftovers.Std()},
			Needed: func(ctx context.Context, items []snapshots.Item) (snapshots.Needs, error) {
				return c.SnapshotNeeds(ctx, tracking, items)
			},
		}
		report, err = collector.Run(ctx)
		return err
	})
	if errors.Is(err, client.ErrNotReachable) {
		err = fmt.Errorf("who needs the snapshots can't be said, so nothing is deleted: %w", err)
	}
	return report, err
}

// openTracking opens MLflow, as the environment says, else the stack's.
func openTracking(stack devstack.Access) (*mlflow.Client, error) {
	getenv := os.Getenv
	if os.Getenv("MLFLOW_TRACKING_URI") == "" && stack.MLflow != "" {
		getenv = lookup(stack.Env())
	}
	return mlflow.New(mlflow.ConfigFromEnv(getenv))
}

// printCollection writes what was found as a table, and the sum of it.
func printCollection(w io.Writer, report snapshots.Report) error {
	rows := make([]string, len(report.Snapshots))
	counts := map[snapshots.Action]int{}
	for i, d := range report.Snapshots {
		counts[d.Action]++
		used := "never"
		if d.LastUse != nil {
			used = age(report.At.Sub(*d.LastUse)) + " ago"
		}
		rows[i] = fmt.Sprintf("%.12s\t%s\t%s\t%s\t%s\t%s", d.Snapshot, age(report.At.Sub(d.Made)), terminal.Size(d.Bytes), used,
			d.Action, terminal.Plain(reasonFor(d)))
	}
	fmt.Fprintf(w, "Snapshots: %d\n", len(report.Snapshots))
	if err := columns(w, "SNAPSHOT\tAGE\tSIZE\tLAST USE\tACTION\tWHY", rows, len(rows)); err != nil {
		return err
	}
	rows = rows[:0]
	for _, l := range report.Preparations {
		rows = append(rows, fmt.Sprintf("%.12s\t%s\t%d\t%s", l.Preparation, age(report.At.Sub(l.Since)), l.Objects, terminal.Size(l.Frees)))
	}
	if err := columns(w, "LEFT BY PREPARATION\tAGE\tOBJECTS\tFREES", rows, len(rows)); err != nil {
		return err
	}
	if report.Kept != "" {
		fmt.Fprintf(w, "\nWhat preparations have left stays: %s\n", terminal.Plain(report.Kept))
	}
	_, err := fmt.Fprintf(w, "\n%s\n", sumOfCollection(report, counts))
	return err
}

func sumOfCollection(report snapshots.Report, counts map[snapshots.Action]int) string {
	gone := counts[snapshots.ActionDelete] + counts[snapshots.ActionFinish]
	if report.Deleted {
		return fmt.Sprintf("Snapshots deleted: %d, condemned: %d, needed again: %d. Freed: %s.",
			gone, counts[snapshots.ActionCondemn], counts[snapshots.ActionRevive], terminal.Size(report.Frees))
	}
	return fmt.Sprintf("Nothing was changed. --delete would delete %d and condemn %d, and free %s.",
		gone, counts[snapshots.ActionCondemn], terminal.Size(report.Frees))
}

// mostKeepers bounds those that a line names.
const mostKeepers = 3

func reasonFor(d snapshots.Decision) string {
	if d.Action != snapshots.ActionKeep || len(d.Keepers) == 0 {
		return d.Reason
	}
	var names []string
	for _, k := range d.Keepers[:min(mostKeepers, len(d.Keepers))] {
		names = append(names, k.String())
	}
	text := strings.Join(names, ", ")
	if more := len(d.Keepers) - mostKeepers; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
