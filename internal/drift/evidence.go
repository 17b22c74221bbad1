package drift

import (
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	most = 1e100 // where losses and capitals stop to grow: infinity has no JSON
	// sliceLabels is how many labels a slice of a block must have to be evidence.
	sliceLabels = 10
)

// lossOf is what a detector sees of a block; false: it is no evidence. Without
// its start nobody knows the season of a block.
func lossOf(d models.DetectorSpec, block models.BlockLoss) (loss float64, ok bool) {
	loss = block.Loss
	switch {
	case d.Kind == models.DetectorEstimated:
		loss = block.Estimated
		if loss == 0 { // none was made
			return 0, false
		}
	case d.Column != "":
		i := slices.IndexFunc(block.Slices, func(s models.SliceLoss) bool { return s.Column == d.Column && s.Slice == d.Slice })
		if i < 0 || block.Slices[i].Labelled < sliceLabels {
			return 0, false
		}
		loss = block.Slices[i].Loss
	}
	if math.IsNaN(loss) || seasonal(d.Season) && block.Start.IsZero() {
		return 0, false
	}
	return store(loss), true
}

func seasonal(s models.Season) bool {
	return s == models.SeasonDayOfWeek || s == models.SeasonHourOfWeek
}

// seasonOf is the season of a block's start, in UTC.
func seasonOf(s models.Season, block models.BlockLoss) int {
	at := block.Start.UTC()
	switch s {
	case models.SeasonDayOfWeek:
		return int(at.Weekday())
	case models.SeasonHourOfWeek:
		return int(at.Weekday())*24 + at.Hour()
	case models.SeasonNone:
	}
	return 0
}

// lossesKept is how many losses a stratum tells apart.
func lossesKept(s models.Season) int {
	switch s {
	case models.SeasonDayOfWeek:
		return 48
	case models.SeasonHourOfWeek:
		return 6
	case models.SeasonNone:
	}
	return 256
}

// learnRank adds the loss to its season's stratum and returns its place there.
// The first loss of a stratum has the whole of [0, 1) as its place, and thus is
// no evidence, whatever it is.
func learnRank(d *models.Detector, block models.BlockLoss, loss, u float64) place {
	season := seasonOf(d.Spec.Season, block)
	i, known := slices.BinarySearchFunc(d.Strata, season, func(s models.Stratum, season int) int { return s.Season - season })
	d.Strata = slices.Clone(d.Strata)
	if !known {
		d.Strata = slices.Insert(d.Strata, i, models.Stratum{Season: season})
	}
	s := &d.Strata[i]
	s.Losses, s.Copies, s.Within = slices.Clone(s.Losses), slices.Clone(s.Copies), slices.Clone(s.Within)
	at := rank(s, loss, u)
	forget(s, lossesKept(d.Spec.Season))
	return at
}
