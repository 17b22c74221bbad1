package drift

// stake is the money that was handed out at one moment, split over bettors who
// believe in rises of different size since then.
type stake struct {
	since    int64 // losses judged before
	capitals []float64
}

// shifts are the beliefs, in sixteenths of a deviation.
func shifts() []int { return []int{4, 8, 16, 32} }

func newStake(since int64, money float64) stake {
	s := stake{since: since, capitals: make([]float64, len(shifts()))}
	for i := range s.capitals {
		s.capitals[i] = money / float64(len(s.capitals))
	}
	return s
}

// bet plays the stake on p, the rank of a loss before which judged others were
// judged and known others are known.
func (s *stake) bet(p float64, judged, known int64) {
	diluted := 0.0
	if known > 0 {
		diluted = float64(judged-s.since) / float64(known)
	}
	for i, shift := range shifts() {
		s.capitals[i] = min(s.capitals[i]*odds(p, shift, diluted), most)
	}
}

func (s *stake) total() float64 {
	total := 0.0
	for _, capital := range s.capitals {
		total += capital
	}
	return total
}
