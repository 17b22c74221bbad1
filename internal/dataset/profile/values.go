package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// values counts the different values of a column. It is exact up to MaxValues of
// them. Then it becomes a summary of frequent ones: when a value finds no room,
// as many rows are taken from each count as half of the values have at most, and
// those left without any are forgotten (Misra and Gries 1982, in the way of
// Anderson et al. 2017). No count lacks more than has been taken in all.
type values struct {
	width   int // labels that are counted by value; 0: none
	entries []entry
	labels  []int64   // of each entry, width of them
	targets []float64 // of each entry, the sum of its labels as numbers; nil: not asked
	slots   []uint16  // by hash: an entry's place plus one; 0: free
	lacks   int64
	// sketch has all hashes once some entry was forgotten; nil: none was.
	sketch *sketch
}

type entry struct {
	hash uint64
	rows int64
	bits uint64 // of a number
	text string // of a string
}

const slotMask = 4*MaxValues - 1

func newValues(width int, targets bool) *values {
	v := &values{width: width, slots: make([]uint16, 256)}
	if targets {
		v.targets = []float64{}
	}
	return v
}

// find returns the place of a value's entry, which is made if there is room or
// room can be made. Hashes of numbers differ where the numbers do.
func (v *values) find(hash, bits uint64, text string) int {
	mask := uint64(len(v.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		k := int(v.slots[i]) - 1
		if k < 0 {
			return v.insert(i, entry{hash: hash, bits: bits, text: text})
		}
		if e := &v.entries[k]; e.hash == hash && e.text == text {
			return k
		}
	}
}

func (v *values) insert(slot uint64, e entry) int {
	switch n := len(v.entries); {
	case n == MaxValues:
		v.purge()
		return v.find(e.hash, e.bits, e.text)
	case 2*n >= len(v.slots):
		v.slots = make([]uint16, 4*len(v.slots))
		v.place()
		return v.find(e.hash, e.bits, e.text)
	}
	e.text = strings.Clone(e.text) // that of a chunk may belong to a whole page
	v.entries = append(v.entries, e)
	v.slots[slot] = uint16(len(v.entries))
	v.labels = append(v.labels, make([]int64, v.width)...)
	if v.targets != nil {
		v.targets = append(v.targets, 0)
	}
	return len(v.entries) - 1
}

// place fills the slots anew.
func (v *values) place() {
	clear(v.slots)
	mask := uint64(len(v.slots) - 1)
	for k := range v.entries {
		i := v.entries[k].hash & mask
		for v.slots[i] != 0 {
			i = (i + 1) & mask
		}
		v.slots[i] = uint16(k + 1)
	}
}

// purge makes room.
func (v *values) purge() {
	v.estimate()
	v.take(v.median())
	v.place()
}

// take takes rows from each count.
func (v *values) take(rows int64) {
	v.lacks += rows
	v.entries = slices.DeleteFunc(v.entries, func(e entry) bool { return e.rows <= rows })
	for i := range v.entries {
		v.entries[i].rows -= rows
	}
}

// median of the counts; most are small where there are many values.
func (v *values) median() int64 {
	var small [64]int
	for i := range v.entries {
		if n := v.entries[i].rows; n < int64(len(small)) {
			small[n]++
		}
	}
	seen := 0
	for rows, n := range small {
		if seen += n; 2*seen >= len(v.entries) {
			return int64(rows)
		}
	}
	counts := make([]int64, len(v.entries))
	for i := range v.entries {
		counts[i] = v.entries[i].rows
	}
	slices.Sort(counts)
	return counts[(len(counts)-1)/2]
}

// add counts rows with a value.
func (v *values) add(hash, bits uint64, text string, rows int64) int {
	k := v.find(hash, bits, text)
	if v.sketch != nil { // perhaps only now
		v.sketch.add(hash)
	}
	v.entries[k].rows += rows
	return k
}

// merge adds what another one has counted.
func (v *values) merge(other *values) {
	if other.sketch != nil {
		v.estimate()
	}
	for i := range other.entries {
		e := &other.entries[i]
		k := v.add(e.hash, e.bits, e.text, e.rows)
		if v.sketch != nil || other.sketch != nil {
			continue
		}
		for l := range v.width {
			v.labels[k*v.width+l] += other.labels[i*v.width+l]
		}
		if v.targets != nil {
			v.targets[k] += other.targets[i]
		}
	}
	if other.sketch != nil {
		v.sketch.merge(other.sketch)
		v.lacks += other.lacks
	}
}

// estimate begins with what is not exact: it knows no labels.
func (v *values) estimate() {
	if v.sketch != nil {
		return
	}
	v.sketch = &sketch{}
	for i := range v.entries {
		v.sketch.add(v.entries[i].hash)
	}
	v.labels, v.width, v.targets = nil, 0, nil
}

// counted are the values as they are written, those of a column's type.
func (v *values) counted(kind string) *Values {
	entries := slices.SortedFunc(slices.Values(v.entries), func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.text, b.text), cmp.Compare(a.bits, b.bits))
	})
	out := &Values{Distinct: int64(len(entries)), Top: make([]Count, len(entries)), Lacks: v.lacks}
	for i, e := range entries {
		out.Top[i] = Count{Value: e.written(kind), Rows: e.rows}
	}
	if v.sketch != nil {
		out.Distinct, out.Error, out.Sketch = v.sketch.estimate(), SketchError, v.sketch[:]
	}
	return out
}

func (e *entry) written(kind string) string {
	s := dataset.Series{Type: kind}
	switch kind {
	case dataset.TypeString:
		return e.text
	case dataset.TypeFloat64:
		s.Floats = []float64{floatOf(e.bits)}
	default:
		s.Ints = []int64{int64(e.bits)}
	}
	return s.Text(0)
}

// readEntry is the inverse of written.
func readEntry(kind string, c Count) (e entry, err error) {
	e.rows = c.Rows
	switch kind {
	case dataset.TypeString:
		e.text, e.hash = c.Value, hashText(c.Value, 0)
		return e, nil
	case dataset.TypeFloat64:
		var f float64
		f, err = strconv.ParseFloat(c.Value, 64)
		e.bits = bitsOf(f)
	case dataset.TypeTimestamp:
		var at time.Time
		at, err = time.Parse(time.RFC3339Nano, c.Value)
		e.bits = uint64(at.UnixMicro())
	default:
		var i int64
		i, err = strconv.ParseInt(c.Value, 10, 64)
		e.bits = uint64(i)
	}
	if err != nil {
		return e, fmt.Errorf("value %q of a column of type %s: %w", c.Value, kind, err)
	}
	e.hash = hashNumber(e.bits, 0)
	return e, nil
}

// readValues is the inverse of counted.
func readValues(kind string, from *Values) (*values, error) {
	v := newValues(0, false)
	for _, c := range from.Top {
		e, err := readEntry(kind, c)
		if err != nil {
			return nil, err
		}
		v.add(e.hash, e.bits, e.text, e.rows)
	}
	v.lacks = from.Lacks
	if len(from.Sketch) > 0 {
		if len(from.Sketch) != registers {
			return nil, fmt.Errorf("a sketch has %d registers, it should have %d", len(from.Sketch), registers)
		}
		v.sketch = (*sketch)(slices.Clone(from.Sketch))
	}
	return v, nil
}
