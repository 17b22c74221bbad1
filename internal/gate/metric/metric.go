// Package metric measures predictions: every metric of a task with its
// interval, candidate against champion, as a whole and by slice. It is
// arithmetic on plain slices without clock, I/O or hidden randomness: the seed
// decides the resamples, and the number of cores decides nothing.
//
// # Vocabulary
//
//   - A row is one held-out case with its label. An answer is what a model
//     predicts for it: the probability p of label 1, one probability per class,
//     or a number.
//   - A block is a span of event time. Rows of one block resemble each other, so
//     blocks, not rows, are resampled.
//   - A segment is what is measured by itself: all rows, or one slice of them.
//   - A figure is a metric's value on a segment. The gain is the difference of
//     the two models' figures, its sign turned so that above 0 the candidate is
//     better.
//   - A resample draws as many blocks as there are, with replacement, and takes
//     each row as often as its block was drawn: its weight w.
//
// # Metrics
//
// Sums run over rows, y is the label, n the number of rows. All agree with
// scikit-learn 1.9 to 1e-9 where it defines the figure.
//
// Of probabilities (tasks binary and multiclass):
//
//   - log_loss: mean of -ln(probability of the label), in nats; probabilities
//     are kept at least 2⁻⁵² away from 0 and 1, so a row costs at most 36.04.
//   - brier: binary, mean of (p - y)², from 0 to 1. Multiclass, mean over rows
//     of the sum over classes of (p_k - [y = k])², from 0 to 2: not halved
//     (scikit-learn's scale_by_half=False, its default for classes).
//   - auc: share of pairs (label 1, label 0) in which label 1 has the higher p;
//     ties count half. Multiclass: each class against the rest, unweighted mean
//     over classes (multi_class="ovr", average="macro"); every class must occur.
//   - pr_auc: average precision, the sum over distinct p, from high to low, of
//     (rise in recall) × (precision at that p): a step function, not trapezoids.
//   - accuracy: binary, share of rows with [p ≥ threshold] = y. Multiclass, share
//     of rows whose most probable class is y; the lowest index wins ties.
//   - f1: 2·TP / (2·TP + FP + FN) of label 1 at the threshold. Multiclass:
//     unweighted mean of the classes' F1, over classes that occur among labels
//     or predictions.
//   - calibration_error: expected calibration error in 15 bins of equal width,
//     (k/15, (k+1)/15], the first with 0: the sum over bins of |Σ(p - y)| / n,
//     that is |mean p - share of label 1| weighted by rows. Multiclass: of the
//     most probable class, p its probability and y whether it was right.
//
// Of numbers (task regression), e = answer - y:
//
//   - rmse: √(Σe² / n).
//   - mae: Σ|e| / n.
//   - r2: 1 - Σe² / Σ(y - mean y)².
//   - pinball: mean of q·(y - answer) where the answer is too low and of
//     (1 - q)·(answer - y) where it is too high; q is the quantile predicted.
//
// A figure that the rows don't give is absent: auc, or a class's auc, without
// both labels; pr_auc without a label 1; f1 when no label 1 occurs or is
// predicted; r2 of equal labels; anything of no rows. An answer that is no
// number (or no probability, or off by more than 1e150), or a label that the task
// doesn't know, leaves its segments without any figure of that model. No figure
// is NaN or infinite.
//
// # Intervals
//
// An interval runs from the Level to the 1-Level percentile of the figure over
// the resamples that have it, so each bound errs in a share Level of cases. The
// bounds lie further out for few blocks (see deviations); where fewer than 5
// resamples lie outside a percentile, the tail is drawn out as a normal
// distribution's. Bounds stay in the metric's range, and are its ends when more
// than 1 % of the resamples with rows lack the figure (see mostMissing). Resampling adds noise to bins, so the
// calibration error of resamples lies too high by about as much as that of the
// sample itself: its interval is moved down by twice that bias, and widened
// to hold the figure. All figures, slices and both models use the same
// resamples, which makes gains paired.
//
// Sums by block make a resample's figure exact for all metrics but auc and
// pr_auc. Those are exact on the sample, and on resamples of segments with no
// more rows than the score grid has cells. In larger ones the rows within a cell
// count as arranged as the sample's are (see ranking.go), which moves the bounds
// of an interval by at most 1 % of its width in tests.
//
// A slice is judged when it has MinRows rows and 2 blocks. The figures in Strict
// and StrictGain have the level divided by the number of judged slices: of one
// metric, the chance that any slice's bound errs stays below Level (Bonferroni).
package metric

