package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/terminal"
)

type profileFlags struct {
	sourceFlags
	json bool
}

func newDataProfileCommand() *cobra.Command {
	f := &profileFlags{}
	command := &cobra.Command{
		Use:   "profile URI|DIRECTORY|FILE",
		Short: "Show what each column of a source looks like",
		Long: "Reads all rows of a source once and prints each column's type, nulls, number of different values, extremes,\n" +
			"quantiles, most frequent values and histogram. Values are shown: a source of personal data is one.",
		Example: "  mainspring data profile data\n  mainspring data profile s3://bucket/flights/2013-01.parquet --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			spec, err := f.spec(args[0])
			if err != nil {
				return err
			}
			reader, err := openReader(spec.Source, f.stateDir)
			if err != nil {
				return err
			}
			seen, err := reader.SurveyData(command.Context(), spec)
			if err != nil {
				return err
			}
			out := command.OutOrStdout()
			if f.json {
				return writeJSON(out, seen)
			}
			return printLines(out, profileLines(plainLayoutOf(out), seen))
		},
	}
	f.add(command)
	command.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return command
}

// profileLines has a line for each column.
func profileLines(l layout, s activities.Survey) []string {
	lines := []string{l.paint.Bold(terminal.Plain(s.Source)) + l.paint.Dim(fmt.Sprintf("  %s rows in %s", terminal.Grouped(s.Profile.Rows), counted(s.Files, "file"))), ""}
	width := 8
	for _, c := range s.Profile.Columns {
		width = max(width, len([]rune(c.Name)))
	}
	width = min(width, 24)
	lines = append(lines, l.paint.Dim(fmt.Sprintf(" %s %-9s %7s %9s %10s %10s %10s %10s %10s", terminal.Pad("column", width), "type", "nulls", "distinct",
		"min", "5 %", "median", "95 %", "max")))
	for i := range s.Profile.Columns {
		c := &s.Profile.Columns[i]
		head := fmt.Sprintf(" %s %-9s %7s %9s ", terminal.Pad(terminal.Plain(c.Name), width), c.Type, nullWords(c), distinctWords(c))
		if c.Numbers != nil && c.Numbers.Count > 0 {
			lines = append(lines, head+numberCells(c)+"  "+l.paint.Cyan(histogram(c.Numbers)))
		} else {
			lines = append(lines, head+topWords(c))
		}
	}
	for _, bad := range s.Schema.Bad {
		line := fmt.Sprintf(" %s %s: above it is null", terminal.Pad(terminal.Plain(bad.Column), width), bad.Words())
		if len(bad.Rows) > 0 {
			line += fmt.Sprintf(" (the first: %s line %d)", terminal.Plain(bad.Rows[0].File), bad.Rows[0].Row)
		}
		lines = append(lines, l.paint.Red(line))
	}
	for _, c := range s.Left {
		lines = append(lines, l.paint.Dim(fmt.Sprintf(" %s can't be read: files differ, or its type is of no use", terminal.Pad(terminal.Plain(c.Name), width))))
	}
	return lines
}

func nullWords(c *profile.Column) string {
	if c.Nulls == 0 {
		return "none"
	}
	return partOf(c.Nulls, c.Rows)
}

// partOf writes a part in per cent, and never a part as nothing or as all.
func partOf(part, whole int64) string {
	switch v := 100 * float64(part) / float64(whole); {
	case part == whole:
		return "100 %"
	case part > 0 && v < 0.1:
		return "<0.1 %"
	default:
		return fmt.Sprintf("%.1f %%", min(v, 99.9))
	}
}

func distinctWords(c *profile.Column) string {
	switch v := c.Values; {
	case v == nil:
		return ""
	case v.Error > 0:
		return "~" + terminal.Grouped(v.Distinct)
	default:
		return terminal.Grouped(v.Distinct)
	}
}

func numberCells(c *profile.Column) string {
	n := c.Numbers
	write := terminal.Figure
	if c.Type == dataset.TypeInt64 || c.Type == dataset.TypeBool {
		write = func(v float64) string { return terminal.Figure(math.Round(v)) } // a quantile is known within its bucket
	}
	if c.Type == dataset.TypeTimestamp {
		write = func(v float64) string { return dataset.FromSeconds(v).Format(time.DateOnly) }
	}
	return fmt.Sprintf("%10s %10s %10s %10s %10s", write(n.Min), write(n.Quantile(0.05)), write(n.Quantile(0.5)), write(n.Quantile(0.95)), write(n.Max))
}

// histogramBins is the width of a histogram in characters.
const histogramBins = 20

// histogram has bars over equal parts of the range.
func histogram(n *profile.Numbers) string {
	if n.Min == n.Max {
		return ""
	}
	edges := make([]float64, histogramBins-1)
	for i := range edges {
		edges[i] = n.Min + (n.Max-n.Min)*float64(i+1)/histogramBins
		if math.IsInf(edges[i], 0) || math.IsNaN(edges[i]) {
			return ""
		}
	}
	counts := append([]float64{0}, n.Histogram(edges)...) // bars rise from 0
	for i, v := range counts[1:] {
		if v == 0 {
			counts[i+1] = math.NaN() // a gap
		}
	}
	return strings.TrimPrefix(terminal.Sparkline(counts, len(counts)), "▁")
}

// topWords are the most frequent values and their shares.
func topWords(c *profile.Column) string {
	if c.Values == nil || len(c.Values.Top) == 0 {
		return ""
	}
	const most, long = 5, 24
	if seldom := c.Values.Top[0].Rows*1000 < c.Rows; seldom {
		return " such as " + terminal.Fit(terminal.Plain(c.Values.Top[0].Value), 2*long)
	}
	words := make([]string, 0, most+1)
	for i, v := range c.Values.Top {
		if i == most {
			words = append(words, "…")
			break
		}
		words = append(words, terminal.Fit(terminal.Plain(v.Value), long)+" "+partOf(v.Rows, c.Rows-c.Nulls))
	}
	return " " + strings.Join(words, ", ")
}
