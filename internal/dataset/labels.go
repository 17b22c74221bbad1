package dataset

import (
	"math"

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
