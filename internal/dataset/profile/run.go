package profile

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// Run is the hashes of one partition's rows, with where each row is.
type Run struct {
	Column string // empty: whole rows
	File   string
	// Hashes rise; entry i is of the row Rows[i], which people know it by. Equal
	// hashes are in the order of their rows.
	Hashes []uint64
	Rows   []uint32
}

// runMark begins an encoded run.
const runMark = "run1"

// Encode writes a run: about ten bytes a row.
func (r Run) Encode() []byte {
	out := []byte(runMark)
	for _, text := range []string{r.Column, r.File} {
		out = binary.AppendUvarint(out, uint64(len(text)))
		out = append(out, text...)
	}
	out = binary.AppendUvarint(out, uint64(len(r.Hashes)))
	out = slices.Grow(out, 11*len(r.Hashes))
	before := uint64(0)
	for i, h := range r.Hashes {
		out = binary.AppendUvarint(out, h-before)
		out = binary.AppendUvarint(out, uint64(r.Rows[i]))
		before = h
	}
	return out
}

var errRun = errors.New("these bytes are no run of hashes")

// DecodeRun reads what Encode has written.
func DecodeRun(data []byte) (Run, error) {
	var r Run
	if len(data) < len(runMark) || string(data[:len(runMark)]) != runMark {
		return Run{}, errRun
	}
	data = data[len(runMark):]
	number := func() (uint64, bool) {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return 0, false
		}
		data = data[n:]
		return v, true
	}
	for _, text := range []*string{&r.Column, &r.File} {
		n, ok := number()
		if !ok || n > uint64(len(data)) {
			return Run{}, errRun
		}
		*text, data = string(data[:n]), data[n:]
	}
	n, ok := number()
	if !ok || n > uint64(len(data))/2 {
		return Run{}, errRun
	}
	r.Hashes, r.Rows = make([]uint64, n), make([]uint32, n)
	hash := uint64(0)
	for i := range r.Hashes {
		step, ok := number()
		row, last := number()
		if !ok || !last || row > 1<<32-1 {
			return Run{}, fmt.Errorf("%w: entry %d of %d", errRun, i+1, n)
		}
		hash += step
		r.Hashes[i], r.Rows[i] = hash, uint32(row)
	}
	return r, nil
}

// Repeats counts the rows whose hash an earlier row has, over the runs of one
// column of all partitions in the order of their names, and names the first ones,
// at most models.MaxOffendingRows, without their values. It is exact but for
// different values with one hash, about n²/2⁶⁵ of them in n rows.
func Repeats(runs []Run) (count int64, first []models.OffendingRow) {
	m := &merging{}
	for i := range runs {
		if len(runs[i].Hashes) > 0 {
			m.heads = append(m.heads, head{run: i, hash: runs[i].Hashes[0]})
		}
	}
	m.runs = runs
	heap.Init(m)
	var firsts []head
	last, begun := uint64(0), false
	for len(m.heads) > 0 {
		h := &m.heads[0]
		run := &runs[h.run]
		for { // while the run's next hash is the least of all
			if begun && h.hash == last {
				count++
				firsts = keepFirst(firsts, *h, runs)
			}
			last, begun = h.hash, true
			if h.at++; h.at == len(run.Hashes) {
				heap.Pop(m)
				break
			}
			if h.hash = run.Hashes[h.at]; h.hash != last && len(m.heads) > 1 {
				heap.Fix(m, 0)
				break
			}
		}
	}
	for _, f := range firsts {
		first = append(first, models.OffendingRow{File: runs[f.run].File, Row: int64(runs[f.run].Rows[f.at])})
	}
	return count, first
}

// head is the next entry of a run.
type head struct {
	run, at int
	hash    uint64
}

// merging is a heap of the runs' next entries.
type merging struct {
	runs  []Run
	heads []head
}

func (m *merging) Len() int { return len(m.heads) }
func (m *merging) Less(i, k int) bool {
	a, b := &m.heads[i], &m.heads[k]
	return a.hash < b.hash || a.hash == b.hash && a.run < b.run
}
func (m *merging) Swap(i, k int) { m.heads[i], m.heads[k] = m.heads[k], m.heads[i] }
func (m *merging) Push(x any)    { m.heads = append(m.heads, x.(head)) }
func (m *merging) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// keepFirst keeps the entries that come first by file and row.
func keepFirst(firsts []head, h head, runs []Run) []head {
	earlier := func(a, b head) int {
		if a.run != b.run {
			return a.run - b.run
		}
		return int(runs[a.run].Rows[a.at]) - int(runs[b.run].Rows[b.at])
	}
	if len(firsts) == models.MaxOffendingRows && earlier(h, firsts[len(firsts)-1]) > 0 {
		return firsts
	}
	at, _ := slices.BinarySearchFunc(firsts, h, earlier)
	firsts = slices.Insert(firsts, at, h)
	return firsts[:min(len(firsts), models.MaxOffendingRows)]
}
