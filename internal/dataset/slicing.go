package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// maxSlices bounds the slices of all columns together, because each enters
	// the history. Columns share it evenly; what has no slice of its own shares
	// one, so that no row goes unjudged.
	maxSlices = 200
	maxCuts   = 50

	// maxSliceName bounds a slice's name in bytes, for the same reason.
	maxSliceName = 80

	sliceOther = "other"
	sliceNull  = "null"
)

// Cut cuts rows by one column. The slices that rows without one of their own
// share are "other" and "null"; they are there even if no row that the cut was
// made from is in them, since later rows may be.
type Cut struct {
	Column  string   `json:"column"`
	Type    string   `json:"type"` // of the column
	MinRows int64    `json:"min_rows,omitempty"`
	Names   []string `json:"names"` // the last is "null"
	// Bounds are the upper ends of the parts of a column that is cut by quantiles,
	// rising; times in microseconds. Beyond the outermost ones, the outermost
	// parts go on.
	Bounds []float64 `json:"bounds,omitempty"`
}

// Own is how many slices are not shared: the first ones.
func (c *Cut) Own() int {
	if len(c.Bounds) > 0 || len(c.Names) < 2 {
		return len(c.Names) - 1
	}
	return len(c.Names) - 2
}

// Cuts cuts the rows of a table as the specs say.
func Cuts(specs []models.SliceSpec, table Table) ([]Cut, error) {
	if len(specs) > maxCuts {
		return nil, invalidSlices(fmt.Sprintf("%d columns are sliced; at most %d can be", len(specs), maxCuts), "slice by fewer columns")
	}
	cuts := make([]Cut, len(specs))
	for i, spec := range specs {
		spec = spec.WithDefaults()
		column := table.Column(spec.Column)
		limit := maxSlices/len(specs) - 2 // "other" and "null" come on top
		cut := Cut{Column: spec.Column, Type: column.Type, MinRows: spec.MinRows}
		switch {
		case spec.Quantiles == 0:
			cut.byValue(column, min(limit, spec.Max))
		case column.Type == TypeString:
			return nil, invalidSlices(fmt.Sprintf("column %q is a string and has no quantiles", spec.Column), "leave quantiles out")
		default:
			cut.byQuantile(column, min(limit, spec.Quantiles))
		}
		cuts[i] = cut
	}
	return cuts, nil
}

func invalidSlices(message, hint string) error {
	return &models.Error{Kind: models.KindInvalidSpec, Subject: "evaluate.slices", Message: message, Hint: hint}
}

