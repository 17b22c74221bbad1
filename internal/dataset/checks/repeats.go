package checks

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/models"
)

// unique wants no value twice, over all partitions. The figure is the rows whose
// value an earlier one has; none is allowed.
func (j judge) unique() []models.CheckResult {
	var results []models.CheckResult
	for _, k := range j.Keys {
		results = append(results, j.result(checkUnique, k.Column, k.Count == 0, models.CheckResult{
			Figure: float64(k.Count), Rows: k.Rows,
			Message: fmt.Sprintf("column %q: %d of %d rows repeat the value of an earlier row", k.Column, k.Count, k.Seen)}))
	}
	if len(results) == 0 {
		results = append(results, j.skipped(checkUnique, "", "no column was looked at"))
	}
	return results
}

// duplicates limits the share of rows that repeat another one in every column
// but the key.
func (j judge) duplicates() []models.CheckResult {
	d := j.Duplicates
	if d == nil {
		return []models.CheckResult{j.skipped(checkDuplicates, "", "rows were not compared")}
	}
	figure, limit := share(d.Count, d.Seen), *j.Spec.Checks.MaxDuplicates
	r := j.result(checkDuplicates, "", figure <= limit, models.CheckResult{
		Figure: figure, Limit: limit,
		Message: fmt.Sprintf("%d of %d rows (a share of %.4g) repeat another one in every column but the key, at most %.4g allowed",
			d.Count, d.Seen, figure, limit)})
	if !r.Passed {
		r.Rows = shown(d.Rows, true) // a row has no one value, and some columns may be sensitive
	}
	return []models.CheckResult{r}
}
