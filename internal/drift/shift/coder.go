package shift

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// Coder turns the values of rows into codes. It is read only: goroutines share
// it. A row's codes are as many bytes as Width says; whoever keeps a million
// rows keeps them in one slab.
//
//	coder := reference.Coder(data.Time, data.Label)
//	codes := make([]uint8, coder.Width())
//	coder.Clear(codes)
//	coder.Number(codes, column, 12.5) // column: index into coder.Columns()
//	coder.Time(codes, micros)
//	coder.Label(codes, 1)             // once it is known
//	block.Add(codes, shift.Outcome{…})
type Coder struct {
	columns  []codeColumn
	names    []string
	blank    []uint8 // a row without any value
	times    []codeSlice
	labels   []codeSlice
	classes  []string
	features int
	makes    *Reference
}

// codeColumn is a column of inputs with what depends on it.
type codeColumn struct {
	feature int // -1: none, the column is only sliced by
	edges   []float64
	values  map[string]int
	rare    []uint32
	crowded bool
	slices  []codeSlice
}

type codeSlice struct {
	at     int // in the codes
	slicer *dataset.Slicer
}

// Coder compiles the reference. The names of the time and the label column tell
// slicings by them from those by an input.
func (r *Reference) Coder(timeColumn, labelColumn string) *Coder {
	c := &Coder{features: len(r.Features), classes: r.Classes, makes: r}
	for i := range r.Features {
		f := &r.Features[i]
		c.names = append(c.names, f.Name)
		c.columns = append(c.columns, compile(i, f))
		c.blank = append(c.blank, uint8(f.Missing()))
	}
	for i := range r.Slicings {
		cut := &r.Slicings[i]
		one := codeSlice{at: len(r.Features) + i, slicer: cut.Slicer()}
		c.blank = append(c.blank, uint8(one.slicer.Null()))
		switch cut.Column {
		case timeColumn:
			c.times = append(c.times, one)
		case labelColumn:
			c.labels = append(c.labels, one)
		default:
			at := slices.Index(c.names, cut.Column)
			if at < 0 {
				at = len(c.names)
				c.names, c.columns = append(c.names, cut.Column), append(c.columns, codeColumn{feature: -1})
			}
			c.columns[at].slices = append(c.columns[at].slices, one)
		}
	}
	return c
}

func compile(feature int, f *Feature) codeColumn {
	c := codeColumn{feature: feature, edges: f.Edges, crowded: f.Crowded}
	if f.Type == TypeNumber {
		return c
	}
	c.values = make(map[string]int, len(f.Values))
	for i, name := range f.Values {
		c.values[name] = i
	}
	for rest := f.Rare; len(rest) >= 4; rest = rest[4:] {
		c.rare = append(c.rare, binary.LittleEndian.Uint32(rest))
	}
	return c
}

// Columns are the inputs that the codes depend on, features first. The indexes
// are what Number, Text and Missing take.
func (c *Coder) Columns() []string { return c.names }

// Width is the number of bytes of a row's codes.
func (c *Coder) Width() int { return len(c.blank) }

// NewBlock is a block without rows.
func (c *Coder) NewBlock() *Block { return c.makes.newBlock() }

// Clear makes a row one without any value.
func (c *Coder) Clear(codes []uint8) { copy(codes, c.blank) }

// Number sets an input that is a number, or a truth as 0 or 1.
func (c *Coder) Number(codes []uint8, column int, v float64) {
	one := &c.columns[column]
	if math.IsNaN(v) {
		return
	}
	for _, s := range one.slices {
		codes[s.at] = uint8(s.slicer.Number(v))
	}
	switch {
	case one.feature < 0:
	case one.values != nil:
		var text [32]byte
		codes[one.feature] = one.category(strconv.AppendFloat(text[:0], v, 'g', -1, 64))
	default:
		codes[one.feature] = bin(one.edges, v)
	}
}

// Text sets an input that is a text. Where the reference has numbers, a text
// is no value.
func (c *Coder) Text(codes []uint8, column int, text []byte) {
	one := &c.columns[column]
	for _, s := range one.slices {
		codes[s.at] = uint8(s.slicer.Text(text))
	}
	if one.feature >= 0 && one.values != nil {
		codes[one.feature] = one.category(text)
	}
}

// Time sets the row's event time in microseconds.
func (c *Coder) Time(codes []uint8, micros int64) {
	for _, s := range c.times {
		codes[s.at] = uint8(s.slicer.Number(float64(micros)))
	}
}

// Label sets the row's label as a number: of task multiclass the index of the
// class.
func (c *Coder) Label(codes []uint8, label float64) {
	for _, s := range c.labels {
		if i := int(label); i >= 0 && i < len(c.classes) && float64(i) == label {
			codes[s.at] = uint8(s.slicer.Text([]byte(c.classes[i])))
		} else {
			codes[s.at] = uint8(s.slicer.Number(label))
		}
	}
}

// bin is the number's bin: the first whose upper edge it does not exceed. The
// loop has one conditional assignment and no branch that depends on the value,
// which a processor would guess wrong every other time.
func bin(edges []float64, v float64) uint8 {
	low, left := 0, len(edges)
	for left > 0 {
		half := (left + 1) / 2
		next := low
		if v > edges[low+half-1] {
			next = low + half
		}
		low = next
		left -= half
	}
	return uint8(low)
}

func (c *codeColumn) category(text []byte) uint8 {
	if i, ok := c.values[string(text)]; ok {
		return uint8(i)
	}
	if c.crowded {
		return uint8(len(c.values))
	}
	if _, rare := slices.BinarySearch(c.rare, hash(text)); rare {
		return uint8(len(c.values))
	}
	return uint8(len(c.values) + 1)
}
