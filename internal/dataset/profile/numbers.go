package profile

import (
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// numbers counts a column's numbers in buckets and sums them. It knows no order.
type numbers struct {
	count    int64 // of finite ones
	infinite int64
	min, max float64
	sums     sums
	// A page holds the counts of numbers with one sign and exponent: one for each of
	// their buckets and labels. Times have days instead.
	width  int
	pages  []page
	places []uint16 // of pages, by sign and exponent, plus one; 0: there is none
	// summed says that pages sum labels as well.
	summed bool
	days   map[int32]int64
}

type page struct {
	counts  []int64
	targets []float64
}

const (
	pageBuckets = 1 << mantissaBits
	pageCount   = 2 * signBit / pageBuckets
)

// newNumbers counts the labels of each bucket if there are some, and sums them
// if targets are asked for.
func newNumbers(kind string, width int, targets bool) *numbers {
	n := &numbers{width: max(width, 1), sums: newSums(), min: math.Inf(1), max: math.Inf(-1)}
	if kind == dataset.TypeTimestamp {
		n.days = map[int32]int64{}
		return n
	}
	n.places, n.summed = make([]uint16, pageCount), targets
	return n
}

func (n *numbers) page(raw uint32) *page {
	at := &n.places[raw/pageBuckets]
	if *at == 0 {
		p := page{counts: make([]int64, pageBuckets*n.width)}
		if n.summed {
			p.targets = make([]float64, pageBuckets)
		}
		n.pages = append(n.pages, p)
		*at = uint16(len(n.pages))
	}
	return &n.pages[*at-1]
}

// add counts rows with a number that is not NaN.
func (n *numbers) add(x float64, rows int64) {
	if math.IsInf(x, 0) {
		n.infinite += rows
		return
	}
	n.count += rows
	n.min, n.max = min(n.min, x), max(n.max, x)
	n.sums.add(x, uint64(rows))
}

// place counts rows with one label in the bucket of a number, or in the day of a
// time in seconds.
func (n *numbers) place(x float64, label int, rows int64) {
	if n.days != nil {
		n.days[int32(math.Floor(x/daySeconds))] += rows
		return
	}
	raw := rawBucket(x)
	n.page(raw).counts[int(raw%pageBuckets)*n.width+label] += rows
}

// placeTarget adds to the sum of the labels in the bucket of a number.
func (n *numbers) placeTarget(x, target float64) {
	raw := rawBucket(x)
	n.page(raw).targets[raw%pageBuckets] += target
}

// addAll counts numbers that are not NaN, with their labels; nil: there are none.
func (n *numbers) addAll(values []float64, labels []uint8) {
	for _, x := range values {
		n.add(x, 1)
	}
	n.placeAll(values, labels)
}

func (n *numbers) placeAll(values []float64, labels []uint8) {
	if n.days != nil {
		n.addDays(values)
		return
	}
	for i, x := range values {
		raw := rawBucket(x)
		at := int(raw%pageBuckets) * n.width
		if labels != nil {
			at += int(labels[i])
		}
		n.page(raw).counts[at]++
	}
}

// smallInt bounds the whole numbers of which chunkful squares can be summed in
// 64 bits.
const (
	smallInt = 1 << 23
	chunkful = 1 << 16
)

// addInts counts whole numbers, given as floats too.
func (n *numbers) addInts(ints []int64, values []float64, labels []uint8) {
	if len(ints) == 0 {
		return
	}
	low, high := slices.Min(ints), slices.Max(ints)
	if low < -smallInt || high > smallInt || len(ints) > chunkful {
		n.addAll(values, labels)
		return
	}
	sum, squares := int64(0), uint64(0)
	for _, v := range ints {
		sum += v
		squares += uint64(v * v)
	}
	n.count += int64(len(ints))
	n.min, n.max = min(n.min, float64(low)), max(n.max, float64(high))
	n.sums.addSmall(sum, squares)
	n.placeAll(values, labels)
}

// addDays counts times, of which those that follow each other are often of the
// same day.
func (n *numbers) addDays(values []float64) {
	day, rows := int32(0), int64(0)
	for _, x := range values {
		d := int32(math.Floor(x / daySeconds))
		if d != day {
			n.days[day] += rows
			day, rows = d, 0
		}
		rows++
	}
	n.days[day] += rows
}

func (n *numbers) merge(other *numbers) {
	n.count += other.count
	n.infinite += other.infinite
	n.min, n.max = min(n.min, other.min), max(n.max, other.max)
	n.sums.merge(other.sums)
	for day, rows := range other.days {
		n.days[day] += rows
	}
	for place, at := range other.places {
		if at == 0 {
			continue
		}
		to, from := n.page(uint32(place*pageBuckets)), &other.pages[at-1]
		for k, rows := range from.counts {
			to.counts[k] += rows
		}
		for k, sum := range from.targets {
			to.targets[k] += sum
		}
	}
}

// buckets are those with rows, rising; each gives its number, the rows of its
// labels and their sum to a function.
func (n *numbers) buckets(each func(at int32, labels []int64, target float64)) {
	for k := range pageCount {
		// Raw numbers of negative buckets fall.
		i := k - pageCount/2
		if i < 0 {
			i = pageCount - 1 - k
		}
		if n.places[i] == 0 {
			continue
		}
		page := &n.pages[n.places[i]-1]
		for b := range pageBuckets {
			if i >= pageCount/2 {
				b = pageBuckets - 1 - b
			}
			labels, target := page.counts[b*n.width:(b+1)*n.width], 0.0
			if n.summed {
				target = page.targets[b]
			}
			if total(labels) > 0 {
				each(risingBucket(uint32(i*pageBuckets+b)), labels, target)
			}
		}
	}
}

func total(counts []int64) int64 {
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}

// counted are the numbers as they are written.
func (n *numbers) counted() *Numbers {
	out := &Numbers{Count: n.count, Infinite: n.infinite, Days: n.days != nil, Buckets: []Bucket{}}
	if n.count > 0 {
		out.Min, out.Max = n.min, n.max
	}
	out.Mean, out.Sigma = n.sums.moments(n.count)
	out.Sum, out.Squares = n.sums.texts()
	if n.days != nil {
		for day, rows := range n.days {
			if rows > 0 {
				out.Buckets = append(out.Buckets, Bucket{At: day, Rows: rows})
			}
		}
		slices.SortFunc(out.Buckets, func(a, b Bucket) int { return int(a.At) - int(b.At) })
		return out
	}
	n.buckets(func(at int32, labels []int64, _ float64) {
		out.Buckets = append(out.Buckets, Bucket{At: at, Rows: total(labels)})
	})
	return out
}

// readNumbers is the inverse of counted.
func readNumbers(kind string, from *Numbers) (*numbers, error) {
	n := newNumbers(kind, 1, false)
	n.count, n.infinite = from.Count, from.Infinite
	if n.count > 0 {
		n.min, n.max = from.Min, from.Max
	}
	var err error
	if n.sums, err = readSums(from.Sum, from.Squares); err != nil {
		return nil, err
	}
	for _, b := range from.Buckets {
		if n.days != nil {
			n.days[b.At] += b.Rows
			continue
		}
		if b.At < -signBit || b.At >= signBit {
			return nil, fmt.Errorf("there is no bucket %d", b.At)
		}
		raw := rawOf(b.At)
		n.page(raw).counts[raw%pageBuckets] += b.Rows
	}
	return n, nil
}

// bitsOf gives equal numbers equal bits: there is one zero.
func bitsOf(x float64) uint64 { return math.Float64bits(x + 0) }
