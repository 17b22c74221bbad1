package profile

import (
	"math"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// addStrings counts rows that have no codes.
func (s *sideColumn) addStrings(series *dataset.Series, rows selection, labels *labels) {
	for i := range rows.each() {
		if series.IsNull(i) {
			s.nulls++
			continue
		}
		text := series.Strings[i]
		s.lengths.add(int64(len(text)), 1)
		if s.values == nil {
			continue
		}
		text = asWritten(text)
		k := s.values.add(hashText(text, 0), 0, text, 1)
		if s.values.width > 0 {
			s.values.labels[k*s.values.width+int(labels.classes[i])]++
		}
		if s.values.targets != nil {
			s.values.targets[k] += labels.numbers[i]
		}
		if s.summed {
			s.squares += labels.numbers[i] * labels.numbers[i]
		}
	}
	if s.values != nil {
		s.values.own()
	}
}

// addNumbers divides the work into loops over slices without nulls.
func (s *sideColumn) addNumbers(series *dataset.Series, rows selection, labels *labels, b *scratch) {
	b.gather(s, series, rows, labels)
	if s.values == nil {
		return
	}
	switch series.Type {
	case dataset.TypeFloat64:
		s.numbers.addAll(b.floats, b.labels)
		for _, x := range b.floats {
			bits := math.Float64bits(x)
			s.values.add(hashNumber(bits, 0), bits, "", 1)
		}
		return
	case dataset.TypeTimestamp:
		s.numbers.addAll(b.floats, nil)
	default:
		s.numbers.addInts(b.ints, b.floats, b.labels)
	}
	for _, v := range b.ints {
		s.values.add(hashNumber(uint64(v), 0), uint64(v), "", 1)
	}
}

// scratch are rows of one side that have a value. Integers are floats as well.
type scratch struct {
	ints   []int64
	floats []float64
	labels []uint8 // nil: none are counted

	ownInts   []int64
	ownFloats []float64
	ownLabels []uint8
}

// gather takes the rows that have a value, and counts the others.
func (b *scratch) gather(s *sideColumn, series *dataset.Series, rows selection, labels *labels) {
	b.ownFloats = b.ownFloats[:0]
	b.labels = nil
	if rows.all && series.Nulls == nil && series.Type != dataset.TypeFloat64 && !s.summed {
		b.ints = series.Ints
		if s.width > 0 {
			b.labels = labels.classes
		}
	} else {
		b.pick(s, series, rows, labels)
	}
	switch series.Type {
	case dataset.TypeFloat64:
	case dataset.TypeTimestamp:
		for _, v := range b.ints {
			b.ownFloats = append(b.ownFloats, float64(v)/1e6)
		}
	default:
		for _, v := range b.ints {
			b.ownFloats = append(b.ownFloats, float64(v))
		}
	}
	b.floats = b.ownFloats
}

func (b *scratch) pick(s *sideColumn, series *dataset.Series, rows selection, labels *labels) {
	b.ownInts, b.ownLabels = b.ownInts[:0], b.ownLabels[:0]
	floats := series.Type == dataset.TypeFloat64
	for i := range rows.each() {
		if series.Absent(i) {
			s.absent(series.IsNull(i), 1)
			continue
		}
		if floats {
			b.ownFloats = append(b.ownFloats, series.Floats[i]+0) // one zero
		} else {
			b.ownInts = append(b.ownInts, series.Ints[i])
		}
		if s.width > 0 {
			b.ownLabels = append(b.ownLabels, labels.classes[i])
		}
		if s.summed {
			x, _ := series.Number(i)
			s.numbers.placeTarget(x+0, labels.numbers[i])
			s.squares += labels.numbers[i] * labels.numbers[i]
		}
	}
	b.ints = b.ownInts
	if s.width > 0 {
		b.labels = b.ownLabels
	}
}
