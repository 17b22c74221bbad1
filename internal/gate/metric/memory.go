package metric

import "github.com/mainspring-ml/mainspring/models"

// Memory is about how many bytes Measure will need beside the sample. It grows
// with blocks × resamples and with slices × both, so that hours in place of days
// may ask for more than there is.
func Memory(s Sample, set Settings) int64 {
	p := plan{segments: make([]segment, 1)}
	for _, slicing := range s.Slicings {
		p.segments = append(p.segments, make([]segment, len(slicing.Names))...)
	}
	for _, b := range s.Blocks {
		p.blocks = max(p.blocks, int(b)+1)
	}
	sides, spreads, rankings := int64(1), int64(1), int64(0)
	if s.Champion != nil {
		sides, spreads = 2, 3 // gains are a spread of their own
	}
	switch s.Task {
	case models.TaskMulticlass:
		rankings = sides * int64(s.Candidate.Classes)
	case models.TaskBinary, "":
		rankings = sides
	case models.TaskRegression:
	}
	const (
		float32s, float64s = 4, 8
		atOnce             = 4 // rankings whose grids are there at the same time
	)
	segments, blocks, resampled := int64(len(p.segments)), int64(p.blocks), int64(set.Resamples)+1
	cells := int64(cellsOf(1, p.blocks) + 1)
	return resampled*blocks*float32s +
		spreads*segments*resampled*int64(slots)*float64s +
		sides*segments*blocks*int64(scorerOf(s, s.Candidate, set).columns())*float64s +
		min(rankings, atOnce)*segments*blocks*2*cells*float32s +
		rankings*segments*resampled*2*float64s
}
