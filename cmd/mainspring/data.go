package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/models"
)

// newDataCommand groups what is done with data.
func newDataCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "data",
		Short: "Look at the rows of a source, check them, write its data section, and delete old snapshots",
		Args:  cobra.NoArgs,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(
		newDataInferCommand(),
		newDataCheckCommand(),
		newDataProfileCommand(),
		newDataGCCommand(),
	)
	return command
}

// sourceFlags are common to what reads a source.
type sourceFlags struct {
	stateDir  string
	format    string
	delimiter string
	nulls     []string
}

func (f *sourceFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.format, "format", "", "parquet, csv or jsonl, where names do not say it")
	flags.StringVar(&f.delimiter, "delimiter", "", "what ends the cells of CSV files (default: a comma, a tab in .tsv)")
	flags.StringSliceVar(&f.nulls, "null", nil, "a text in CSV files that stands for no value, such as NA; may be repeated")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
}

// spec reads a command line's source: a URI, or a directory or file here.
func (f *sourceFlags) spec(source string) (models.DataSpec, error) {
	uri, err := sourceURI(source, ".")
	return models.DataSpec{Source: uri, Format: models.DataFormat(f.format), CSV: models.CSVSpec{Delimiter: f.delimiter, Nulls: f.nulls}}, err
}

// sourceURI is the URI of a source; a path is relative to a directory.
func sourceURI(source, dir string) (string, error) {
	if !spec.IsLocal(source) {
		return source, nil
	}
	path, err := filepath.Abs(spec.Beside(dir, source))
	if err != nil {
		return "", err
	}
	// Listing does not follow links.
	followed, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s", path)
	}
	return artifact.FileURI(followed), err
}

// openReader reads a source where it lies: files of this host need no server.
func openReader(source, stateDir string) (*activities.Prepare, error) {
	if !strings.HasPrefix(source, "s3://") {
		return &activities.Prepare{Getenv: os.Getenv}, nil
	}
	stack, err := findStack(stateDir)
	if err != nil {
		return nil, err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return nil, err
	}
	return &activities.Prepare{Store: store, Getenv: os.Getenv}, nil
}
