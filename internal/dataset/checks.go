package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// The names of the checks, as written in models.CheckResult.
const (
	CheckSchema    = "schema"
	CheckRows      = "rows"
	CheckNulls     = "nulls"
	CheckRange     = "range"
	CheckLabel     = "label"
	CheckTimeOrder = "time_order"
	CheckUnique    = "unique"
)

// Check judges the merged summary of all partitions. The results are complete
// and in a fixed order whether or not there is an error: KindNoRows when a
// side of the split is empty, otherwise KindDataCheckFailed naming every check
// that failed.
func Check(spec models.DataSpec, summary Summary) ([]models.CheckResult, error) {
	results := slices.Concat(
		checkSchema(summary),
		checkRows(spec, summary),
		checkNulls(spec, summary),
		checkRanges(spec, summary),
		checkLabels(spec, summary),
		checkTimes(spec, summary),
		checkKeys(spec, summary),
	)
	if summary.Tallies[trainPrefix+spec.Time].Rows == 0 || summary.Tallies[testPrefix+spec.Time].Rows == 0 {
		return results, noRows(spec, summary)
	}
	var failed []string
	for _, r := range results {
		if !r.Passed {
			failed = append(failed, r.Message)
		}
	}
	if len(failed) == 0 {
		return results, nil
	}
	return results, &models.Error{
		Kind:    models.KindDataCheckFailed,
		Subject: spec.Source,
		Message: fmt.Sprintf("%d of %d data checks failed: %s", len(failed), len(results), strings.Join(failed, "; ")),
		Hint:    "correct the data, or the limits under data.checks",
	}
}

// noRows explains an empty side with what the source covers.
func noRows(spec models.DataSpec, summary Summary) error {
	train, test := Spans(spec)
	message := fmt.Sprintf("the window leaves %d training rows in [%s, %s) and %d held-out rows in [%s, %s)",
		summary.Tallies[trainPrefix+spec.Time].Rows, stamp(train.From), stamp(train.To),
		summary.Tallies[testPrefix+spec.Time].Rows, stamp(test.From), stamp(test.To))
	if summary.Unknown > 0 {
		message += fmt.Sprintf("; %d rows inside it have a label that was not known yet at %s",
			summary.Unknown, stamp(test.To))
	}
	e := &models.Error{Kind: models.KindNoRows, Subject: spec.Source}
	source := summary.Tallies[sourcePrefix+spec.Time]
	if source.Min == nil || source.Max == nil {
		e.Message = message + "; the source has no rows at all"
		e.Hint = "check data.source: it must hold Parquet files with rows"
		return e
	}
	low, high := fromUnixSeconds(*source.Min), fromUnixSeconds(*source.Max)
	e.Message = message + fmt.Sprintf("; column %q of the source covers %s to %s", spec.Time, stamp(low), stamp(high))
	earliest, latest := low.Add(spec.Window.Std()), high.Truncate(24*time.Hour).Add(24*time.Hour)
	if earliest.After(latest) {
		e.Hint = fmt.Sprintf("shorten data.window and data.holdout and set data.as_of to %s or earlier", stamp(latest))
	} else {
		e.Hint = fmt.Sprintf("set data.as_of between %s and %s, or change data.window and data.holdout", stamp(earliest), stamp(latest))
	}
	return e
}

func fromUnixSeconds(v float64) time.Time { return time.UnixMicro(int64(math.Round(v * 1e6))).UTC() }

// stamp drops what is zero: most windows begin and end at midnight.
func stamp(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02T15:04:05Z")
}

func checkSchema(summary Summary) []models.CheckResult {
	types := make(map[string][]string, len(summary.Columns))
	for _, c := range summary.Columns {
		types[c.Name] = append(types[c.Name], c.Type)
	}
	var results []models.CheckResult
	for _, name := range sortedKeys(types) {
		if len(types[name]) == 1 {
			continue
		}
		results = append(results, models.CheckResult{
			Check: CheckSchema, Column: name, Figure: float64(len(types[name])), Limit: 1,
			Message: fmt.Sprintf("column %q has different types in different partitions: %s",
				name, strings.Join(types[name], " and ")),
		})
	}
	if len(results) > 0 {
		return results
	}
	return []models.CheckResult{{
		Check: CheckSchema, Passed: true, Figure: 1, Limit: 1,
		Message: fmt.Sprintf("all %d columns have one usable type", len(types)),
	}}
}

