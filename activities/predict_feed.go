package activities

import (
	"math"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// feedable turns the inputs' columns into what serving.Feed takes. Nulls of
// numbers become NaN, so that only a model with float inputs is fed them;
// nulls of strings become the empty string.
func feedable(table dataset.Table, inputs []models.ModelPort) serving.Columns {
	columns := make(serving.Columns, len(inputs))
	for _, port := range inputs {
		s := table.Column(port.Name)
		switch {
		case s.Type == dataset.TypeString:
			columns[port.Name] = s.Strings
		case s.Nulls != nil:
			columns[port.Name] = withNaN(s)
		case s.Type == dataset.TypeFloat64:
			columns[port.Name] = s.Floats
		case s.Type == dataset.TypeBool:
			bools := make([]bool, len(s.Ints))
			for i, v := range s.Ints {
				bools[i] = v != 0
			}
			columns[port.Name] = bools
		default:
			columns[port.Name] = s.Ints
		}
	}
	return columns
}

func withNaN(s *dataset.Series) []float64 {
	out := make([]float64, s.Len())
	for i := range out {
		v, ok := s.Number(i)
		if !ok {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

func cut(values any, from, to int) any {
	switch v := values.(type) {
	case []string:
		return v[from:to]
	case []float64:
		return v[from:to]
	case []bool:
		return v[from:to]
	default:
		return values.([]int64)[from:to]
	}
}
