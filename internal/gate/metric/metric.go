// Package metric measures predictions: every metric of a task with its
// interval, candidate against champion, as a whole and by slice.
package metric

import "github.com/mainspring-ml/mainspring/models"

// Answers are one model's predictions: Classes values for each row, one row
// after the other. Tasks binary and regression have one value per row.
type Answers struct {
	Values  []float64
	Classes int
}

// Sample is the held-out rows with the answers to them. All slices have one
// entry per row, but for the values of several classes.
type Sample struct {
	Task      models.Task
	Labels    []float64 // 0 or 1; the class's index; or the number
	Candidate Answers
	Champion  *Answers // nil: there is none
	Blocks    []int32  // block of the row, numbered from 0 in order of time
	Slicings  []Slicing
}

// Slicing cuts the rows into slices by one column.
type Slicing struct {
	Column  string
	Names   []string // by group
	Groups  []int32  // by row; -1: in no slice
	MinRows int64    // fewer are shown and not judged
}

// Settings of the measurement. Level is the error level on each side of an
// interval; Metric is what the gain of slices and blocks is measured in.
type Settings struct {
	Metric    models.Metric
	Level     float64
	Resamples int
	Seed      uint64
	Threshold float64
	Quantile  float64
}

// Measurement is every figure with its interval. A figure that the rows don't
// give (AUC of one label only, anything of no rows) is absent.
type Measurement struct {
	Candidate map[models.Metric]models.Estimate
	Champion  map[models.Metric]models.Estimate // nil without a champion
	Gains     map[models.Metric]models.Estimate // nil without a champion
	Blocks    []BlockLoss                       // by block number
	Slices    []models.SliceEvidence
	Curves    Curves
}

// BlockLoss is the mean loss of one block: log-loss, or squared error for task
// regression.
type BlockLoss struct {
	Rows      int64
	Candidate float64 // 0 without rows
	Champion  float64 // 0 without a champion
}

// Curves are what plots show, thinned to at most 200 points each; those of the
// champion are nil without one. Only task binary has ROC and precision-recall.
type Curves struct {
	ROC, ChampionROC                 [][2]float64 // false positive rate, true positive rate
	PR, ChampionPR                   [][2]float64 // recall, precision
	Reliability, ChampionReliability []models.ReliabilityBin
}

// Measure computes every metric of the task. All intervals come from the same
// resamples of whole blocks, so that they can be compared.
func Measure(Sample, Settings) Measurement { return Measurement{} }

// Loss is the loss of one row: log-loss, or squared error for task regression.
func Loss(task models.Task, answer []float64, label float64) float64 { return 0 }
