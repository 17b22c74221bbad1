package drift

import (
	"math"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/models"
)

// rank adds loss to the stratum and returns its conformal p-value: its place
// from the top among all losses of the stratum and itself, divided by their
// number. Losses that are equal are put into a random order, and the place is
// smeared evenly over its share, both by the uniform number u. While the losses
// are exchangeable the p-values are therefore independent and uniform, whatever
// the distribution of the losses.
func rank(s *models.Stratum, loss, u float64) float64 {
	at, known := slices.BinarySearch(s.Losses, loss)
	above, total := float64(higher(*s, at)), float64(size(*s)+1)
	if !known {
		p := (above + u*float64(within(*s, at)+1)) / total
		if within(*s, at) > 0 {
			s.Within[at]++
		} else {
			insert(s, at, loss)
		}
		return p
	}
	// Its place among the copies; the outer two places lie in the gaps beside
	// them, whose forgotten losses are not told apart from it.
	equal := float64(copies(*s, at))
	place := math.Floor(u * (equal + 1))
	u = min(u*(equal+1)-place, math.Nextafter(1, 0))
	switch place {
	case 0:
		above = float64(higher(*s, at+1)) + u*float64(within(*s, at+1)+1)
	case equal:
		above += u * float64(within(*s, at)+1)
	default:
		above += place - equal + u
	}
	unfold(s)
	s.Copies[at]++
	return above / total
}

// higher counts the losses above the gap below the at-th loss.
func higher(s models.Stratum, at int) (n int64) {
	for i := at; i < len(s.Losses); i++ {
		n += copies(s, i) + within(s, i+1)
	}
	return n
}

// size counts all losses that the stratum was shown.
func size(s models.Stratum) int64 { return higher(s, 0) + within(s, 0) }

func copies(s models.Stratum, i int) int64 {
	if s.Copies == nil {
		return 1
	}
	return s.Copies[i]
}

func within(s models.Stratum, i int) int64 {
	if s.Within == nil {
		return 0
	}
	return s.Within[i]
}

// unfold writes out the counts that a stratum leaves out while they say nothing.
func unfold(s *models.Stratum) {
	if s.Copies == nil {
		s.Copies = slices.Repeat([]int64{1}, len(s.Losses))
	}
	if s.Within == nil {
		s.Within = make([]int64, len(s.Losses)+1)
	}
}

func insert(s *models.Stratum, at int, loss float64) {
	s.Losses = slices.Insert(s.Losses, at, loss)
	if s.Copies != nil {
		s.Copies = slices.Insert(s.Copies, at, 1)
	}
	if s.Within != nil {
		s.Within = slices.Insert(s.Within, at, 0)
	}
}

// forget drops losses of the stratum until it keeps at most so many, and
// remembers how many it dropped between each two that are left. A new loss that
// falls among dropped ones takes a random place among them, so p-values stay
// exactly uniform and independent: forgetting costs resolution only. (Exactly if
// the losses are all different, or have no more different values than are kept.
// Between the two, losses that are equal to a dropped one by more than chance
// leave p-values uniform to about a hundredth.) The top, where a rise shows, is
// kept finest: the dropped loss is the one that leaves the smallest gap in
// proportion to its place.
func forget(s *models.Stratum, keep int) {
	for len(s.Losses) > max(keep, 1) {
		unfold(s)
		drop, least, above := 0, math.Inf(1), 0.0
		for i := len(s.Losses) - 1; i >= 0; i-- {
			gap := float64(s.Within[i] + s.Copies[i] + s.Within[i+1])
			cost := gap / (above + gap + 1)
			if s.Copies[i] > 1 {
				cost++ // an atom goes last
			}
			if cost < least {
				drop, least = i, cost
			}
			above += float64(s.Copies[i] + s.Within[i+1])
		}
		s.Within[drop] += s.Copies[drop] + s.Within[drop+1]
		s.Within = slices.Delete(s.Within, drop+1, drop+2)
		s.Copies = slices.Delete(s.Copies, drop, drop+1)
		s.Losses = slices.Delete(s.Losses, drop, drop+1)
	}
}

// store rounds a loss to six digits, since the state travels in payloads.
// Equal treatment of all keeps ranks valid. Infinity becomes a loss like any
// other, the highest.
func store(loss float64) float64 { return short(min(max(loss, -most), most), 6) }

func short(x float64, digits int) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	return x
}

// uniform is the n-th number of a sequence in [0, 1): SplitMix64 used as a
// function of the counter.
func uniform(seed, n uint64) float64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
