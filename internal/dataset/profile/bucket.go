package profile

// Bucket is the rows whose number lies in an interval. In JSON it is [at, rows].
type Bucket struct {
	// At numbers the intervals so that they rise. For times it is the day since the
	// Unix epoch.
	At   int32
	Rows int64
}

// Quantile is the number that a share q of the finite numbers do not exceed, known
// within its bucket: 1/128 of its size, or the day. It is never outside of Min and
// Max, and 0 without numbers.
func (n *Numbers) Quantile(q float64) float64 { return 0 }

// Edges cut the numbers into at most bins intervals of about the same number of
// rows. They rise and lie between buckets, or in the midst of buckets without
// rows, so that Histogram is exact; a number belongs below the first edge that it
// does not exceed.
func (n *Numbers) Edges(bins int) []float64 { return nil }

// Histogram counts rows between edges: entry i is of the numbers above edge i-1
// up to edge i. It is exact where edges are such as Edges returns, of this profile
// or of another one with the same kind of buckets; other edges divide the bucket
// they lie in evenly.
func (n *Numbers) Histogram(edges []float64) []float64 { return nil }
