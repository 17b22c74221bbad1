package profile

import "math"

// Cuts are edges such as Edges returns: one behind each given share of the finite
// numbers, shares rising. There are fewer where several shares end in one bucket,
// and none where all numbers lie in one.
func (n *Numbers) Cuts(shares []float64) []float64 {
	buckets := n.finite()
	var edges []float64
	before, next := 0.0, 0
	for i := 0; i+1 < len(buckets) && next < len(shares); i++ {
		before += float64(buckets[i].Rows)
		if before < math.Ceil(shares[next]*float64(n.Count)) {
			continue
		}
		edges = append(edges, n.last(buckets[i].At+(buckets[i+1].At-buckets[i].At)/2))
		for next < len(shares) && math.Ceil(shares[next]*float64(n.Count)) <= before {
			next++
		}
	}
	return edges
}

// Ends are the largest edge below all finite numbers and the smallest that none
// of them exceeds; false: there are no numbers.
func (n *Numbers) Ends() (below, above float64, ok bool) {
	buckets := n.finite()
	if len(buckets) == 0 {
		return 0, 0, false
	}
	return n.last(buckets[0].At - 1), n.last(buckets[len(buckets)-1].At), true
}

// Filled is how many buckets have finite numbers: how finely they are known.
func (n *Numbers) Filled() int { return len(n.finite()) }
