package rivals

import "math"

// Window is a rule that compares the sample of a window with the reference.
type Window interface {
	// Drifted is whether the rule calls drift in the window.
	Drifted(current Sample) bool
}

// KS calls drift when the p-value of a Kolmogorov-Smirnov test is below Level.
type KS struct {
	Reference Sample
	Level     float64
}

// Drifted implements Window.
func (k KS) Drifted(current Sample) bool {
	_, p := KolmogorovSmirnov(k.Reference, current)
	return p < k.Level
}

// PSI calls drift when the population stability index on the reference's
// deciles reaches a limit.
type PSI struct {
	bins  Histogram
	limit float64
}

// NewPSI takes the limit: by the usual rule of thumb 0.1 is a change and 0.2, or
// 0.25, a large one.
func NewPSI(reference Sample, limit float64) PSI {
	return PSI{bins: Deciles(reference, 10), limit: limit}
}

// Drifted implements Window.
func (p PSI) Drifted(current Sample) bool { return p.bins.PSI(current) >= p.limit }

// Evidently is the default rule of evidently 0.7 for a numeric column of more
// than five different values: with up to 1000 reference values a
// Kolmogorov-Smirnov test at 0.05, with more the Wasserstein distance in
// deviations of the reference, from 0.1.
type Evidently struct{ Reference Sample }

// Drifted implements Window.
func (e Evidently) Drifted(current Sample) bool {
	if e.Reference.Len() <= 1000 {
		_, p := KolmogorovSmirnov(e.Reference, current)
		return p <= 0.05
	}
	return Wasserstein(e.Reference, current)/max(e.Reference.Deviation, 0.001) >= 0.1
}

// NannyML is the default rule of NannyML 0.13 for a numeric column: the
// Jensen-Shannon distance from the reference above the mean and three
// deviations of the reference's own chunks.
type NannyML struct {
	bins  Histogram
	limit float64
}

// NewNannyML learns the limit from the chunks of the reference.
func NewNannyML(reference Sample, chunks []Sample) NannyML {
	n := NannyML{bins: Doane(reference)}
	var distances []float64
	for _, chunk := range chunks {
		distances = append(distances, n.bins.JensenShannon(chunk))
	}
	centre, squares := mean(distances), 0.0
	for _, d := range distances {
		squares += (d - centre) * (d - centre)
	}
	n.limit = centre + 3*math.Sqrt(squares/max(float64(len(distances)), 1))
	return n
}

// Drifted implements Window.
func (n NannyML) Drifted(current Sample) bool { return n.bins.JensenShannon(current) > n.limit }
