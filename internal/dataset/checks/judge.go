package checks

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// The names of the checks, as written in models.CheckResult.
const (
	checkSchema     = "schema"
	checkNewColumn  = "new_column"
	checkRows       = "rows"
	checkFreshness  = "freshness"
	checkNulls      = "nulls"
	checkNullRise   = "null_rise"
	checkRange      = "range"
	checkAllowed    = "allowed"
	checkUnseen     = "unseen"
	checkLabel      = "label"
	checkTimeOrder  = "time_order"
	checkLeakage    = "leakage"
	checkUnique     = "unique"
	checkDuplicates = "duplicates"
	checkSkew       = "skew"
	checkShift      = "shift"
)

// Judge makes every check, in the order of models.DataCheckNames. Each has at
// least one result; columns that pass a check without a figure of interest
// share one.
func Judge(e Evidence) []models.CheckResult {
	e.Spec = e.Spec.WithDefaults()
	j := judge{e}
	return slices.Concat(
		j.schema(),
		j.newColumns(),
		j.rows(),
		j.freshness(),
		j.nulls(),
		j.nullRise(),
		j.ranges(),
		j.allowed(),
		j.unseen(),
		j.labels(),
		j.timeOrder(),
		j.leakage(),
		j.unique(),
		j.duplicates(),
		j.skew(),
		j.shift(),
	)
}

// Check judges the evidence. The results are complete whether or not there is
// an error: of KindNoRows when a side of the split is empty, otherwise of
// KindDataCheckFailed when a check of severity error failed.
func Check(e Evidence) ([]models.CheckResult, error) {
	results := Judge(e)
	if e.Profile.Train.Rows == 0 || e.Profile.Test.Rows == 0 {
		return results, noRows(e)
	}
	return results, failure(e.Spec, results)
}

type judge struct{ Evidence }

// result fills in what all results of a check have.
func (j judge) result(check, column string, passed bool, r models.CheckResult) models.CheckResult {
	r.Check, r.Column, r.Passed = check, column, passed
	r.Severity = j.Spec.Checks.SeverityOf(check, column, false)
	r.Rows = shown(r.Rows, j.Spec.IsSensitive(column))
	return r
}

// passed is one line for what needs none of its own.
func (j judge) passed(check, format string, args ...any) models.CheckResult {
	return j.result(check, "", true, models.CheckResult{Message: fmt.Sprintf(format, args...)})
}

func (j judge) skipped(check, column, reason string) models.CheckResult {
	return j.result(check, column, false, models.CheckResult{Skipped: reason, Message: check + " is not checked: " + reason})
}

// column returns both sides of a column; nil where there is none.
func (j judge) column(name string) (train, test *profile.Column) {
	return j.Profile.Train.Column(name), j.Profile.Test.Column(name)
}

// notSeen is why a check of a column is skipped that no pass has looked at:
// what nobody has looked for has not passed.
const notSeen = "no row was held against it"

// findings are all of a rule, by column.
func (j judge) findings(rule string) []profile.Finding {
	return slices.DeleteFunc(slices.Clone(j.Rows.Findings), func(f profile.Finding) bool { return f.Rule != rule })
}

// share is a part of some rows; 0 of none.
func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// stamp drops what is zero: most windows begin and end at midnight.
func stamp(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02T15:04:05Z")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