func checkRows(spec models.DataSpec, summary Summary) []models.CheckResult {
	side := func(name, key string, limit int64) models.CheckResult {
		rows := summary.Tallies[key+spec.Time].Rows
		return models.CheckResult{
			Check: CheckRows, Passed: rows >= limit, Figure: float64(rows), Limit: float64(limit),
			Message: fmt.Sprintf("%d %s rows, at least %d wanted", rows, name, limit),
		}
	}
	return []models.CheckResult{
		side("training", trainPrefix, max(1, spec.Checks.MinRows)),
		side("held-out", testPrefix, 1),
	}
}

// checkNulls has a line for each column with a limit or a null, and one for
// all others: a table may have hundreds.
func checkNulls(spec models.DataSpec, summary Summary) []models.CheckResult {
	var results []models.CheckResult
	clean := 0
	for _, c := range Kept(Declared(spec)) {
		limit, explicit := spec.Checks.MaxNullFraction[c.Name]
		t := summary.Tallies[c.Name]
		if !explicit && t.Nulls == 0 {
			clean++
			continue
		}
		fraction := 0.0
		if t.Rows > 0 {
			fraction = float64(t.Nulls) / float64(t.Rows)
		}
		results = append(results, models.CheckResult{
			Check: CheckNulls, Column: c.Name, Passed: fraction <= limit, Figure: fraction, Limit: limit,
			Message: fmt.Sprintf("column %q: %d of %d values are null or NaN (a share of %.4g), at most %.4g allowed",
				c.Name, t.Nulls, t.Rows, fraction, limit),
		})
	}
	if clean > 0 {
		results = append(results, models.CheckResult{
			Check: CheckNulls, Passed: true, Message: fmt.Sprintf("%d columns have no nulls", clean),
		})
	}
	return results
}

func checkRanges(spec models.DataSpec, summary Summary) []models.CheckResult {
	var results []models.CheckResult
	for _, name := range sortedKeys(spec.Checks.Range) {
		limits, t := spec.Checks.Range[name], summary.Tallies[name]
		if limits.Min != nil && t.Min != nil {
			results = append(results, models.CheckResult{
				Check: CheckRange, Column: name, Passed: *t.Min >= *limits.Min, Figure: *t.Min, Limit: *limits.Min,
				Message: fmt.Sprintf("column %q: smallest value %.6g, at least %.6g allowed", name, *t.Min, *limits.Min),
			})
		}
		if limits.Max != nil && t.Max != nil {
			results = append(results, models.CheckResult{
				Check: CheckRange, Column: name, Passed: *t.Max <= *limits.Max, Figure: *t.Max, Limit: *limits.Max,
				Message: fmt.Sprintf("column %q: largest value %.6g, at most %.6g allowed", name, *t.Max, *limits.Max),
			})
		}
	}
	return results
}

func checkTimes(spec models.DataSpec, summary Summary) []models.CheckResult {
	var results []models.CheckResult
	train, test := summary.Tallies[trainPrefix+spec.Time], summary.Tallies[testPrefix+spec.Time]
	if train.Max != nil && test.Min != nil {
		results = append(results, models.CheckResult{
			Check: CheckTimeOrder, Column: spec.Time, Passed: *train.Max < *test.Min, Figure: *train.Max, Limit: *test.Min,
			Message: fmt.Sprintf("column %q: the last training row is of %s, the first held-out one of %s",
				spec.Time, stamp(fromUnixSeconds(*train.Max)), stamp(fromUnixSeconds(*test.Min))),
		})
	}
	if spec.LabelTime == "" || spec.LabelTime == spec.Time {
		return results
	}
	early := summary.Tallies[earlyLabels].Rows
	return append(results, models.CheckResult{
		Check: CheckTimeOrder, Column: spec.LabelTime, Passed: early == 0, Figure: float64(early),
		Message: fmt.Sprintf("column %q: %d labels are older than their event", spec.LabelTime, early),
	})
}

// checkKeys looks within each partition; the same key in two partitions is not
// seen.
func checkKeys(spec models.DataSpec, summary Summary) []models.CheckResult {
	repeated := summary.Tallies[duplicateKeys].Rows
	return []models.CheckResult{{
		Check: CheckUnique, Column: spec.Key, Passed: repeated == 0, Figure: float64(repeated),
		Message: fmt.Sprintf("column %q: %d rows repeat a key of their partition", spec.Key, repeated),
	}}
}
