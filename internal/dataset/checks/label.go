package checks

import (
	"fmt"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// labels wants only labels that the task knows, and two different ones in
// training: a program can't learn from one. The figures are the foreign labels,
// of which none is allowed, and the different ones, of which two are wanted.
func (j judge) labels() []models.CheckResult {
	label := j.Spec.Label
	found := j.Rows.Find(profile.RuleLabel, label)
	if found == nil {
		return []models.CheckResult{j.skipped(checkLabel, label, notSeen)}
	}
	results := []models.CheckResult{j.result(checkLabel, label, found.Count == 0, models.CheckResult{
		Figure: float64(found.Count), Rows: found.Rows,
		Message: fmt.Sprintf("column %q: %d labels are %s", label, found.Count, j.foreign())})}
	if j.Profile.Train.Rows == 0 || found.Count > 0 {
		return results // an empty side is said elsewhere; foreign labels are no second class
	}
	kinds, only, known := j.kinds()
	if !known {
		return append(results, j.skipped(checkLabel, label, "the label is sensitive, and there is no feature to count its values with"))
	}
	return append(results, j.result(checkLabel, label, kinds >= 2, models.CheckResult{
		Figure: float64(kinds), Limit: 2, Message: fmt.Sprintf("column %q: %s", label, j.varied(kinds, only))}))
}

// kinds is how many different labels training rows have, at most two where
// that is all that is known, and the one if there is one and it may be shown.
func (j judge) kinds() (kinds int64, only string, known bool) {
	c := j.Profile.Train.Column(j.Spec.Label)
	switch {
	case c == nil:
		return 0, "", false
	case c.Values != nil:
		if len(c.Values.Top) > 0 {
			only = c.Values.Top[0].Value
		}
		return c.Values.Distinct, only, true
	case c.Numbers != nil && c.Numbers.Count > 0:
		if c.Numbers.Min == c.Numbers.Max {
			return 1, number(c.Numbers.Min), true
		}
		return 2, "", true
	}
	return j.hiddenKinds()
}

// hiddenKinds counts the labels that a feature has met: the one that has met most,
// for each has only the rows with a value. That there is one label is known of a
// feature with a value in all rows.
func (j judge) hiddenKinds() (kinds int64, only string, known bool) {
	for _, a := range j.Rows.Associations {
		if a.Crowded || len(a.Cells) == 0 {
			continue
		}
		met, rows := j.met(a)
		kinds, known = max(kinds, met), known || met >= 2 || rows >= j.Profile.Train.Rows
	}
	return kinds, models.Masked, known
}

// met are the different labels of a feature's rows, at most two of task
// regression, and how many rows these are.
func (j judge) met(a profile.Association) (kinds, rows int64) {
	sum, met := 0.0, map[int]bool{}
	for _, cell := range a.Cells {
		sum += cell.Sum
		for label, n := range cell.Labels {
			rows += n
			if last := len(cell.Labels) - 1; n > 0 && label < last { // the last is what is no label
				met[label] = true
			}
		}
	}
	if j.Spec.Task != models.TaskRegression {
		return int64(len(met)), rows
	}
	mean := sum / float64(rows)
	if a.Squares/float64(rows)-mean*mean > 1e-12*(1+mean*mean) {
		return 2, rows
	}
	return 1, rows
}

// foreign says what a label is that the task does not know.
func (j judge) foreign() string {
	switch {
	case j.Spec.Task == models.TaskRegression:
		return "no finite numbers"
	case j.Spec.Task == models.TaskMulticlass && len(j.Spec.Classes) > 0:
		return fmt.Sprintf("none of the %d classes", len(j.Spec.Classes))
	case j.Spec.Task == models.TaskMulticlass:
		return "no class numbers (whole, from 0 on)"
	default:
		return "neither 0 nor 1"
	}
}

// varied says whether the training rows have more than one label.
func (j judge) varied(kinds int64, only string) string {
	rows := j.Profile.Train.Rows
	switch several := kinds >= 2; {
	case j.Spec.Task == models.TaskRegression && several:
		if c := j.Profile.Train.Column(j.Spec.Label); c.Numbers != nil {
			return fmt.Sprintf("the training rows have labels from %.6g to %.6g", c.Numbers.Min, c.Numbers.Max)
		}
		return "the training rows have different labels"
	case j.Spec.Task == models.TaskRegression:
		return fmt.Sprintf("every one of the %d training rows has the label %s, different ones are needed", rows, only)
	case j.Spec.Task == models.TaskMulticlass && several:
		return fmt.Sprintf("the training rows have %d classes", kinds)
	case j.Spec.Task == models.TaskMulticlass:
		return fmt.Sprintf("every one of the %d training rows has the class %s, at least two classes are needed", rows, class(only))
	case several:
		return "the training rows have both labels"
	default:
		return fmt.Sprintf("every training row has the label %s, both 0 and 1 are needed", only)
	}
}

// class quotes the name of a class; numbers stand for themselves.
func class(text string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil || text == models.Masked {
		return text
	}
	return strconv.Quote(text)
}
