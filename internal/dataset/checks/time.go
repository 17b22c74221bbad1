package checks

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// timeOrder wants the last training row before the first held-out one, where
// time splits, and no label older than its event. The figures are the seconds
// between the two, which must be more than 0, and the labels that are too old.
func (j judge) timeOrder() []models.CheckResult {
	results := []models.CheckResult{j.sidesInOrder()}
	if j.Spec.LabelTime == "" || j.Spec.LabelTime == j.Spec.Time {
		return results
	}
	early := j.Rows.Find(profile.RuleTimeOrder, j.Spec.LabelTime)
	if early == nil {
		return append(results, j.skipped(checkTimeOrder, j.Spec.LabelTime, notSeen))
	}
	return append(results, j.result(checkTimeOrder, j.Spec.LabelTime, early.Count == 0, models.CheckResult{
		Figure: float64(early.Count), Rows: early.Rows,
		Message: fmt.Sprintf("column %q: %d labels are older than their event", j.Spec.LabelTime, early.Count)}))
}

func (j judge) sidesInOrder() models.CheckResult {
	name := j.Spec.Time
	train, test := j.column(name)
	switch {
	case j.Spec.Split.By == models.SplitByHash:
		return j.skipped(checkTimeOrder, name, "a hash splits: rows of all times are on both sides")
	case j.Spec.IsSensitive(name):
		return j.skipped(checkTimeOrder, name, "the event time is sensitive: its extremes are not kept")
	}
	_, last, ok := extremes(train, nil)
	first, _, also := extremes(nil, test)
	if !ok || !also {
		return j.skipped(checkTimeOrder, name, "a side has no rows")
	}
	return j.result(checkTimeOrder, name, last < first, models.CheckResult{Figure: first - last,
		Message: fmt.Sprintf("column %q: the last training row is of %s, the first held-out one of %s",
			name, stamp(dataset.FromSeconds(last)), stamp(dataset.FromSeconds(first)))})
}
