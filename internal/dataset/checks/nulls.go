package checks

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// nulls limits the share of rows without a value, of which NaN is one. It has a
// line for each column with a limit or a null, and one for all others: a table may
// have hundreds.
func (j judge) nulls() []models.CheckResult {
	var results []models.CheckResult
	clean := 0
	for _, f := range j.findings(profile.RuleNulls) {
		limit, explicit := j.Spec.Checks.MaxNullFraction[f.Column]
		if !explicit && f.Count == 0 {
			clean++
			continue
		}
		fraction := share(f.Count, f.Seen)
		results = append(results, j.result(checkNulls, f.Column, fraction <= limit, models.CheckResult{
			Figure: fraction, Limit: limit, Rows: offendersOf(f, fraction > limit),
			Message: fmt.Sprintf("column %q: %d of %d values are null or NaN (a share of %.4g), at most %.4g allowed",
				f.Column, f.Count, f.Seen, fraction, limit)}))
	}
	if clean == 0 && len(results) == 0 {
		return []models.CheckResult{j.skipped(checkNulls, "", notSeen)}
	}
	if clean > 0 {
		results = append(results, j.passed(checkNulls, "%d columns have no nulls", clean))
	}
	return results
}

// offendersOf are the rows of a finding, if it is one to complain of.
func offendersOf(f profile.Finding, failed bool) []models.OffendingRow {
	if !failed {
		return nil
	}
	return f.Rows
}

// nullRise holds the training rows' share of nulls against the baseline's. The
// figure is the difference of the shares.
func (j judge) nullRise() []models.CheckResult {
	if j.Baseline == nil {
		return []models.CheckResult{j.skipped(checkNullRise, "", j.noBaseline())}
	}
	limit := *j.Spec.Checks.MaxNullRise
	var results []models.CheckResult
	for _, now := range j.Profile.Train.Columns {
		then := j.Baseline.Train.Column(now.Name)
		if then == nil {
			continue // new since; there is nothing to hold it against
		}
		rise := now.NullFraction() - then.NullFraction()
		if rise <= 0 {
			continue
		}
		results = append(results, j.result(checkNullRise, now.Name, rise <= limit, models.CheckResult{
			Figure: rise, Limit: limit,
			Message: fmt.Sprintf("column %q: a share of %.4g is null, %.4g more than when version %s was trained (%.4g), at most %.4g more allowed",
				now.Name, now.NullFraction(), rise, j.Version, then.NullFraction(), limit)}))
	}
	return j.folded(checkNullRise, results, "no column has more nulls than when version "+j.Version+" was trained")
}
