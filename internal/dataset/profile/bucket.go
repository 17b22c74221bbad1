package profile

import (
	"encoding/json"
	"math"
	"slices"
)

// Bucket is the rows whose number lies in an interval. In JSON it is [at, rows].
type Bucket struct {
	// At numbers the intervals so that they rise. For times it is the day since the
	// Unix epoch.
	At   int32
	Rows int64
}

// MarshalJSON implements json.Marshaler.
func (b Bucket) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{int64(b.At), b.Rows}) }

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bucket) UnmarshalJSON(data []byte) error {
	var pair [2]int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	b.At, b.Rows = int32(pair[0]), pair[1]
	return nil
}

const (
	// dropped are the bits of a float64 that its bucket does not know: all but sign,
	// exponent and mantissaBits of the mantissa.
	dropped      = 52 - mantissaBits
	mantissaBits = 7
	// signBit is that of a bucket's raw number; beyond lies what is negative.
	signBit = 1 << (11 + mantissaBits)
	// infinity is the bucket of +Inf.
	infinity = 2047 << mantissaBits

	daySeconds = 86400
)

// rawBucket is a number's bucket as its first bits say it. Negative zero must
// have been made positive.
func rawBucket(x float64) uint32 { return uint32(math.Float64bits(x) >> dropped) }

// risingBucket is Bucket.At of a raw one.
func risingBucket(raw uint32) int32 {
	if raw < signBit {
		return int32(raw)
	}
	return -int32(raw&(signBit-1)) - 1
}

// rawOf is the inverse of risingBucket.
func rawOf(at int32) uint32 {
	if at >= 0 {
		return uint32(at)
	}
	return uint32(-at-1) | signBit
}

func edgeOf(at int32) float64 { return math.Float64frombits(uint64(at) << dropped) }

// first and last are the least and the largest number of a bucket.
func (n *Numbers) first(at int32) float64 {
	switch {
	case n.Days:
		return daySeconds * float64(at)
	case at == -infinity-1:
		return math.Inf(-1)
	case at >= 0:
		return edgeOf(at)
	default:
		return math.Nextafter(-edgeOf(-at), 0)
	}
}

func (n *Numbers) last(at int32) float64 {
	switch {
	case n.Days:
		return math.Nextafter(daySeconds*float64(at+1), math.Inf(-1))
	case at == infinity:
		return math.Inf(1)
	case at >= 0:
		return math.Nextafter(edgeOf(at+1), math.Inf(-1))
	case at == -1:
		return -math.SmallestNonzeroFloat64
	default:
		return -edgeOf(-at - 1)
	}
}

// finite are the buckets without the infinities.
func (n *Numbers) finite() []Bucket {
	buckets := n.Buckets
	if n.Days {
		return buckets
	}
	if k := len(buckets); k > 0 && buckets[k-1].At == infinity {
		buckets = buckets[:k-1]
	}
	if len(buckets) > 0 && buckets[0].At == -infinity-1 {
		buckets = buckets[1:]
	}
	return buckets
}

// Quantile is the number that a share q of the finite numbers do not exceed, known
// within its bucket: 1/128 of its size, or the day. It is never outside of Min and
// Max, and 0 without numbers.
func (n *Numbers) Quantile(q float64) float64 {
	if n.Count == 0 {
		return 0
	}
	rank := max(1, math.Ceil(q*float64(n.Count)))
	before := 0.0
	for _, b := range n.finite() {
		if rank <= before+float64(b.Rows) {
			low, high := max(n.first(b.At), n.Min), min(n.last(b.At), n.Max)
			return low + (high-low)*(rank-0.5-before)/float64(b.Rows)
		}
		before += float64(b.Rows)
	}
	return n.Max
}

// Edges cut the numbers into at most bins intervals of about the same number of
// rows. They rise and lie between buckets, or in the midst of buckets without
// rows, so that Histogram is exact; a number belongs below the first edge that it
// does not exceed.
func (n *Numbers) Edges(bins int) []float64 {
	buckets := n.finite()
	var edges []float64
	before, cut := 0.0, 1.0
	for i := 0; i+1 < len(buckets); i++ {
		before += float64(buckets[i].Rows)
		if before < cut*float64(n.Count)/float64(bins) {
			continue
		}
		at, next := buckets[i].At, buckets[i+1].At
		edges = append(edges, n.last(at+(next-at)/2))
		cut = math.Floor(before*float64(bins)/float64(n.Count)) + 1
	}
	return slices.Compact(edges)
}

// Histogram counts rows between edges: entry i is of the numbers above edge i-1
// up to edge i. It is exact where edges are such as Edges returns, of this profile
// or of another one with the same kind of buckets; other edges divide the bucket
// they lie in evenly.
func (n *Numbers) Histogram(edges []float64) []float64 {
	counts := make([]float64, len(edges)+1)
	at := 0
	for _, b := range n.Buckets {
		first, last, rows := n.first(b.At), n.last(b.At), float64(b.Rows)
		for at < len(edges) && edges[at] < first {
			at++
		}
		for ; at < len(edges) && edges[at] < last; at++ {
			share := rows * (edges[at] - first) / (last - first)
			counts[at] += share
			rows, first = rows-share, edges[at]
		}
		counts[at] += rows
	}
	return counts
}
