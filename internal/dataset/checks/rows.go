package checks

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// rows wants the number of training rows inside its band, and one held-out row.
// Figures and limits are rows.
func (j judge) rows() []models.CheckResult {
	train, test, limits := j.Profile.Train.Rows, j.Profile.Test.Rows, j.Spec.Checks
	results := []models.CheckResult{
		j.result(checkRows, "", train >= limits.MinRows, models.CheckResult{Figure: float64(train), Limit: float64(limits.MinRows),
			Message: fmt.Sprintf("%d training rows, at least %d wanted", train, limits.MinRows)}),
	}
	if limits.MaxRows > 0 {
		results = append(results, j.result(checkRows, "", train <= limits.MaxRows, models.CheckResult{
			Figure: float64(train), Limit: float64(limits.MaxRows),
			Message: fmt.Sprintf("%d training rows, at most %d wanted", train, limits.MaxRows)}))
	}
	return append(results, j.result(checkRows, "", test >= 1, models.CheckResult{Figure: float64(test), Limit: 1,
		Message: fmt.Sprintf("%d held-out rows, at least 1 wanted", test)}))
}

// freshness wants a row that is young enough when seen from AsOf. Figure and
// limit are seconds.
func (j judge) freshness() []models.CheckResult {
	limit := j.Spec.Checks.Freshness.Std()
	if limit == 0 {
		return []models.CheckResult{j.skipped(checkFreshness, j.Spec.Time, "data.checks.freshness asks for nothing")}
	}
	if j.Spec.IsSensitive(j.Spec.Time) {
		return []models.CheckResult{j.skipped(checkFreshness, j.Spec.Time, "the event time is sensitive: its extremes are not shown")}
	}
	newest := j.newest()
	if newest.IsZero() {
		return []models.CheckResult{j.skipped(checkFreshness, j.Spec.Time, "there are no rows before "+stamp(j.Spec.AsOf))}
	}
	age := j.Spec.AsOf.Sub(newest)
	return []models.CheckResult{j.result(checkFreshness, j.Spec.Time, age <= limit, models.CheckResult{
		Figure: age.Seconds(), Limit: limit.Seconds(),
		Message: fmt.Sprintf("column %q: the newest row is of %s, %s before %s; at most %s allowed",
			j.Spec.Time, stamp(newest), models.Duration(age.Round(time.Second)), stamp(j.Spec.AsOf), j.Spec.Checks.Freshness)})}
}

// newest is the last row's time; zero without any.
func (j judge) newest() time.Time {
	if !j.Times.Newest.IsZero() {
		return j.Times.Newest
	}
	var newest time.Time
	train, test := j.column(j.Spec.Time)
	if _, high, ok := extremes(train, test); ok {
		newest = dataset.FromSeconds(high)
	}
	return newest
}
