package activities

import (
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Single rows are timed after warmUps of them. A slow model is timed for a few
// seconds only, and then with fewer rows than timedRows.
const (
	warmUps     = 20
	timedRows   = 200
	warmUpLimit = time.Second
	timingLimit = 4 * time.Second
)

// timeRows measures how long a model takes to answer one row: rows that are
// spread over all of them, one after the other.
func timeRows(rows int, now func() time.Time, one func(row int) error) (*models.Latency, error) {
	if rows == 0 {
		return nil, nil // no rows, no latency
	}
	pick := func(i int) int { return int(int64(i) * int64(rows) / timedRows) }
	began := now()
	for i := range warmUps {
		if i > 0 && now().Sub(began) > warmUpLimit {
			break
		}
		if err := one(pick(i)); err != nil {
			return nil, err
		}
	}
	var took []time.Duration
	began = now()
	for i := range timedRows {
		if i > 0 && now().Sub(began) > timingLimit {
			break
		}
		start := now()
		if err := one(pick(i)); err != nil {
			return nil, err
		}
		took = append(took, now().Sub(start))
	}
	slices.Sort(took)
	return &models.Latency{Requests: len(took), P50Millis: percentile(took, 0.5), P99Millis: percentile(took, 0.99)}, nil
}

// percentile is the least duration that the share is not above, in
// milliseconds.
func percentile(sorted []time.Duration, share float64) float64 {
	at := int(math.Ceil(share*float64(len(sorted)))) - 1
	return float64(sorted[max(0, at)]) / float64(time.Millisecond)
}
