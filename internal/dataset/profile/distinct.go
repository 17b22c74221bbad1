package profile

import (
	"math"
	"math/bits"
)

const (
	// sketchBits of a hash choose a register: the relative standard error is
	// 1.04/sqrt(2^sketchBits).
	sketchBits = 12
	registers  = 1 << sketchBits
	// SketchError is the relative standard error of an estimated number of different
	// values.
	SketchError = 0.01625
)

// sketch is a HyperLogLog (Flajolet et al. 2007) of 64-bit hashes: each register
// holds the longest run of zeros that a hash of its own began with. Merging takes
// the larger registers, in any order.
type sketch [registers]uint8

func (s *sketch) add(hash uint64) {
	register, rest := hash>>(64-sketchBits), hash<<sketchBits|1<<(sketchBits-1)
	s[register] = max(s[register], uint8(bits.LeadingZeros64(rest))+1)
}

func (s *sketch) merge(other *sketch) {
	for i, v := range other {
		s[i] = max(s[i], v)
	}
}

// estimate is Ertl's (2017, "New cardinality estimation algorithms for
// HyperLogLog sketches", algorithm 6), which needs no correction tables.
func (s *sketch) estimate() int64 {
	const longest = 64 - sketchBits
	var counts [longest + 2]float64
	for _, v := range s {
		counts[min(int(v), longest+1)]++
	}
	z := registers * tau(1-counts[longest+1]/registers)
	for k := longest; k >= 1; k-- {
		z = (z + counts[k]) / 2
	}
	z += registers * sigma(counts[0]/registers)
	return int64(math.Round(registers * registers / (2 * math.Ln2 * z)))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for last := math.NaN(); z != last; {
		x *= x
		last = z
		z += x * y
		y += y
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for last := math.NaN(); z != last; {
		x = math.Sqrt(x)
		last = z
		y /= 2
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}
