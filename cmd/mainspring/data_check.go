package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

type checkFlags struct {
	file, stateDir, asOf string
	json                 bool
}

func newDataCheckCommand() *cobra.Command {
	f := &checkFlags{}
	command := &cobra.Command{
		Use:   "check -f lifecycle.yaml",
		Short: "Make all data checks of a spec on its source, without preparing anything",
		Long: "Reads the source as a preparation would, by the same pass, and prints what each check says. Nothing is\n" +
			"written and no workflow runs. What only a lifecycle has, the champion's rows and the endpoint's traffic, is\n" +
			"skipped. Exit code 1: a check of severity error failed.",
		Example: "  mainspring data check -f lifecycle.yaml\n  mainspring data check --as-of 2013-03-01 --json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			report, failed := f.check(command.Context())
			if report.Checks == nil {
				return failed
			}
			out := command.OutOrStdout()
			if f.json {
				if err := writeJSON(out, report); err != nil {
					return err
				}
			} else if err := printLines(out, checkLines(plainLayoutOf(out), report)); err != nil {
				return err
			}
			return briefly(report, failed)
		},
	}
	flags := command.Flags()
	flags.StringVarP(&f.file, "file", "f", "lifecycle.yaml", "spec, YAML or JSON")
	flags.StringVar(&f.asOf, "as-of", "", "the day from which the past is seen, such as 2013-03-01 (default: the spec's, then now)")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	return command
}

func (f *checkFlags) check(ctx context.Context) (models.CheckReport, error) {
	document, err := spec.Read(f.file)
	if err != nil {
		return models.CheckReport{}, err
	}
	data := document.Spec.Data
	if data.Prepare != nil {
		return models.CheckReport{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.prepare",
			Message: "checks are about the rows that the program leaves, and only a preparation runs it",
			Hint:    "start one, or check what the program has written as a source of its own"}
	}
	if data.AsOf.IsZero() {
		data.AsOf = time.Now().UTC()
	}
	if f.asOf != "" {
		if data.AsOf, err = time.Parse(time.DateOnly, f.asOf); err != nil {
			return models.CheckReport{}, &usageError{fmt.Errorf("--as-of: %q is no day; write it like 2013-03-01", f.asOf)}
		}
	}
	if data.Source, err = sourceURI(data.Source, filepath.Dir(f.file)); err != nil {
		return models.CheckReport{}, err
	}
	reader, err := openReader(data.Source, f.stateDir)
	if err != nil {
		return models.CheckReport{}, err
	}
	return reader.CheckData(ctx, data)
}

// briefly says how it ended after the table has said why; an empty window is not
// in the table.
func briefly(report models.CheckReport, failed error) error {
	var e *models.Error
	if !errors.As(failed, &e) || e.Kind != models.KindDataCheckFailed {
		return failed
	}
	stops := 0
	for _, r := range report.Checks {
		if checks.Stops(r) {
			stops++
		}
	}
	if stops == 0 {
		return failed
	}
	return fmt.Errorf("%s would stop a preparation", counted(stops, "failed check"))
}

// checkLines is the report as a table, with offenders below what they offend.
func checkLines(l layout, report models.CheckReport) []string {
	lines := []string{
		l.paint.Bold(terminal.Plain(report.Source)) + l.paint.Dim(" as of "+report.AsOf.Format(time.RFC3339)),
		l.row("train", side(report.Train)),
		l.row("held out", side(report.Test)),
	}
	if report.Unknown > 0 {
		lines = append(lines, l.row("left out", terminal.Grouped(report.Unknown)+" rows whose label was not known yet"))
	}
	width := 8
	for _, r := range report.Checks {
		width = max(width, len([]rune(r.Column)))
	}
	width = min(width, 24)
	lines = append(lines, "", l.paint.Dim(fmt.Sprintf(" %-11s %s %10s %10s  %-7s", "check", terminal.Pad("column", width), "figure", "limit", "verdict")))
	for _, r := range report.Checks {
		lines = append(lines, l.checkLine(r, width)...)
	}
	return lines
}

func side(s models.Span) string {
	return fmt.Sprintf("%s rows from %s to %s", terminal.Grouped(s.Rows), s.From.Format(time.RFC3339), s.To.Format(time.RFC3339))
}

// checkLine is one result: what failed is explained, what passed needs no words.
func (l layout) checkLine(r models.CheckResult, width int) []string {
	figure, limit := terminal.Figure(r.Figure), terminal.Figure(r.Limit)
	verdict := l.paint.Green(terminal.Pad("ok", 7))
	switch {
	case r.Skipped != "":
		figure, limit, verdict = "", "", l.paint.Dim(terminal.Pad("skipped", 7))
	case r.Passed:
	case r.Severity == models.SeverityWarn:
		verdict = l.paint.Yellow(terminal.Pad("warn", 7))
	default:
		verdict = l.paint.Red(terminal.Pad("error", 7))
	}
	head := fmt.Sprintf(" %-11s %s %10s %10s  %s  ", r.Check, terminal.Pad(terminal.Plain(r.Column), width), figure, limit, verdict)
	text := strings.TrimPrefix(cmp.Or(r.Skipped, r.Message), fmt.Sprintf("column %q: ", r.Column))
	room := max(l.columns-width-46, 40)
	words := []string{terminal.Fit(terminal.Plain(text), room)}
	if !r.Passed {
		words = terminal.Wrap(terminal.Plain(text), room)
	}
	lines := []string{head + l.paint.Dim(words[0])}
	indent := terminal.Pad("", width+45)
	for _, more := range words[1:] {
		lines = append(lines, indent+l.paint.Dim(more))
	}
	for _, row := range r.Rows {
		lines = append(lines, indent+"  "+terminal.Plain(checks.Offender(row)))
	}
	return lines
}
