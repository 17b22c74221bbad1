package canary

import "github.com/mainspring-ml/mainspring/models"

// harmOf is the logarithm of the e-value of harm of the step at hand, when
// requests are weighed one by one.
func (r rate) harmOf(s models.JudgeState) float64 {
	a := r.arms(s.Champion, s.Canary)
	absolute := min(above(a.canary, r.Max), below(a.champion, r.Max))
	relative := 0.0
	if both, ok := a.bad(s); ok {
		relative = above(both, weight(s))
	}
	return mixed(harmCompared, relative, absolute)
}

// safeOf is the e-value of safety of the step at hand once the canary has
// answered more requests well, of which the comparison takes no notice.
func (r rate) safeOf(s models.JudgeState, more float64) float64 {
	a := r.arms(s.Champion, s.Canary)
	relative := 0.0
	if both, ok := a.bad(s); ok {
		risen := weight(s) * (1 + r.Tolerance)
		relative = below(both, risen/(1-weight(s)+risen))
	}
	a.canary.n += more
	return evidence(mixed(safeCompared, relative, below(a.canary, r.Max)))
}

// bad are all bad answers, those of the canary as successes. Without traffic on
// both arms there is nothing to compare.
func (a arms) bad(s models.JudgeState) (trials, bool) {
	comparable := a.canary.n > 0 && a.champion.n > 0 && weight(s) > 0 && weight(s) < 1
	return trials{k: a.canary.k, n: a.canary.k + a.champion.k}, comparable
}

// weight is the canary's share of the answers. Of copies it has one for each of
// the champion's.
func weight(s models.JudgeState) float64 {
	if s.Shadow {
		return 0.5
	}
	return s.Weight
}
