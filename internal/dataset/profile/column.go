package profile

import (
	"math"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// column is what a pass knows of one column.
type column struct {
	models.Column
	sensitive bool
	kept      bool // in the profile
	unique    *block
	rules     []*rule
	// salt tells equal values of different columns apart where whole rows are hashed.
	salt   uint64
	inRow  bool // a part of whole rows
	sides  [2]sideColumn
	series *dataset.Series // of the chunk
	coding *dataset.Coding // likewise; nil: none
	// dictionary is the coding's whose rows are counted by code, hashes those of its
	// values.
	dictionary *dataset.Series
	hashes     []uint64
	scratch    scratch
}

// sideColumn is a column's rows on one side.
type sideColumn struct {
	rows, nulls, nans int64
	lengths           Lengths
	numbers           *numbers // nil: strings, or sensitive
	values            *values  // nil: sensitive
	width             int      // labels that are counted by value; 0: none
	summed            bool     // labels are summed by value
	// counts are the rows by code and label, targets the sums of their labels.
	counts  []int64
	targets []float64
	squares float64 // the sum of the squares of labels that are summed
}

func newSideColumn(c models.Column, sensitive bool, width int, summed bool) sideColumn {
	s := sideColumn{width: width, summed: summed, lengths: Lengths{Min: math.MaxInt64}}
	if sensitive {
		return s
	}
	if c.Type == dataset.TypeString {
		s.values = newValues(c.Type, width, summed)
		return s
	}
	s.values, s.numbers = newValues(c.Type, 0, false), newNumbers(c.Type, width, summed)
	return s
}

// begin takes the column's part of a chunk.
func (c *column) begin(series *dataset.Series, coding *dataset.Coding) {
	c.series, c.coding = series, coding
	if coding == nil || coding.Values == c.dictionary {
		return
	}
	c.flush()
	c.dictionary = coding.Values
	n := coding.Values.Len()
	for i := range c.sides {
		s := &c.sides[i]
		s.counts = make([]int64, n*max(s.width, 1))
		if s.summed {
			s.targets = make([]float64, n)
		}
	}
	for _, r := range c.rules {
		r.mark(coding.Values)
	}
	c.hashes = nil
}

// flush counts the rows that were counted by code.
func (c *column) flush() {
	d := c.dictionary
	if d == nil {
		return
	}
	for _, r := range c.rules {
		r.settle(c.sides[:])
	}
	for i := range c.sides {
		if c.kept {
			c.sides[i].settle(d)
		}
		c.sides[i].counts, c.sides[i].targets = nil, nil
	}
	c.dictionary = nil
}

// count counts the chunk's rows of one side.
func (c *column) count(side Side, rows selection, labels *labels) {
	s := &c.sides[side-Train]
	if c.coding != nil {
		s.countCodes(c.coding, rows, labels)
		return
	}
	if !c.kept {
		return
	}
	s.rows += int64(rows.len())
	if c.Type == dataset.TypeString {
		s.addStrings(c.series, rows, labels)
		return
	}
	s.addNumbers(c.series, rows, labels, &c.scratch)
}

func (s *sideColumn) countCodes(coding *dataset.Coding, rows selection, labels *labels) {
	values, codes, counts := coding.Values, coding.Codes, s.counts
	switch {
	case rows.all && s.width == 0:
		for _, code := range codes {
			counts[code]++
		}
	case s.width == 0:
		for _, i := range rows.rows {
			counts[codes[i]]++
		}
	case rows.all:
		for i, code := range codes {
			counts[int(code)*s.width+int(labels.classes[i])]++
		}
	default:
		for _, i := range rows.rows {
			counts[int(codes[i])*s.width+int(labels.classes[i])]++
		}
	}
	if s.summed {
		for i := range rows.each() {
			s.targets[codes[i]] += labels.numbers[i]
			if !values.Absent(int(codes[i])) {
				s.squares += labels.numbers[i] * labels.numbers[i]
			}
		}
	}
}

// settle adds what was counted by code.
func (s *sideColumn) settle(d *dataset.Series) {
	width := max(s.width, 1)
	for code := range d.Len() {
		byLabel := s.counts[code*width : (code+1)*width]
		rows := total(byLabel)
		if rows == 0 {
			continue
		}
		s.rows += rows
		if d.Absent(code) {
			s.absent(d.IsNull(code), rows)
			continue
		}
		target := 0.0
		if s.summed {
			target = s.targets[code]
		}
		if d.Type == dataset.TypeString {
			s.addText(d.Strings[code], rows, byLabel, target)
		} else {
			s.addNumber(d, code, rows, byLabel, target)
		}
	}
	if s.values != nil {
		s.values.own()
	}
}

func (s *sideColumn) absent(null bool, rows int64) {
	s.nulls += rows
	if !null {
		s.nans += rows
	}
}

func (s *sideColumn) addText(text string, rows int64, byLabel []int64, target float64) {
	s.lengths.add(int64(len(text)), rows)
	if s.values == nil {
		return
	}
	text = asWritten(text)
	k := s.values.add(hashText(text, 0), 0, text, rows)
	for l := range s.values.width {
		s.values.labels[k*s.values.width+l] += byLabel[l]
	}
	if s.values.targets != nil {
		s.values.targets[k] += target
	}
}

func (s *sideColumn) addNumber(d *dataset.Series, i int, rows int64, byLabel []int64, target float64) {
	if s.values == nil {
		return
	}
	bits := numberBits(d, i)
	s.values.add(hashNumber(bits, 0), bits, "", rows)
	x, _ := d.Number(i)
	x += 0
	s.numbers.add(x, rows)
	for l, n := range byLabel {
		if n > 0 {
			s.numbers.place(x, l, n)
		}
	}
	if s.summed {
		s.numbers.placeTarget(x, target)
	}
}

// numberBits tells numbers of a column apart.
func numberBits(s *dataset.Series, i int) uint64 {
	if s.Type == dataset.TypeFloat64 {
		return bitsOf(s.Floats[i])
	}
	return uint64(s.Ints[i])
}

func (l *Lengths) add(n, rows int64) {
	l.Count += rows
	l.Total += n * rows
	l.Min, l.Max = min(l.Min, n), max(l.Max, n)
}

// written is the column of a profile.
func (c *column) written(side int) Column {
	s := &c.sides[side]
	out := Column{
		Name: c.Name, Type: c.Type, Role: c.Role, Rows: s.rows, Nulls: s.nulls, NaNs: s.nans, Sensitive: c.sensitive,
	}
	if c.Type == dataset.TypeString {
		lengths := s.lengths
		if lengths.Count == 0 {
			lengths.Min = 0
		}
		out.Lengths = &lengths
	}
	if s.values != nil {
		out.Values = s.values.counted(c.Type)
	}
	if s.numbers != nil {
		out.Numbers = s.numbers.counted()
	}
	return out
}

func (s *sideColumn) merge(other *sideColumn) {
	s.rows += other.rows
	s.nulls += other.nulls
	s.nans += other.nans
	s.squares += other.squares
	s.lengths.Count += other.lengths.Count
	s.lengths.Total += other.lengths.Total
	s.lengths.Min, s.lengths.Max = min(s.lengths.Min, other.lengths.Min), max(s.lengths.Max, other.lengths.Max)
	if s.values != nil {
		s.values.merge(other.values)
	}
	if s.numbers != nil {
		s.numbers.merge(other.numbers)
	}
}
