package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/infer"
	"github.com/mainspring-ml/mainspring/models"
)

type inferFlags struct {
	sourceFlags
	settled infer.Settled
}

func newDataInferCommand() *cobra.Command {
	f := &inferFlags{}
	command := &cobra.Command{
		Use:   "infer URI|DIRECTORY|FILE",
		Short: "Guess a data section with schema and checks from what a source looks like",
		Long: "Reads a source and writes the data section of a spec to standard output, for a person to edit: which\n" +
			"columns are the key, the time, the label and the features, what types they have, which look personal, what\n" +
			"window and holdout the times suggest, and limits with some room around what was seen. Each guess has its\n" +
			"reason beside it. The rows are read twice: the second time to drop guesses that they contradict.",
		Example: "  mainspring data infer data > data.yaml\n  mainspring data infer s3://bucket/flights/ --label late --time scheduled",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			guess, err := f.infer(command.Context(), args[0], time.Now())
			if err != nil {
				return err
			}
			_, err = command.OutOrStdout().Write(guess.YAML())
			return err
		},
	}
	f.add(command)
	flags := command.Flags()
	flags.StringVar(&f.settled.Label, "label", "", "the column with the outcome, instead of a guess")
	flags.StringVar(&f.settled.Time, "time", "", "the column with the event time, instead of a guess")
	flags.StringVar(&f.settled.Key, "key", "", "the column that identifies a row, instead of a guess")
	return command
}

// infer drafts, and holds the draft against the rows.
func (f *inferFlags) infer(ctx context.Context, source string, now time.Time) (infer.Guess, error) {
	spec, err := f.spec(source)
	if err != nil {
		return infer.Guess{}, err
	}
	reader, err := openReader(spec.Source, f.stateDir)
	if err != nil {
		return infer.Guess{}, err
	}
	seen, err := reader.SurveyData(ctx, spec)
	if err != nil {
		return infer.Guess{}, err
	}
	if seen, err = f.readNumbersAsTimes(ctx, reader, seen); err != nil {
		return infer.Guess{}, err
	}
	draft, err := infer.Draft(infer.Source{
		Data: seen.Data, Profile: seen.Profile, Files: seen.Files, Unfit: unfit(seen), Bad: seen.Schema.Bad,
		Delimited: seen.Data.CSV.Delimiter != spec.CSV.Delimiter, Now: now,
	}, f.settled)
	if err != nil {
		return infer.Guess{}, err
	}
	held, err := reader.SurveyData(ctx, draft.Data)
	if err != nil {
		return infer.Guess{}, err
	}
	repeats := map[string]int64{}
	for _, r := range held.Repeats {
		repeats[r.Column] = r.Count
	}
	guess := draft.Hold(held.Found, repeats)
	guess.Data.Source = asWritten(source, spec.Source)
	return guess, nil
}

// unfit are the columns that not all files have, or that can't be read.
func unfit(seen activities.Survey) (names []string) {
	for _, c := range seen.Left {
		names = append(names, c.Name)
	}
	for _, c := range seen.Schema.Columns {
		if c.InFiles() < seen.Files && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// readNumbersAsTimes reads a text file's column of numbers as times when a person
// has said that it has the event times.
func (f *inferFlags) readNumbersAsTimes(ctx context.Context, reader *activities.Prepare, seen activities.Survey) (activities.Survey, error) {
	c := seen.Profile.Column(f.settled.Time)
	if c == nil || c.Type != dataset.TypeInt64 || c.Numbers == nil || len(seen.Data.Columns) == 0 {
		return seen, nil
	}
	spec := seen.Data
	spec.Columns[c.Name] = models.ColumnSpec{Type: dataset.TypeTimestamp, TimeFormat: infer.TimeFormatOf(c.Numbers.Max)}
	return reader.SurveyData(ctx, spec)
}

// asWritten is a source as a spec in the working directory has it: a directory
// stays the path that it was, which the client uploads.
func asWritten(source, uri string) string {
	info, err := os.Stat(filepath.FromSlash(source))
	if strings.Contains(source, "://") || err != nil || !info.IsDir() {
		return uri
	}
	return source
}
