package rivals

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
