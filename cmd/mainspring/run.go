package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/spec"
)

// runFlags are the flags of mainspring run.
type runFlags struct {
	file     string
	id       string
	asOf     string
	stateDir string
	noFollow bool
}

func newRunCommand() *cobra.Command {
	var f runFlags
	command := &cobra.Command{
		Use:   "run -f lifecycle.yaml",
		Short: "Start a lifecycle and follow it",
		Long: "Uploads what the spec names locally, starts the Lifecycle workflow, and tells what happens until it\n" +
			"ends. Ctrl-C stops following; the lifecycle goes on.\n\n" +
			"Temporal is found by TEMPORAL_ADDRESS, temporal.toml or the running local stack, S3 by\n" +
			"MAINSPRING_S3_ENDPOINT or the local stack.",
		Example: "  mainspring run -f examples/flights/lifecycle.yaml --as-of 2013-03-01",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return run(command.Context(), f, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVarP(&f.file, "file", "f", "lifecycle.yaml", "spec, YAML or JSON")
	flags.StringVar(&f.id, "id", "", "workflow ID (default: lifecycle/<model>/<day of as_of, or now>)")
	flags.StringVar(&f.asOf, "as-of", "", "the moment from which the past is seen, such as 2013-03-01; overrides the spec")
	flags.BoolVar(&f.noFollow, "no-follow", false, "print the workflow ID and return")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	return command
}

// run finds everything that is wrong before it uploads anything.
func run(ctx context.Context, f runFlags, out io.Writer) error {
	document, err := spec.Read(f.file)
	if err != nil {
		return err
	}
	if f.asOf != "" {
		if document.Spec.Data.AsOf, err = parseMoment(f.asOf); err != nil {
			return err
		}
	}
	stack, err := findStack(f.stateDir)
	if err != nil {
		return err
	}
	connection, err := dial(ctx, stack)
	if err != nil {
		return err
	}
	defer connection.Close()
	uploader, err := openUploader(stack)
	if err != nil {
		return err
	}
	resolved, err := spec.Resolve(ctx, document, uploader)
	if err != nil {
		return err
	}
	id, err := connection.StartLifecycle(ctx, resolved, client.StartOptions{ID: f.id})
	if err != nil {
		return err
	}
	if f.noFollow {
		_, err := fmt.Fprintln(out, id)
		return err
	}
	_, err = connection.Follow(ctx, id, out)
	return err
}

// parseMoment reads a day, which means its first moment in UTC, or a time.
func parseMoment(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &usageError{fmt.Errorf("--as-of %q is no date or time; write it like 2013-03-01 or 2013-03-01T06:00:00Z", text)}
}