import (
	"cmp"
	"fmt"

	"github.com/mainspring-ml/mainspring/models"
)

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
// interval; Metric is what the gain of slices is measured in (empty: the task's
// default).
type Settings struct {
	Metric    models.Metric
	Level     float64
	Resamples int
	Seed      uint64
	Threshold float64 // 0: 0.5
	Quantile  float64 // 0: 0.5
	// Only bounds what is measured; empty: all metrics of the task.
	Only []models.Metric
}

// Measurement is every figure with its interval. A figure that the rows don't
// give (AUC of one label only, anything of no rows) is absent.
type Measurement struct {
	Candidate map[models.Metric]models.Estimate
	Champion  map[models.Metric]models.Estimate // nil without a champion
	Gains     map[models.Metric]models.Estimate // nil without a champion
	Blocks    []BlockLoss                       // by block number
	Slices    []models.SliceEvidence            // by slicing and group
	Curves    Curves
}

// BlockLoss is the mean loss of one block: log-loss, or squared error for task
// regression. Rows without a loss (see Loss) are left out of the mean.
type BlockLoss struct {
	Rows      int64
	Candidate float64 // 0 without rows
	Champion  float64 // 0 without a champion
}

// Curves are what plots show, thinned to at most 200 points each; those of the
// champion are nil without one. Only task binary has ROC and precision-recall.
// Reliability has the bins of calibration_error that hold rows.
type Curves struct {
	ROC, ChampionROC                 [][2]float64 // false positive rate, true positive rate
	PR, ChampionPR                   [][2]float64 // recall, precision
	Reliability, ChampionReliability []models.ReliabilityBin
}

// Measure computes every metric of the task. All intervals come from the same
// resamples of whole blocks, so that they can be compared. It panics when the
// sample's slices differ in length, which is a programming error.
func Measure(s Sample, set Settings) Measurement {
	s.mustFit()
	set.Metric = cmp.Or(set.Metric, s.Task.DefaultMetric())
	plan := arrange(s, set)
	draws := drawBlocks(plan.blocks, set.Resamples, set.Seed)
	sides := []side{{answers: s.Candidate}}
	if s.Champion != nil {
		sides = append(sides, side{answers: *s.Champion})
	}
	measureSides(s, plan, draws, set, sides)
	m := Measurement{Blocks: blockLosses(plan, sides), Curves: curves(sides)}
	whole := plan.compare(0, sides)
	level := bounds{set.Level, len(plan.segments[0].blocks)}
	m.Candidate = whole.candidate.estimates(level)
	if s.Champion != nil {
		m.Champion, m.Gains = whole.champion.estimates(level), whole.gains.estimates(level)
	}
	m.Slices = plan.evidence(sides, set)
	return m
}

func (s Sample) mustFit() {
	rows := len(s.Labels)
	fits := len(s.Blocks) == rows && s.Candidate.fit(s.Task, rows) && (s.Champion == nil || s.Champion.fit(s.Task, rows))
	for _, slicing := range s.Slicings {
		fits = fits && len(slicing.Groups) == rows
	}
	if !fits {
		panic(fmt.Sprintf("metric: %d labels of task %s do not fit %d blocks, the answers, or the groups of %d slicings",
			rows, s.Task, len(s.Blocks), len(s.Slicings)))
	}
}

func (a Answers) fit(task models.Task, rows int) bool {
	if task == models.TaskMulticlass {
		return a.Classes > 0 && len(a.Values) == a.Classes*rows
	}
	return len(a.Values) == rows
}
