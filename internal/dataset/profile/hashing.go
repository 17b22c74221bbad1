package profile

import (
	"slices"
	"strings"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// absentBits stand for a row without a value.
const absentBits = 0x9ae16a3b2f90404f

// addHashes adds the hash of the chunk's rows to their sums; sums know no order
// of columns.
func (c *column) addHashes(sums []uint64) []uint64 {
	if c.coding != nil {
		if c.hashes == nil {
			c.hashes = c.hashAll(c.coding.Values, make([]uint64, c.coding.Values.Len()))
		}
		for i, code := range c.coding.Codes {
			sums[i] += c.hashes[code]
		}
		return sums
	}
	return c.hashAll(c.series, sums)
}

func (c *column) hashAll(s *dataset.Series, sums []uint64) []uint64 {
	switch {
	case s.Type == dataset.TypeString && s.Nulls == nil:
		for i, text := range s.Strings {
			sums[i] += hashText(text, c.salt)
		}
	case s.Type == dataset.TypeFloat64 || s.Nulls != nil:
		for i := range sums {
			sums[i] += c.hashOf(s, i)
		}
	default:
		for i, v := range s.Ints {
			sums[i] += hashNumber(uint64(v), c.salt)
		}
	}
	return sums
}

func (c *column) hashOf(s *dataset.Series, i int) uint64 {
	switch {
	case s.Absent(i):
		return hashNumber(absentBits, ^c.salt)
	case s.Type == dataset.TypeString:
		return hashText(s.Strings[i], c.salt)
	default:
		return hashNumber(numberBits(s, i), c.salt)
	}
}

// block collects hashes in the order of the rows.
type block struct {
	parts []Run
	size  int
}

// add takes the selected rows; of a unique column, those with a value.
func (b *block) add(hashes []uint64, chunk dataset.Chunk, rows selection, unique *dataset.Series) {
	part := Run{Hashes: make([]uint64, 0, rows.len()), Rows: make([]uint32, 0, rows.len())}
	for i := range rows.each() {
		if unique != nil && unique.Absent(i) {
			continue
		}
		part.Hashes = append(part.Hashes, hashes[i])
		part.Rows = append(part.Rows, uint32(chunk.Row(i)))
	}
	b.parts, b.size = append(b.parts, part), b.size+len(part.Rows)
}

func (b *block) append(next *block) {
	b.parts, b.size = slices.Concat(b.parts, next.parts), b.size+next.size
}

// runs sorts the hashes, those of different columns side by side.
func (p *Pass) runs() []Run {
	runs := []Run{{}}
	blocks := []*block{p.whole}
	for i := range p.columns {
		if c := &p.columns[i]; c.unique != nil {
			runs, blocks = append(runs, Run{Column: c.Name}), append(blocks, c.unique)
		}
	}
	if p.whole.size == 0 {
		runs, blocks = runs[1:], blocks[1:]
	}
	var sorting sync.WaitGroup
	for i := range runs {
		sorting.Go(func() {
			runs[i].File = p.plan.File
			runs[i].Hashes, runs[i].Rows = blocks[i].sorted()
		})
	}
	sorting.Wait()
	slices.SortFunc(runs, func(a, b Run) int { return strings.Compare(a.Column, b.Column) })
	return runs
}

// sorted orders the hashes, equal ones by their rows: by their first bits into
// groups that fit a cache, then each group likewise.
func (b *block) sorted() ([]uint64, []uint32) {
	const groups = 1 << 11
	hashes, rows := make([]uint64, b.size), make([]uint32, b.size)
	var ends [groups + 1]int
	for _, part := range b.parts {
		for _, h := range part.Hashes {
			ends[h>>(64-11)+1]++
		}
	}
	for g := range groups {
		ends[g+1] += ends[g]
	}
	next := ends
	for i := range b.parts {
		part := &b.parts[i]
		for k, h := range part.Hashes {
			at := &next[h>>(64-11)]
			hashes[*at], rows[*at] = h, part.Rows[k]
			*at++
		}
		*part = Run{}
	}
	var scratch Run
	for g := range groups {
		sortHashes(hashes[ends[g]:ends[g+1]], rows[ends[g]:ends[g+1]], 64-11-8, &scratch)
	}
	b.parts, b.size = nil, 0
	return hashes, rows
}

// sortHashes orders hashes that differ in nothing above the eight bits from
// shift on.
func sortHashes(hashes []uint64, rows []uint32, shift int, scratch *Run) {
	if len(hashes) <= 32 {
		insert(hashes, rows)
		return
	}
	var ends [257]int
	for _, h := range hashes {
		ends[int(uint8(h>>shift))+1]++
	}
	for g := range 256 {
		ends[g+1] += ends[g]
	}
	scratch.Hashes = append(scratch.Hashes[:0], hashes...)
	scratch.Rows = append(scratch.Rows[:0], rows...)
	next := ends
	for i, h := range scratch.Hashes {
		at := &next[uint8(h>>shift)]
		hashes[*at], rows[*at] = h, scratch.Rows[i]
		*at++
	}
	if shift == 0 {
		return
	}
	for g := range 256 {
		if from, to := ends[g], ends[g+1]; to > from+1 {
			sortHashes(hashes[from:to], rows[from:to], max(shift-8, 0), scratch)
		}
	}
}

// insert orders a few hashes and leaves equal ones as they are.
func insert(hashes []uint64, rows []uint32) {
	for i := 1; i < len(hashes); i++ {
		h, r, k := hashes[i], rows[i], i
		for ; k > 0 && hashes[k-1] > h; k-- {
			hashes[k], rows[k] = hashes[k-1], rows[k-1]
		}
		hashes[k], rows[k] = h, r
	}
}
