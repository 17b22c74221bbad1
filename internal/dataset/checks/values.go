package checks

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// ranges wants numbers, and times as Unix seconds, inside of closed intervals.
// The figure is the values outside; none is allowed.
func (j judge) ranges() []models.CheckResult {
	limits := j.Spec.Checks.Range
	if len(limits) == 0 {
		return []models.CheckResult{j.skipped(checkRange, "", "data.checks.range names no column")}
	}
	var results []models.CheckResult
	for _, name := range sortedKeys(limits) {
		found := j.Rows.Find(profile.RuleRange, name)
		if found == nil {
			results = append(results, j.skipped(checkRange, name, notSeen))
			continue
		}
		message := fmt.Sprintf("column %q: %d of %d values are outside of %s", name, found.Count, found.Seen, j.interval(name, limits[name]))
		if low, high, ok := extremes(j.column(name)); ok && !j.Spec.IsSensitive(name) {
			write := j.words(name)
			message += fmt.Sprintf("; they go from %s to %s", write(low), write(high))
		}
		results = append(results, j.result(checkRange, name, found.Count == 0, models.CheckResult{
			Figure: float64(found.Count), Message: message, Rows: found.Rows}))
	}
	return results
}

// interval writes a range: "10 to 6000", "10 and more".
func (j judge) interval(name string, r models.Range) string {
	write := j.words(name)
	switch {
	case r.Max == nil && r.Min == nil:
		return "any"
	case r.Max == nil:
		return write(*r.Min) + " and more"
	case r.Min == nil:
		return write(*r.Max) + " and less"
	}
	return write(*r.Min) + " to " + write(*r.Max)
}

// words returns how a column's numbers are written for people.
func (j judge) words(name string) func(float64) string {
	if train, test := j.column(name); train != nil && train.Type == dataset.TypeTimestamp || test != nil && test.Type == dataset.TypeTimestamp {
		return func(v float64) string { return stamp(dataset.FromSeconds(v)) }
	}
	return number
}

// number writes whole numbers in full and others with six digits that matter.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprintf("%.6g", v)
}

// extremes are the smallest and the largest finite number of both sides.
func extremes(train, test *profile.Column) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range []*profile.Column{train, test} {
		if c != nil && c.Numbers != nil && c.Numbers.Count > 0 {
			low, high, ok = min(low, c.Numbers.Min), max(high, c.Numbers.Max), true
		}
	}
	return low, high, ok
}

// allowed wants values from a list. The figure is the others; none is allowed.
func (j judge) allowed() []models.CheckResult {
	lists := j.Spec.Checks.Allowed
	if len(lists) == 0 {
		return []models.CheckResult{j.skipped(checkAllowed, "", "data.checks.allowed names no column")}
	}
	var results []models.CheckResult
	for _, name := range sortedKeys(lists) {
		found := j.Rows.Find(profile.RuleAllowed, name)
		if found == nil {
			results = append(results, j.skipped(checkAllowed, name, notSeen))
			continue
		}
		results = append(results, j.result(checkAllowed, name, found.Count == 0, models.CheckResult{
			Figure: float64(found.Count), Rows: found.Rows,
			Message: fmt.Sprintf("column %q: %d of %d values are not among the %d allowed ones%s",
				name, found.Count, found.Seen, len(lists[name]), j.list(name, lists[name]))}))
	}
	return results
}

// list writes the first allowed values. The spec's author has written them down,
// but of a sensitive column they may be people's all the same.
func (j judge) list(name string, values []string) string {
	const most = 6
	if j.Spec.IsSensitive(name) {
		return ""
	}
	words := make([]string, 0, most+1)
	for i, v := range values {
		if i == most {
			words = append(words, "…")
			break
		}
		words = append(words, cut(v))
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// unseen holds categories against the baseline's. The figure is the share of
// values that the baseline does not have.
func (j judge) unseen() []models.CheckResult {
	if j.Baseline == nil {
		return []models.CheckResult{j.skipped(checkUnseen, "", j.noBaseline())}
	}
	limit := *j.Spec.Checks.MaxUnseen
	var results []models.CheckResult
	found, unknown := j.findings(profile.RuleUnseen), j.notCompared()
	if len(found) == 0 && unknown == "" {
		unknown = "no column has categories"
	}
	for _, f := range found {
		figure := share(f.Count, f.Seen)
		results = append(results, j.result(checkUnseen, f.Column, figure <= limit, models.CheckResult{
			Figure: figure, Limit: limit, Rows: f.Rows,
			Message: fmt.Sprintf("column %q: %d of %d values (a share of %.4g) are categories that version %s was not trained on, at most %.4g allowed",
				f.Column, f.Count, f.Seen, figure, j.Version, limit)}))
	}
	if len(found) > 0 {
		results = j.folded(checkUnseen, results, "no column has categories that version "+j.Version+" was not trained on")
	}
	if unknown != "" {
		results = append(results, j.skipped(checkUnseen, "", unknown))
	}
	return results
}

// notCompared names the columns with categories of which the baseline has no
// list of all; empty: there are none.
func (j judge) notCompared() string {
	var names []string
	for _, c := range j.Profile.Train.Columns {
		if profile.HasCategories(c.Type, c.Role) && j.Rows.Find(profile.RuleUnseen, c.Name) == nil {
			names = append(names, strconv.Quote(c.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "version " + j.Version + "'s profile does not list all values of " + strings.Join(names, ", ")
}

func (j judge) noBaseline() string {
	if j.NoBaseline != "" {
		return j.NoBaseline
	}
	return "there is no baseline"
}

// folded leaves the results that have something to tell: those that failed, or
// whose figure is not 0. The others are one line, without any it says nothing.
func (j judge) folded(check string, results []models.CheckResult, others string) []models.CheckResult {
	var told []models.CheckResult
	for _, r := range results {
		if !r.Passed || r.Figure != 0 {
			told = append(told, r)
		}
	}
	if len(told) == 0 {
		told = append(told, j.passed(check, "%s", others))
	}
	return told
}
