package profile

import (
	"iter"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// selection is some rows of a chunk, rising.
type selection struct {
	all  bool // of n
	n    int
	rows []int32
}

func (s *selection) len() int {
	if s.all {
		return s.n
	}
	return len(s.rows)
}

// each gives the rows' places in the chunk.
func (s *selection) each() iter.Seq[int] {
	return func(yield func(int) bool) {
		if s.all {
			for i := range s.n {
				if !yield(i) {
					return
				}
			}
			return
		}
		for _, i := range s.rows {
			if !yield(int(i)) {
				return
			}
		}
	}
}

// sorter puts a chunk's rows on their sides.
type sorter struct {
	train, test, either, unusable selection
	buffers                       [4][]int32
}

// sort reads sides; nil: all rows train.
func (s *sorter) sort(rows int, sides []Side) {
	*s = sorter{buffers: s.buffers}
	var found [Unusable + 1]int
	if sides == nil {
		found[Train] = rows
	}
	for _, side := range sides {
		found[side&3]++
	}
	everything := selection{all: true, n: rows}
	pick := func(buffer int, wanted int, is func(Side) bool) selection {
		if wanted == rows {
			return everything
		}
		list := s.buffers[buffer][:0]
		if wanted > 0 {
			for i, side := range sides {
				if is(side) {
					list = append(list, int32(i))
				}
			}
		}
		s.buffers[buffer] = list
		return selection{rows: list}
	}
	s.train = pick(0, found[Train], func(side Side) bool { return side == Train })
	s.test = pick(1, found[Test], func(side Side) bool { return side == Test })
	s.unusable = pick(2, found[Unusable], func(side Side) bool { return side == Unusable })
	switch {
	case found[Test] == 0:
		s.either = s.train
	case found[Train] == 0:
		s.either = s.test
	default:
		s.either = pick(3, found[Train]+found[Test], func(side Side) bool { return side == Train || side == Test })
	}
}

// labels are the labels of a chunk's rows.
type labels struct {
	reader  dataset.Labels
	width   int // classes and one more for what is none; 0: the task is regression
	classes []uint8
	numbers []float64 // of regression
	// coded is the dictionary of which the labels are known by code.
	coded *dataset.Series
	codes labelled
}

type labelled struct {
	classes []uint8
	numbers []float64
}

// mostClasses bounds the classes that are told apart where a feature is held
// against the label.
const mostClasses = 32

func newLabels(spec models.DataSpec) *labels {
	l := &labels{reader: dataset.NewLabels(spec)}
	switch {
	case spec.Task == models.TaskRegression:
	case spec.Task == models.TaskMulticlass && len(spec.Classes) == 0:
		l.width = mostClasses + 1
	case spec.Task == models.TaskMulticlass:
		l.width = min(len(spec.Classes), mostClasses) + 1
	default:
		l.width = 3
	}
	return l
}

// read reads the labels of a chunk. Classes beyond what is told apart count as
// the last one.
func (l *labels) read(series *dataset.Series, coding *dataset.Coding) {
	if coding == nil {
		l.classes, l.numbers = l.all(series, l.classes[:0], l.numbers[:0])
		return
	}
	if l.coded != coding.Values {
		l.coded = coding.Values
		l.codes.classes, l.codes.numbers = l.all(coding.Values, nil, nil)
	}
	l.classes, l.numbers = l.classes[:0], l.numbers[:0]
	if l.width > 0 {
		for _, code := range coding.Codes {
			l.classes = append(l.classes, l.codes.classes[code])
		}
		return
	}
	for _, code := range coding.Codes {
		l.numbers = append(l.numbers, l.codes.numbers[code])
	}
}

func (l *labels) all(series *dataset.Series, classes []uint8, numbers []float64) ([]uint8, []float64) {
	for i := range series.Len() {
		x, ok := l.reader.Number(series, i)
		switch {
		case l.width == 0 && ok:
			numbers = append(numbers, x)
		case l.width == 0:
			numbers = append(numbers, 0) // another finding says so
		case ok:
			classes = append(classes, uint8(min(int(x), l.width-2)))
		default:
			classes = append(classes, uint8(l.width-1))
		}
	}
	return classes, numbers
}
