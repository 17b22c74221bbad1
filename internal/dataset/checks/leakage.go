package checks

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// leakage finds features that give the answer away. What data.columns declares
// with known_at is certain: no value may have become known after the event; the
// figure is the values that did. For the other features it is a guess: one that
// explains more than max_leak of the label by itself; the figure is that share.
func (j judge) leakage() []models.CheckResult {
	var results []models.CheckResult
	for _, late := range j.findings(profile.RuleLate) {
		results = append(results, j.knownLate(late))
	}
	limit := *j.Spec.Checks.MaxLeak
	guessed, most, suspect := 0, 0.0, ""
	for _, a := range j.Rows.Associations {
		explained, ok := a.Explained(j.Spec.Task)
		if !ok || j.isDeclared(a.Column) {
			continue
		}
		guessed++
		if suspect == "" || explained > most {
			most, suspect = explained, a.Column
		}
		if explained > limit {
			r := j.result(checkLeakage, a.Column, false, models.CheckResult{Figure: explained, Limit: limit,
				Message: fmt.Sprintf("column %q alone explains %s of the label%s, at most %s allowed: is it the answer itself? (data.columns.%s.known_at settles it)",
					a.Column, percent(explained), j.explainedOf(), percent(limit), a.Column)})
			r.Severity = j.Spec.Checks.SeverityOf(checkLeakage, a.Column, true)
			results = append(results, r)
		}
	}
	if guessed > 0 && most <= limit {
		r := j.passed(checkLeakage, "none of %d features looks like the answer; column %q alone explains %s of the label%s, at most %s allowed",
			guessed, suspect, percent(most), j.explainedOf(), percent(limit))
		r.Figure, r.Limit = most, limit
		results = append(results, r)
	}
	if len(results) == 0 {
		results = append(results, j.skipped(checkLeakage, "", "no feature can be held against the label"))
	}
	return results
}

// isDeclared reports whether known_at settles what would be guessed: not if it has
// a time in no row.
func (j judge) isDeclared(column string) bool {
	late := j.Rows.Find(profile.RuleLate, column)
	return j.Spec.Columns[column].KnownAt != "" && (late == nil || late.Seen > 0)
}

func (j judge) knownLate(late profile.Finding) models.CheckResult {
	if late.Seen == 0 {
		return j.skipped(checkLeakage, late.Column, fmt.Sprintf("no row has a value of column %q and a time in %q", late.Column, j.Spec.Columns[late.Column].KnownAt))
	}
	message := fmt.Sprintf("column %q: %d of %d values became known only after their event (%s)",
		late.Column, late.Count, late.Seen, j.Spec.Columns[late.Column].KnownAt)
	if answers := j.Rows.Find(profile.RuleTooLate, late.Column); answers != nil && answers.Count > 0 {
		message += fmt.Sprintf(", %d of them not before the label", answers.Count)
	}
	return j.result(checkLeakage, late.Column, late.Count == 0, models.CheckResult{
		Figure: float64(late.Count), Message: message, Rows: late.Rows})
}

func (j judge) explainedOf() string {
	if j.Spec.Task == models.TaskRegression {
		return "'s variance"
	}
	return "'s entropy"
}

// percent writes a share with three digits, and never rounds up to all of it.
func percent(v float64) string {
	if v < 1 && v > 0.999 {
		return "more than 99.9 %"
	}
	return fmt.Sprintf("%.3g %%", 100*v)
}
