package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// SliceName is column and value of a slice, as checks name it.
func SliceName(s models.SliceEvidence) string { return s.Column + "=" + s.Slice }

const sliceSupport = "slice"

// ruling is a check of a slice with how bad it looks: the distance of the
// figure beyond its bound, in half widths of its interval.
type ruling struct {
	models.GateCheck
	distance float64
}

// slices judges every slice with enough rows in enough blocks, the worst first;
// the others follow as information. Wanted and none could be judged:
// inconclusive.
func (j judge) slices() []models.GateCheck {
	var rulings []ruling
	var thin []models.GateCheck
	for _, slice := range j.evidence.Slices {
		if why := j.unjudged(slice); why != "" {
			thin = append(thin, models.GateCheck{
				Name: sliceSupport, Slice: SliceName(slice), Verdict: informs, Figure: exactly(float64(slice.Rows)), Limit: why,
			})
			continue
		}
		rulings = append(rulings, j.slice(slice)...)
	}
	slices.SortStableFunc(rulings, worstFirst)
	var checks []models.GateCheck
	for _, r := range rulings {
		checks = append(checks, r.GateCheck)
	}
	if wanted := len(j.spec.SliceLimits) > 0 || j.spec.SliceMargin != nil && j.compared(); wanted && len(rulings) == 0 {
		checks = append(checks, models.GateCheck{
			Name: "slices with enough rows", Verdict: models.VerdictInconclusive, Limit: "≥ 1",
		})
	}
	return append(checks, thin...)
}

// unjudged says why a slice is shown only; empty: it is judged.
func (j judge) unjudged(slice models.SliceEvidence) string {
	switch {
	case !slice.Judged:
		i := slices.IndexFunc(j.spec.Slices, func(s models.SliceSpec) bool { return s.Column == slice.Column })
		if i < 0 || slice.Rows >= j.spec.Slices[i].MinRows {
			return "shown, not judged: too few rows"
		}
		return fmt.Sprintf("shown, not judged: fewer than %d rows", j.spec.Slices[i].MinRows)
	case slice.Blocks < MinBlocks:
		return fmt.Sprintf("shown, not judged: %d blocks, %d are needed", slice.Blocks, MinBlocks)
	default:
		return ""
	}
}

func worstFirst(a, b ruling) int {
	return cmp.Or(cmp.Compare(a.Verdict.Rank(), b.Verdict.Rank()), cmp.Compare(b.distance, a.distance))
}

// slice holds one slice against all that is asked of slices, at the level they
// share.
func (j judge) slice(slice models.SliceEvidence) []ruling {
	var rulings []ruling
	for _, limit := range j.spec.SliceLimits {
		rulings = append(rulings, j.sliceLimit(slice, limit))
	}
	if j.spec.SliceMargin != nil && j.compared() {
		rulings = append(rulings, j.sliceMargin(slice, 0-*j.spec.SliceMargin))
	}
	return rulings
}

func (j judge) sliceLimit(slice models.SliceEvidence, limit models.MetricLimit) ruling {
	r := ruling{GateCheck: models.GateCheck{
		Name: string(limit.Metric), Slice: SliceName(slice), Limit: limitWords(limit), Champion: found(slice.Champion, limit.Metric),
	}}
	figure := found(slice.Strict, limit.Metric)
	if figure == nil {
		_, there := slice.Strict[limit.Metric]
		return r.without(j, slice, limit.Metric, there)
	}
	r.Figure = *figure
	if limit.Min != nil {
		r.Verdict, r.distance = beyond(*figure, *limit.Min)
	}
	if limit.Max != nil {
		verdict, distance := beyond(negated(*figure), -*limit.Max)
		other := ruling{GateCheck: models.GateCheck{Verdict: verdict}, distance: distance}
		if limit.Min == nil || worstFirst(other, r) < 0 {
			r.Verdict, r.distance = verdict, distance
		}
	}
	if limit.Min == nil && limit.Max == nil {
		r.Verdict = models.VerdictInconclusive
	}
	return r
}

func (j judge) sliceMargin(slice models.SliceEvidence, bound float64) ruling {
	r := ruling{GateCheck: models.GateCheck{
		Name: string(j.metric()) + " gain over the champion", Slice: SliceName(slice), Limit: fmt.Sprintf("gain ≥ %.4g", bound),
		Champion: found(slice.Champion, j.metric()),
	}}
	if slice.StrictGain == nil || !known(*slice.StrictGain) {
		return r.without(j, slice, j.metric(), slice.StrictGain != nil)
	}
	r.Figure = *slice.StrictGain
	r.Verdict, r.distance = beyond(r.Figure, bound)
	return r
}

// without is the ruling when there is no figure. Of the undecided, these come
// first.
func (r ruling) without(j judge, slice models.SliceEvidence, metric models.Metric, there bool) ruling {
	j.evidence.Rows = slice.Rows
	r.Verdict, r.Limit, r.distance = models.VerdictInconclusive, r.Limit+j.missing(metric, there), math.Inf(1)
	return r
}

// beyond judges a slice's figure that must not be below a bound: it fails when
// all of its interval is, and passes when the value is not. A value below with
// an interval that reaches back proves neither.
func beyond(figure models.Estimate, bound float64) (models.Verdict, float64) {
	distance := bound - figure.Value
	if half := (figure.High - figure.Low) / 2; half > 0 {
		distance /= half
	}
	switch {
	case figure.High < bound:
		return models.VerdictFail, distance
	case figure.Value >= bound:
		return models.VerdictPass, distance
	default:
		return models.VerdictInconclusive, distance
	}
}

func negated(e models.Estimate) models.Estimate {
	return models.Estimate{Value: -e.Value, Low: -e.High, High: -e.Low}
}
