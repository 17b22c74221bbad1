package division

import (
	"math"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
)

// servedTolerance is relative: requests may carry numbers with 24 bits of
// mantissa, or written with six digits. Skew that matters is far larger.
const servedTolerance = 1e-5

// SameAsServed reports whether row i has the value that a model was asked with.
func SameAsServed(s *dataset.Series, i int, asked flatjson.Cell) bool {
	if s.Absent(i) {
		return asked.Kind == flatjson.Null || asked.Kind == flatjson.Number && math.IsNaN(asked.Number)
	}
	if s.Type == dataset.TypeString {
		return asked.Kind == flatjson.Text && string(asked.Text) == s.Strings[i]
	}
	number, ok := s.Number(i)
	switch asked.Kind {
	case flatjson.Number:
		return ok && (number == asked.Number || math.Abs(number-asked.Number) <= servedTolerance*max(math.Abs(number), math.Abs(asked.Number)))
	case flatjson.True:
		return ok && number == 1
	case flatjson.False:
		return ok && number == 0
	case flatjson.Text, flatjson.Null, flatjson.Other:
	}
	return false
}

// Asked writes a value that a model was asked with.
func Asked(c flatjson.Cell) string {
	switch c.Kind {
	case flatjson.Number:
		return strconv.FormatFloat(c.Number, 'g', -1, 64)
	case flatjson.Text:
		return strconv.Quote(string(c.Text))
	case flatjson.True:
		return "true"
	case flatjson.False:
		return "false"
	case flatjson.Null, flatjson.Other:
	}
	return "nothing"
}
