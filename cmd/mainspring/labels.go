package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/labelfile"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/models"
)

// labelsFlags are the flags of mainspring labels.
type labelsFlags struct {
	stateDir string
	columns  labelfile.Columns
}

func newLabelsCommand() *cobra.Command {
	var f labelsFlags
	command := &cobra.Command{
		Use:   "labels ENDPOINT FILE-OR-URI...",
		Short: "Tell how requests turned out, from files",
		Long: "Labels reads files that know how requests turned out and stores the labels for the canary's judge and\n" +
			"the monitor. A FILE is Parquet, CSV or newline-delimited JSON, told by its extension; a directory or an\n" +
			"s3:// prefix stands for all files below it. --id and --label name the columns with the request's ID and\n" +
			"its label: 0 or 1, the number of the class, or the number that came true, as the endpoint's task asks.\n" +
			"--time names the column with the moment at which the label became known; without it that is now.\n\n" +
			"A file with a wrong row is refused as a whole. The same file counts once, however often it is read.\n" +
			"A request that has several labels keeps the last. Rows without a label are left out.",
		Example: "  mainspring labels flights landed.csv --id flight --label delayed --time landed\n" +
			"  mainspring labels flights s3://warehouse/outcomes/dt=2013-03-01/ --id request_id --label label --time known",
		Args: cobra.MinimumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			if f.columns.ID == "" || f.columns.Label == "" {
				return &usageError{errors.New("--id and --label name the columns with the request's ID and its label")}
			}
			return f.store(command.Context(), command.OutOrStdout(), args[0], args[1:])
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.columns.ID, "id", "", "column with the request's ID")
	flags.StringVar(&f.columns.Label, "label", "", "column with the label")
	flags.StringVar(&f.columns.Time, "time", "", "column with the moment at which the label became known, in UTC or with a zone (default: now)")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	return command
}

func (f *labelsFlags) store(ctx context.Context, out io.Writer, endpoint string, sources []string) error {
	stack, err := findStack(f.stateDir)
	if err != nil {
		return err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return err
	}
	return f.storeIn(ctx, store, out, endpoint, sources)
}

func (f *labelsFlags) storeIn(ctx context.Context, store artifact.Store, out io.Writer, endpoint string, sources []string) error {
	task, err := taskOf(ctx, store, endpoint)
	if err != nil {
		return err
	}
	for _, source := range sources {
		uri := source
		if !strings.Contains(source, "://") {
			path, err := filepath.Abs(source)
			if err != nil {
				return fmt.Errorf("find %s: %w", source, err)
			}
			uri = artifact.FileURI(path)
		}
		stored, err := labelfile.StoreAll(ctx, store, uri, labelfile.Input{Endpoint: endpoint, Columns: f.columns, Task: task, Now: time.Now()})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, labelsText(source, stored)); err != nil {
			return err
		}
	}
	return nil
}

// taskOf is the task of the endpoint's champion.
func taskOf(ctx context.Context, store artifact.Store, endpoint string) (models.Task, error) {
	key := models.RouteKey(endpoint)
	data, _, err := artifact.GetBytes(ctx, store, key, 1<<20)
	if errors.Is(err, artifact.ErrNotFound) {
		return "", fmt.Errorf("no endpoint %q; has a version been deployed to it?", endpoint)
	}
	if err != nil {
		return "", err
	}
	var route models.Route
	if err := json.Unmarshal(data, &route); err != nil {
		return "", fmt.Errorf("decode %s: %w", key, err)
	}
	return route.Task, nil
}

// labelsText says how many labels of which days there were.
func labelsText(source string, s labelfile.Stored) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d labels", source, s.Labels)
	if s.Already > 0 {
		fmt.Fprintf(&b, ", %d of them stored before", s.Already)
	}
	if s.Without > 0 {
		fmt.Fprintf(&b, "; %d rows have none yet", s.Without)
	}
	b.WriteString("\n")
	for _, day := range slices.Sorted(maps.Keys(s.Days)) {
		fmt.Fprintf(&b, "  %s  %d\n", day, s.Days[day])
	}
	return b.String()
}
