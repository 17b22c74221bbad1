package drift

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	year    = 365 * 24 * time.Hour
	windows = 365 // moments of a year at which capital is handed out
	stakes  = 16  // that are told apart
	// atOnce is the share of the first year's capital that is handed out with the
	// first block: a new version is likelier to disappoint at once than on any
	// other day.
	atOnce = 0.125
	// unpaced is how many blocks of unknown length lie between those moments.
	unpaced = 30
)

// handedOut is the capital that is handed out by the start of the k-th window,
// counted from 1: the first year's 1 in nearly equal parts, so that a rise late
// in the year finds bettors as rich as one early in it, and 1 in each later
// year. If nobody knows how long a block lasts, 1 must do for ever.
func handedOut(k int64, paced bool) float64 {
	if !paced {
		return float64(k) / float64(k+1) // 1/2 + 1/6 + … + 1/(k(k+1))
	}
	years := float64(k) / windows
	return max(years, atOnce+(1-atOnce)*years)
}

// handOut gives bettors what is due at a block. A year is one of event time, by
// the blocks' starts or else by their number and length. Neither depends on what
// the losses are, so the bettors learn nothing by when they are paid.
func handOut(d *models.Detector, start time.Time, block time.Duration) {
	if d.Observed == 0 {
		d.From = start
	}
	window, paced := int64(0), true
	switch {
	case !start.IsZero() && !d.From.IsZero():
		window = int64(start.Sub(d.From) / (year / windows))
	case block > 0:
		window = int64(float64(d.Observed) * float64(block) / float64(year/windows))
	default:
		window, paced = d.Observed/unpaced, false
	}
	money := handedOut(window+1, paced) - d.Injected
	if window < d.Windows || money <= 0 {
		return
	}
	d.Windows = window + 1
	d.Injected += money
	d.Stakes = append(slices.Clone(d.Stakes), newStake(d.Observed, money))
	if len(d.Stakes) > stakes {
		d.Stakes = merge(d.Stakes)
	}
}

// worth is the capital of all bettors and what the first year has not handed out
// yet, at face value.
func worth(d models.Detector) float64 {
	value := max(0, 1-d.Injected)
	for _, s := range d.Stakes {
		value = min(value+total(s), most)
	}
	return value
}
