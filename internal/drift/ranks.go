package drift

import (
	"math"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/models"
)

// place is where a loss stands among others, counted from the top: the conformal
// p-value lies in [from, to).
type place struct {
	from, to         float64
	fromCell, toCell int // see odds
}

func placed(from, to float64) place { return place{from, to, cellOf(from), cellOf(to)} }

// rank adds loss to the stratum and returns its place among all losses of the
// stratum and itself. If others are equal it is put at random among them, by the
// uniform number u. While the losses are exchangeable every place is as likely
// as it is wide, whatever happened before and whatever the distribution of the
// losses.
func rank(s *models.Stratum, loss, u float64) place {
	at, known := slices.BinarySearch(s.Losses, loss)
	above, width := higher(*s, at), within(*s, at)+1
	if known {
		// The outer two places among the copies lie in the gaps beside them, whose
		// forgotten losses are not told apart from it.
		equal := copies(*s, at)
		switch between := int64(u * float64(equal+1)); between {
		case 0:
			above, width = higher(*s, at+1), within(*s, at+1)+1
		case equal:
		default:
			above, width = above-equal+between, 1
		}
	}
	total := float64(size(*s) + 1)
	switch {
	case known:
		unfold(s)
		s.Copies[at]++
	case width > 1:
		s.Within[at]++
	default:
		insert(s, at, loss)
	}
	return placed(float64(above)/total, float64(above+width)/total)
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