// byValue gives the most frequent values a slice each, ties in order of their
// names, and the rest one together.
func (c *Cut) byValue(column *Series, limit int) {
	counts := map[string]int{}
	for row := range column.Len() {
		if !column.Absent(row) {
			counts[sliceName(column, row)]++
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	c.Names = append(names[:min(len(names), limit)], sliceOther, sliceNull)
}

// byQuantile cuts a column of numbers or times into parts of about equal size.
// Equal values stay together, so there may be fewer parts, and some larger.
func (c *Cut) byQuantile(column *Series, parts int) {
	values := make([]float64, 0, column.Len())
	for row := range column.Len() {
		if !column.Absent(row) {
			values = append(values, quantity(column, row))
		}
	}
	slices.Sort(values)
	c.Bounds = quantiles(values, parts)
	least := math.Inf(-1)
	if len(values) > 0 {
		least = values[0]
	}
	if column.Type == TypeFloat64 {
		for i, bound := range c.Bounds {
			next := math.Inf(1) // the outermost part goes on
			if at, _ := slices.BinarySearch(values, math.Nextafter(bound, next)); at < len(values) {
				next = values[at]
			}
			c.Bounds[i] = briefest(bound, next)
		}
		least = -briefest(-least, math.Inf(1))
	}
	for i, high := range c.Bounds {
		low, open := least, "["
		if i > 0 {
			low, open = c.Bounds[i-1], "("
		}
		c.Names = append(c.Names, open+edgeText(column.Type, low)+", "+edgeText(column.Type, high)+"]")
	}
	c.Names = append(c.Names, sliceNull)
	for i, b := range c.Bounds { // JSON has no infinity
		c.Bounds[i] = max(-math.MaxFloat64, min(math.MaxFloat64, b))
	}
}

// briefest is a number from low on and below high with few digits, three at
// least. A bound between the same two values cuts the same rows, and
// people read and write it.
func briefest(low, high float64) float64 {
	if math.IsInf(low, 0) || math.IsNaN(low) || low == 0 {
		return low
	}
	for digits := 3; digits < 17; digits++ {
		unit := math.Pow(10, math.Floor(math.Log10(math.Abs(low)))-float64(digits-1))
		for _, near := range []float64{low, low + unit} {
			brief, err := strconv.ParseFloat(strconv.FormatFloat(near, 'g', digits, 64), 64)
			if err == nil && brief >= low && brief < high {
				return brief
			}
		}
	}
	return low
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
func quantity(column *Series, row int) float64 {
	if column.Type == TypeFloat64 {
		return column.Floats[row]
	}
	return float64(column.Ints[row])
}

func edgeText(kind string, value float64) string {
	if kind == TypeTimestamp {
		return time.UnixMicro(int64(value)).UTC().Format(time.RFC3339)
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

// sliceName is a value as people write it.
func sliceName(column *Series, row int) string {
	switch column.Type {
	case TypeBool:
		return strconv.FormatBool(column.Ints[row] != 0)
	case TypeString:
		return textName(column.Strings[row])
	default:
		return column.Text(row)
	}
}

// textName is a string as the name of a slice. Strings that could be taken for
// something else are quoted; long ones are cut, and told apart by their digest.
func textName(text string) string {
	switch {
	case len(text) > maxSliceName:
		sum := sha256.Sum256([]byte(text))
		return printable(strings.ToValidUTF8(text[:maxSliceName], "")) + "… (" + hex.EncodeToString(sum[:4]) + ")"
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

// Groups are the rows' slices, as indexes into the names.
func (c *Cut) Groups(column *Series) []int32 {
	slicer := c.Slicer()
	groups := make([]int32, column.Len())
	for row := range groups {
		switch {
		case column.Absent(row):
			groups[row] = int32(slicer.Null())
		case column.Type == TypeString:
			groups[row] = int32(slicer.Text([]byte(column.Strings[row])))
		case column.Type == TypeInt64 && slicer.other >= 0: // as a number, large ones would be rounded
			groups[row] = int32(slicer.Text(strconv.AppendInt(nil, column.Ints[row], 10)))
		default:
			groups[row] = int32(slicer.Number(quantity(column, row)))
		}
	}
	return groups
}

// Slicer finds the slices of single values. It is read only, so that goroutines
// can share it, and allocates nothing but for texts that have no plain name.
type Slicer struct {
	bounds  []float64
	texts   map[string]int
	numbers map[float64]int
	other   int // -1: there is none
	null    int
}

// Slicer compiles the cut.
func (c *Cut) Slicer() *Slicer {
	s := &Slicer{bounds: c.Bounds, null: len(c.Names) - 1, other: -1}
	if c.Own() == len(c.Names)-1 {
		return s
	}
	s.other = len(c.Names) - 2
	s.texts, s.numbers = make(map[string]int, s.other), make(map[float64]int, s.other)
	for i, name := range c.Names[:s.other] {
		s.texts[name] = i
		if v, ok := nameNumber(c.Type, name); ok {
			s.numbers[v] = i
		}
	}
	return s
}

// nameNumber is the value that a slice of numbers is named after.
func nameNumber(kind, name string) (float64, bool) {
	switch kind {
	case TypeString:
		return 0, false
	case TypeBool:
		if name == "true" {
			return 1, true
		}
		return 0, name == "false"
	case TypeTimestamp:
		at, err := time.Parse(time.RFC3339Nano, name)
		return float64(at.UnixMicro()), err == nil
	default:
		v, err := strconv.ParseFloat(name, 64)
		return v, err == nil
	}
}

// Null is the slice of rows without a value.
func (s *Slicer) Null() int { return s.null }

// Number is the slice of a number, a truth (0 or 1) or a time in microseconds.
func (s *Slicer) Number(v float64) int {
	switch {
	case math.IsNaN(v):
		return s.null
	case s.other < 0:
		part, _ := slices.BinarySearch(s.bounds, v)
		return min(part, max(0, len(s.bounds)-1))
	}
	if i, ok := s.numbers[v]; ok {
		return i
	}
	if len(s.numbers) == 0 { // a column of texts
		return s.Text(strconv.AppendFloat(nil, v, 'g', -1, 64))
	}
	return s.other
}

// Text is the slice of a text. A cut of numbers has none for it.
func (s *Slicer) Text(text []byte) int {
	if s.other < 0 {
		return s.null
	}
	if len(text) > 0 && len(text) <= maxSliceName && text[0] != '"' {
		if i, ok := s.texts[string(text)]; ok {
			return i
		}
	}
	if i, ok := s.texts[textName(string(text))]; ok {
		return i
	}
	return s.other
}
