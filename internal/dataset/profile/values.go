package profile

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// values counts the different values of a column. It is exact up to MaxValues of
// them. Then it becomes a summary of frequent ones: when a value finds no room,
// as many rows are taken from each count as half of the values have at most, and
// those left without any are forgotten (Misra and Gries 1982, in the way of
// Anderson et al. 2017). No count lacks more than has been taken in all, and since
// half of MaxValues counts give as much each time, that is at most two rows in
// MaxValues.
type values struct {
	width   int // labels that are counted by value; 0: none
	entries []entry
	texts   []string  // of each entry; nil: they are numbers
	labels  []int64   // of each entry, width of them
	targets []float64 // of each entry, the sum of its labels as numbers; nil: not asked
	slots   []uint16  // by hash: an entry's place plus one; 0: free
	lacks   int64
	// owned is how many of the texts, the first ones, are no part of a chunk's.
	owned int
	// sketch has all hashes once some entry was forgotten; nil: none was.
	sketch *sketch
}

// entry has no pointer, which would cost the collector's attention.
type entry struct {
	hash uint64
	rows int64
	bits uint64 // of a number
}

// newValues counts values of a type.
func newValues(kind string, width int, targets bool) *values {
	v := &values{width: width, slots: make([]uint16, 256)}
	if kind == dataset.TypeString {
		v.texts = []string{}
	}
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
			return v.insert(i, hash, bits, text)
		}
		if v.entries[k].hash == hash && (v.texts == nil || v.texts[k] == text) {
			return k
		}
	}
}

func (v *values) insert(slot, hash, bits uint64, text string) int {
	switch n := len(v.entries); {
	case n == MaxValues:
		v.purge()
		return v.find(hash, bits, text)
	case 2*n >= len(v.slots):
		v.slots = make([]uint16, 4*len(v.slots))
		v.place()
		return v.find(hash, bits, text)
	}
	v.entries = append(v.entries, entry{hash: hash, bits: bits})
	v.slots[slot] = uint16(len(v.entries))
	if v.texts != nil {
		v.texts = append(v.texts, text)
	}
	for range v.width {
		v.labels = append(v.labels, 0)
	}
	if v.targets != nil {
		v.targets = append(v.targets, 0)
	}
	return len(v.entries) - 1
}

// own copies the texts that are parts of a chunk's, which may belong to a whole
// page. Most are forgotten before it comes to that, where there are many.
func (v *values) own() {
	for ; v.owned < len(v.texts); v.owned++ {
		v.texts[v.owned] = strings.Clone(v.texts[v.owned])
	}
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

// take takes rows from each count.
func (v *values) take(rows int64) {
	v.lacks += rows
	kept, owned := 0, 0
	for i, e := range v.entries {
		if e.rows <= rows {
			continue
		}
		e.rows -= rows
		v.entries[kept] = e
		if v.texts != nil {
			v.texts[kept] = v.texts[i]
		}
		if kept++; i < v.owned {
			owned = kept
		}
	}
	v.entries, v.owned = v.entries[:kept], owned
	if v.texts != nil {
		clear(v.texts[kept:])
		v.texts = v.texts[:kept]
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
	for i, e := range other.entries {
		k := v.add(e.hash, e.bits, other.text(i), e.rows)
		if v.sketch != nil {
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

// text is an entry's; empty for numbers.
func (v *values) text(k int) string {
	if v.texts == nil {
		return ""
	}
	return v.texts[k]
}

// counted are the values as they are written, those of a column's type.
func (v *values) counted(kind string) *Values {
	order := make([]int, len(v.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &v.entries[a], &v.entries[b]
		return cmp.Or(cmp.Compare(y.rows, x.rows), cmp.Compare(v.text(a), v.text(b)), cmp.Compare(x.bits, y.bits))
	})
	out := &Values{Distinct: int64(len(order)), Top: make([]Count, len(order)), Lacks: v.lacks}
	for i, k := range order {
		out.Top[i] = Count{Value: v.text(k), Rows: v.entries[k].rows}
		if v.texts == nil {
			out.Top[i].Value = written(kind, v.entries[k].bits)
		}
	}
	if v.sketch != nil {
		out.Distinct, out.Error, out.Sketch = v.sketch.estimate(), SketchError, v.sketch[:]
	}
	return out
}

// asWritten is a text as JSON gives it back: the bytes of a Parquet file may be no
// UTF-8. Values that a profile can't tell apart are one from the start, or else
// merging would find fewer than were counted.
func asWritten(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// written is a number of a column's type. A time that no calendar has, such as
// one of thousandths that were taken for seconds, is written in microseconds.
func written(kind string, bits uint64) string {
	s := dataset.Series{Type: kind}
	if kind == dataset.TypeFloat64 {
		s.Floats = []float64{math.Float64frombits(bits)}
	} else {
		s.Ints = []int64{int64(bits)}
	}
	if kind == dataset.TypeTimestamp {
		if year := time.UnixMicro(int64(bits)).UTC().Year(); year < 0 || year > 9999 {
			return strconv.FormatInt(int64(bits), 10)
		}
	}
	return s.Text(0)
}

// numberOf is the inverse of written.
func numberOf(kind, text string) (bits uint64, err error) {
	switch kind {
	case dataset.TypeFloat64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		bits = bitsOf(f)
	case dataset.TypeTimestamp:
		var at time.Time
		if at, err = time.Parse(time.RFC3339Nano, text); err == nil {
			return uint64(at.UnixMicro()), nil
		}
		var micros int64
		micros, err = strconv.ParseInt(text, 10, 64)
		bits = uint64(micros)
	default:
		var i int64
		i, err = strconv.ParseInt(text, 10, 64)
		bits = uint64(i)
	}
	if err != nil {
		return 0, fmt.Errorf("value %q of a column of type %s: %w", text, kind, err)
	}
	return bits, nil
}

// readValues is the inverse of counted.
func readValues(kind string, from *Values) (*values, error) {
	v := newValues(kind, 0, false)
	for _, c := range from.Top {
		if kind == dataset.TypeString {
			v.add(hashText(c.Value, 0), 0, c.Value, c.Rows)
			continue
		}
		bits, err := numberOf(kind, c.Value)
		if err != nil {
			return nil, err
		}
		v.add(hashNumber(bits, 0), bits, "", c.Rows)
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
