package activities

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// maxSlices bounds the slices of all columns together, because each enters
	// the history. Columns share it evenly; what has no slice of its own shares
	// one, so that no row goes unjudged.
	maxSlices   = 200
	maxSlicings = 50

	// maxSliceName bounds a slice's name in bytes, for the same reason.
	maxSliceName = 80

	sliceOther = "other"
	sliceNull  = "null"
)

// cutSlices cuts the rows as the spec says.
func cutSlices(specs []models.SliceSpec, table dataset.Table) ([]metric.Slicing, error) {
	if len(specs) > maxSlicings {
		return nil, invalidSlices(fmt.Sprintf("%d columns are sliced; at most %d can be", len(specs), maxSlicings), "slice by fewer columns")
	}
	slicings := make([]metric.Slicing, len(specs))
	for i, spec := range specs {
		spec = spec.WithDefaults()
		column := table.Column(spec.Column)
		limit := maxSlices/len(specs) - 2 // "other" and "null" come on top
		slicing := metric.Slicing{Column: spec.Column, MinRows: spec.MinRows}
		switch {
		case spec.Quantiles == 0:
			slicing.Names, slicing.Groups = byValue(column, min(limit, spec.Max))
		case column.Type == dataset.TypeString:
			return nil, invalidSlices(fmt.Sprintf("column %q is a string and has no quantiles", spec.Column), "leave quantiles out")
		default:
			slicing.Names, slicing.Groups = byQuantile(column, min(limit, spec.Quantiles))
		}
		slicings[i] = slicing
	}
	return slicings, nil
}

func invalidSlices(message, hint string) error {
	return &models.Error{Kind: models.KindInvalidSpec, Subject: "evaluate.slices", Message: message, Hint: hint}
}

// absent reports whether a row has no value: a null, or NaN, which programs
// that know no null write instead.
func absent(column *dataset.Series, row int) bool {
	return column.IsNull(row) || column.Type == dataset.TypeFloat64 && math.IsNaN(column.Floats[row])
}

// byValue gives the most frequent values a slice each, ties in order of their
// names, and the rest one together.
func byValue(column *dataset.Series, limit int) (names []string, groups []int32) {
	counts := map[string]int{}
	nulls := false
	for row := range column.Len() {
		if absent(column, row) {
			nulls = true
			continue
		}
		counts[sliceName(column, row)]++
	}
	names = slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	rest := len(names) > limit
	names = names[:min(len(names), limit)]
	number := make(map[string]int32, len(names))
	for i, name := range names {
		number[name] = int32(i)
	}
	other := int32(len(names))
	if rest {
		names = append(names, sliceOther)
	}
	null := int32(len(names))
	if nulls {
		names = append(names, sliceNull)
	}
	groups = make([]int32, column.Len())
	for row := range groups {
		if absent(column, row) {
			groups[row] = null
			continue
		}
		group, own := number[sliceName(column, row)]
		if !own {
			group = other
		}
		groups[row] = group
	}
	return names, groups
}

// sliceName is a value as people write it. Strings that could be taken for
// something else are quoted; long ones are cut, and told apart by their digest.
func sliceName(column *dataset.Series, row int) string {
	text := column.Text(row)
	switch {
	case column.Type == dataset.TypeBool:
		return strconv.FormatBool(column.Ints[row] != 0)
	case column.Type != dataset.TypeString:
		return text
	case len(text) > maxSliceName:
		return printable(strings.ToValidUTF8(text[:maxSliceName], "")) + "… (" + artifact.Digest([]byte(text))[:8] + ")"
	case text == "" || text == sliceOther || text == sliceNull || strings.HasPrefix(text, `"`):
		return strconv.Quote(text)
	default:
		return printable(text)
	}
}

// printable quotes a text that would break a line or hide.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) || !utf8.ValidString(text) {
		return strconv.Quote(text)
	}
	return text
}

// byQuantile cuts a column of numbers or times into parts of about equal size.
// Equal values stay together, so there may be fewer parts, and some larger.
func byQuantile(column *dataset.Series, parts int) (names []string, groups []int32) {
	values := make([]float64, 0, column.Len())
	for row := range column.Len() {
		if !absent(column, row) {
			values = append(values, quantity(column, row))
		}
	}
	slices.Sort(values)
	bounds := quantiles(values, parts)
	for i, high := range bounds {
		low, open := values[0], "["
		if i > 0 {
			low, open = bounds[i-1], "("
		}
		names = append(names, open+bound(column, low)+", "+bound(column, high)+"]")
	}
	null := int32(len(names))
	if len(values) < column.Len() {
		names = append(names, sliceNull)
	}
	groups = make([]int32, column.Len())
	for row := range groups {
		if absent(column, row) {
			groups[row] = null
		} else {
			groups[row] = int32(sort.SearchFloat64s(bounds, quantity(column, row)))
		}
	}
	return names, groups
}

// quantiles are the upper bounds of the parts, rising; the last is the largest
// value.
func quantiles(sorted []float64, parts int) (bounds []float64) {
	if len(sorted) == 0 {
		return nil
	}
	for i := 1; i <= parts; i++ {
		at := (i*len(sorted) + parts - 1) / parts // the nearest rank
		bounds = append(bounds, sorted[at-1])
	}
	return slices.Compact(bounds)
}

// quantity is a value as a number that keeps its order: microseconds for times.
func quantity(column *dataset.Series, row int) float64 {
	if column.Type == dataset.TypeFloat64 {
		return column.Floats[row]
	}
	return float64(column.Ints[row])
}

func bound(column *dataset.Series, value float64) string {
	if column.Type == dataset.TypeTimestamp {
		return time.UnixMicro(int64(value)).UTC().Format(time.RFC3339)
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}
