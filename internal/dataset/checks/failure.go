package checks

import (
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// mostTold bounds the failed checks that an error spells out.
const mostTold = 12

// failure is nil unless a check of severity error failed. It is written to be
// read in a terminal: a line a check, its offenders below it, what to do at the
// end.
func failure(spec models.DataSpec, results []models.CheckResult) error {
	var stops, warns []models.CheckResult
	made := 0
	for _, r := range results {
		if r.Skipped == "" {
			made++
		}
		switch {
		case Stops(r):
			stops = append(stops, r)
		case failed(r):
			warns = append(warns, r)
		}
	}
	if len(stops) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d data checks failed", len(stops), made)
	if len(warns) > 0 {
		fmt.Fprintf(&b, ", %d more warn", len(warns))
	}
	for i, r := range stops {
		if i == mostTold {
			fmt.Fprintf(&b, "\n  and %d more", len(stops)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s", r.Check, r.Message)
		for _, row := range r.Rows {
			fmt.Fprintf(&b, "\n      %s", Offender(row))
		}
	}
	if len(warns) > 0 {
		names := make([]string, 0, len(warns))
		for _, r := range warns {
			names = append(names, strings.TrimSuffix(r.Check+"."+r.Column, "."))
		}
		fmt.Fprintf(&b, "\n  warned of: %s", strings.Join(names[:min(len(names), mostTold)], ", "))
	}
	first := stops[0]
	fmt.Fprintf(&b, "\n  correct the rows, or the limits under data.checks (`mainspring data check` tries them out);"+
		"\n  to go on with a warning instead: data.checks.severity: {%s: warn}", strings.TrimSuffix(first.Check+"."+first.Column, "."))
	return &models.Error{Kind: models.KindDataCheckFailed, Subject: spec.Source, Message: b.String(), Details: Brief(results)}
}

func failed(r models.CheckResult) bool { return !r.Passed && r.Skipped == "" }

// Stops reports whether a result stops a preparation.
func Stops(r models.CheckResult) bool { return failed(r) && r.Severity != models.SeverityWarn }

// Offender writes where a row is and what it has: "2013-01.csv row 17: -5".
func Offender(r models.OffendingRow) string {
	place := "line"
	if dataset.FormatOf("", r.File) == models.FormatParquet {
		place = "row"
	}
	text := fmt.Sprintf("%s %s %d", r.File, place, r.Row)
	if r.Value != "" {
		text += ": " + r.Value
	}
	return text
}

// noRows explains an empty side with what the source covers.
func noRows(e Evidence) error {
	spec := e.Spec
	train, test := dataset.Spans(spec)
	message := fmt.Sprintf("the window leaves %d training rows in [%s, %s) and %d held-out rows in [%s, %s)",
		e.Profile.Train.Rows, stamp(train.From), stamp(train.To), e.Profile.Test.Rows, stamp(test.From), stamp(test.To))
	if e.Unknown > 0 {
		message += fmt.Sprintf("; %d rows inside it have a label that was not known yet at %s", e.Unknown, stamp(test.To))
	}
	for _, name := range []string{spec.Time, spec.Label} {
		if none := e.Rows.Find(profile.RuleNulls, name); none != nil && none.Count > 0 {
			message += fmt.Sprintf("; %d rows have no value in column %q", none.Count, name)
		}
	}
	failure := &models.Error{Kind: models.KindNoRows, Subject: spec.Source}
	switch low, high := e.Times.Min, e.Times.Max; {
	case spec.Split.By == models.SplitByHash && e.Profile.Train.Rows+e.Profile.Test.Rows > 0:
		failure.Hint = fmt.Sprintf("column %q puts all rows on one side: split by one with more values, or change data.split.fraction or salt", spec.WithDefaults().Split.Column)
	case !low.IsZero() && spec.IsSensitive(spec.Time):
		failure.Hint = "change data.as_of, " + spans(spec)
	case !low.IsZero():
		message += fmt.Sprintf("; column %q of the source covers %s to %s", spec.Time, stamp(low), stamp(high))
		failure.Hint = moveWindow(spec, low, high)
	case e.Times.Rows > 0:
		message += "; no row of the source has a time"
		failure.Hint = fmt.Sprintf("check data.time (%q) and what its files have there", spec.Time)
	default:
		message += "; the source has no rows at all"
		failure.Hint = "check data.source: its files must have rows"
	}
	failure.Message = message
	return failure
}

// spans are the settings that say how long the window's parts are.
func spans(spec models.DataSpec) string {
	if spec.Split.By == models.SplitByHash {
		return "data.window"
	}
	return "data.window and data.holdout"
}

// moveWindow says how a window would meet rows from low to high.
func moveWindow(spec models.DataSpec, low, high time.Time) string {
	earliest, latest := low.Add(spec.Window.Std()), high.Truncate(24*time.Hour).Add(24*time.Hour)
	switch {
	case latest.Year() > 9999:
		return fmt.Sprintf("such times come from another unit than was meant: see data.columns.%s.time_format", spec.Time)
	case earliest.After(latest):
		return fmt.Sprintf("shorten %s and set data.as_of to %s or earlier", spans(spec), stamp(latest))
	}
	return fmt.Sprintf("set data.as_of between %s and %s, or change %s", stamp(earliest), stamp(latest), spans(spec))
}
