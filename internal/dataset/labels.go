package dataset

import (
	"fmt"
	"math"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Labels reads a label column as the numbers that metrics count with: 0 or 1,
// the index of a class, or the number itself.
type Labels struct {
	task    models.Task
	classes map[string]float64 // nil: labels are indexes themselves
}

// NewLabels reads labels as the spec's task says; an empty one is binary.
func NewLabels(spec models.DataSpec) Labels {
	l := Labels{task: spec.Task}
	if len(spec.Classes) > 0 {
		l.classes = make(map[string]float64, len(spec.Classes))
		for i, class := range spec.Classes {
			l.classes[class] = float64(i)
		}
	}
	return l
}

// Missing reports whether row i has no label: a null, or NaN, which programs
// that know no null write instead.
func (l Labels) Missing(s *Series, i int) bool {
	if s.Type == TypeString {
		return s.IsNull(i)
	}
	_, ok := s.Number(i)
	return !ok
}

// Number is the label of row i. It is false for a label that the task does not
// know, and for a missing one.
func (l Labels) Number(s *Series, i int) (float64, bool) {
	if l.Missing(s, i) {
		return 0, false
	}
	if l.task == models.TaskMulticlass && l.classes != nil {
		v, ok := l.classes[s.Text(i)]
		return v, ok
	}
	v, ok := s.Number(i)
	if !ok {
		return 0, false // a string where numbers are labels
	}
	switch l.task {
	case models.TaskMulticlass:
		return v, v >= 0 && v <= maxClass && v == math.Trunc(v)
	case models.TaskRegression:
		return v, !math.IsInf(v, 0)
	case models.TaskBinary:
	}
	return v, v == 0 || v == 1
}

// maxClass keeps the index of a class exact, and small enough to count with.
const maxClass = math.MaxInt32

// labelTypes are the types that a label column can have.
func labelTypes(spec models.DataSpec) []string {
	switch spec.Task {
	case models.TaskMulticlass:
		if len(spec.Classes) > 0 {
			return []string{TypeString, TypeInt64, TypeFloat64}
		}
		return []string{TypeInt64, TypeFloat64}
	case models.TaskRegression:
		return []string{TypeInt64, TypeFloat64}
	case models.TaskBinary:
	}
	return []string{TypeInt64, TypeBool, TypeFloat64}
}

// tally counts the labels of some rows as numbers.
func (l Labels) tally(s *Series, rows []int) Tally {
	return tallyNumbers(rows, func(row int) (float64, bool) { return l.Number(s, row) })
}

// others counts the labels that the task does not know, with one of them.
func (l Labels) others(s *Series, rows []int) Tally {
	var t Tally
	for _, row := range rows {
		if _, ok := l.Number(s, row); !ok {
			t.Rows++
			t.Example = firstExample(t.Example, cut(s.Text(row)))
		}
	}
	return t
}

// cut keeps an example short.
func cut(text string) string {
	const longest = 40
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// checkLabels wants only labels that the task knows, and two different ones in
// training: a program can't learn from one.
func checkLabels(spec models.DataSpec, summary Summary) []models.CheckResult {
	others := summary.Tallies[otherLabels]
	message := fmt.Sprintf("column %q: %d labels are %s", spec.Label, others.Rows, foreign(spec))
	if others.Example != "" {
		message += fmt.Sprintf(", such as %q", others.Example)
	}
	results := []models.CheckResult{{
		Check: CheckLabel, Column: spec.Label, Passed: others.Rows == 0, Figure: float64(others.Rows), Message: message,
	}}
	t := summary.Tallies[trainPrefix+spec.Label]
	if t.Min == nil || t.Max == nil {
		return results
	}
	kinds := 2.0
	if *t.Min == *t.Max {
		kinds = 1
	}
	return append(results, models.CheckResult{
		Check: CheckLabel, Column: spec.Label, Passed: kinds == 2, Figure: kinds, Limit: 2,
		Message: fmt.Sprintf("column %q: %s", spec.Label, varied(spec, *t.Min, *t.Max, t.Rows-t.Nulls)),
	})
}

// foreign says what a label is that the task does not know.
func foreign(spec models.DataSpec) string {
	switch {
	case spec.Task == models.TaskRegression:
		return "no finite numbers"
	case spec.Task == models.TaskMulticlass && len(spec.Classes) > 0:
		return fmt.Sprintf("none of the %d classes", len(spec.Classes))
	case spec.Task == models.TaskMulticlass:
		return "no class numbers (whole, from 0 on)"
	default:
		return "neither 0 nor 1"
	}
}

// varied says whether the training rows have more than one label.
func varied(spec models.DataSpec, low, high float64, rows int64) string {
	label := fmt.Sprintf("%.6g", low)
	if i := int(low); spec.Task == models.TaskMulticlass && i >= 0 && i < len(spec.Classes) {
		label = fmt.Sprintf("%q", spec.Classes[i])
	}
	switch several := low != high; {
	case spec.Task == models.TaskRegression && several:
		return fmt.Sprintf("the training rows have labels from %.6g to %.6g", low, high)
	case spec.Task == models.TaskRegression:
		return fmt.Sprintf("every one of the %d training rows has the label %s, different ones are needed", rows, label)
	case spec.Task == models.TaskMulticlass && several:
		return "the training rows have several classes"
	case spec.Task == models.TaskMulticlass:
		return fmt.Sprintf("every one of the %d training rows has the class %s, at least two classes are needed", rows, label)
	case several:
		return "the training rows have both labels"
	default:
		return fmt.Sprintf("every training row has the label %s, both 0 and 1 are needed", label)
	}
}
