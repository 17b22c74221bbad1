package drift

import (
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// bettors are the rises that are betted on, in sixteenths of a deviation: half
// a deviation and one. Between a third of a deviation and two they lose little
// to a bettor who knew the rise (chosen by simulated delays, not on the flights).
func bettors() []int { return []int{perSigma / 2, perSigma} }

func newStake(since int64, money float64) models.Stake {
	s := models.Stake{Since: since}
	shifts := bettors()
	for range shifts {
		s.Capitals = append(s.Capitals, money/float64(len(shifts)))
	}
	return s
}

// betOnRank plays the stake on the place of a loss, before which judged others
// were judged and known others are known.
func betOnRank(s *models.Stake, at place, judged, known int64) {
	diluted := 0.0
	if known > 0 {
		diluted = float64(judged-s.Since) / float64(known)
	}
	for i, shift := range bettors() {
		s.Capitals[i] *= odds(at, shift, diluted)
	}
}

func total(s models.Stake) float64 {
	sum := 0.0
	for _, capital := range s.Capitals {
		sum += capital
	}
	return sum
}

// roundDown shortens capitals to five digits, since the state travels in
// payloads. Lowering a capital is always allowed: it can only prevent alarms.
func roundDown(s *models.Stake) {
	for i, capital := range s.Capitals {
		switch {
		case capital < 1e-15:
			s.Capitals[i] = 0
		case capital < 1e5:
			// An integer by an exact power of ten is the float nearest to the decimal.
			unit := math.Pow10(4 - int(math.Floor(math.Log10(capital))))
			s.Capitals[i] = min(math.Floor(capital*unit)/unit, capital)
		default:
			s.Capitals[i] = min(short(capital, 5), capital, most)
		}
	}
}

// merge makes one stake of two neighbours, those with the least capital. When
// the rise began matters little to them.
func merge(stakes []models.Stake) []models.Stake {
	at, least := 0, math.Inf(1)
	for i := range len(stakes) - 1 {
		if both := total(stakes[i]) + total(stakes[i+1]); both < least {
			at, least = i, both
		}
	}
	one, two := stakes[at], stakes[at+1]
	merged := models.Stake{Since: one.Since, Capitals: slices.Clone(one.Capitals)}
	if total(two) > total(one) {
		merged.Since = two.Since
	}
	for i := range merged.Capitals {
		merged.Capitals[i] += two.Capitals[i]
	}
	return slices.Replace(slices.Clone(stakes), at, at+2, merged)
}
