package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

// addStoresFlag gives every command --stores. It is the variable, for this
// process and for those that it starts.
func addStoresFlag(root *cobra.Command) {
	var file string
	root.PersistentFlags().StringVar(&file, "stores", "", "file with the profiles of further S3 stores (default: what "+stores.Variable+" names)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if file == "" {
			return nil
		}
		path, err := filepath.Abs(file)
		if err != nil {
			return fmt.Errorf("find %s: %w", file, err)
		}
		return os.Setenv(stores.Variable, path)
	}
}

// examineStores says of every store whether it can be used. Without any setting
// there is nothing to look at.
func examineStores(ctx context.Context, out io.Writer) (well bool, err error) {
	stack, err := findStack("")
	if err != nil && !errors.Is(err, devstack.ErrNotRunning) {
		return false, err
	}
	getenv := storeEnv(stack)
	if getenv("MAINSPRING_S3_ENDPOINT") == "" && getenv("AWS_ACCESS_KEY_ID") == "" && getenv(stores.Variable) == "" {
		return true, nil
	}
	findings, err := stores.Examine(ctx, getenv)
	if err != nil {
		return false, err
	}
	well = true
	for _, f := range findings {
		mark, said := "✓", "answers, knows the keys, and has the bucket"
		if f.Err != nil {
			mark, said, well = "✗", storeTrouble(f.Err), false
		}
		if _, err := fmt.Fprintf(out, "%s %-18s %s: %s\n", mark, cmp.Or(f.Prefix, "default store"), f.Place, said); err != nil {
			return false, err
		}
	}
	return well, nil
}

// storeTrouble is what a store's error says beside where it is.
func storeTrouble(err error) string {
	var trouble *artifact.Error
	if !errors.As(err, &trouble) {
		return err.Error()
	}
	text := trouble.Message
	if text == "" && trouble.Class != nil {
		text = trouble.Class.Error()
	}
	if trouble.Cause != nil {
		text += ": " + trouble.Cause.Error()
	}
	if trouble.Hint != "" {
		text += "; " + trouble.Hint
	}
	return text
}
