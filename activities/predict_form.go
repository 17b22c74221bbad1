package activities

import (
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// answers are one model's predictions: width values for each row, one row after
// the other.
type answers struct {
	values  []float64
	width   int
	latency *models.Latency
	seconds float64
}

func (a answers) rows() int { return len(a.values) / max(1, a.width) }

func (a answers) row(i int) []float64 { return a.values[i*a.width : (i+1)*a.width] }

// predictionColumn is the column of answers with one value for each row, in
// files of predictions.
const predictionColumn = "prediction"

// form is what answers must look like.
//
// Task binary wants one probability for each row, that of label 1. Two columns
// are refused rather than guessed at: which is label 1 is a custom of the
// library that wrote the model, and the monitor reads an output's first value.
type form struct {
	task    models.Task
	classes int    // of task multiclass; 0: as many as the model gives
	output  string // name of the model's output or of the file's column
}

func formOf(req models.PredictRowsRequest) form {
	task := taskOf(req.Data)
	spec := models.EvaluateSpec{Prediction: req.Prediction}.WithDefaultsFor(task)
	return form{task, len(req.Data.Classes), spec.Prediction}
}

// nameIt tells how to name another output.
func (f form) nameIt() string {
	return "set evaluate.prediction to the output that holds " + f.wanted()
}

func (f form) wanted() string {
	switch f.task {
	case models.TaskMulticlass:
		return "the probabilities of the classes"
	case models.TaskRegression:
		return "the predicted number"
	case models.TaskBinary:
	}
	return "the probability of label 1"
}

// columns are the columns of files with answers of that width.
func (f form) columns(width int) []string {
	if f.task != models.TaskMulticlass {
		return []string{predictionColumn}
	}
	names := make([]string, width)
	for i := range names {
		names[i] = fmt.Sprintf("p%d", i)
	}
	return names
}

// block is some rows of answers, the first of them being row from, with the
// shape that the model gave them.
type block struct {
	from, rows int
	shape      []int64
}

// check returns what is wrong with the answers to a block, and what to do;
// nothing when all is well.
func (f form) check(values []float64, b block) (message, hint string) {
	width := len(values) / b.rows
	if len(values)%b.rows != 0 || !f.fits(width) {
		shape := slices.Clone(b.shape)
		if shape == nil {
			shape = []int64{int64(len(values))}
		}
		return fmt.Sprintf("output %q has the shape %v for %d rows; %s", f.output, shape, b.rows, f.perRow()), f.reshape()
	}
	for row := range b.rows {
		if fault := f.fault(values[row*width : (row+1)*width]); fault != "" {
			return fmt.Sprintf("output %q %s (row %d)", f.output, fault, b.from+row), f.repair()
		}
	}
	return "", ""
}

func (f form) fits(width int) bool {
	if f.task != models.TaskMulticlass {
		return width == 1
	}
	return width >= 2 && (f.classes == 0 || width == f.classes)
}

func (f form) perRow() string {
	switch {
	case f.task != models.TaskMulticlass:
		return "one value per row is needed"
	case f.classes > 0:
		return fmt.Sprintf("%d values per row are needed, one for each of data.classes", f.classes)
	default:
		return "one value per row and class is needed"
	}
}

func (f form) reshape() string {
	switch f.task {
	case models.TaskMulticlass:
		return "let the model's output have one column for each class, in the order of data.classes"
	case models.TaskRegression:
		return "leave only the predicted number in the model's output"
	case models.TaskBinary:
	}
	return "leave only the column of label 1 in the model's output"
}

// sumTolerance is how far probabilities may be from adding up to 1: those of
// float32 models with thousands of classes are.
const sumTolerance = 1e-3

// fault says what is wrong with one row's values.
func (f form) fault(row []float64) string {
	sum := 0.0
	for _, v := range row {
		sum += v
		switch {
		case f.task == models.TaskRegression && (math.IsNaN(v) || math.IsInf(v, 0)):
			return fmt.Sprintf("is %v for a held-out row, no finite number", v)
		case f.task != models.TaskRegression && !(v >= 0 && v <= 1):
			return fmt.Sprintf("is %v for a held-out row, no probability", v)
		}
	}
	if f.task == models.TaskMulticlass && math.Abs(sum-1) > sumTolerance {
		return fmt.Sprintf("has probabilities that add up to %.6g for a held-out row, not to 1", sum)
	}
	return ""
}

func (f form) repair() string {
	switch f.task {
	case models.TaskMulticlass:
		return "end the model with a softmax, or name another output in evaluate.prediction"
	case models.TaskRegression:
		return "let the model answer every row with a finite number, or name another output in evaluate.prediction"
	case models.TaskBinary:
	}
	return "end the model with a sigmoid, or name another output in evaluate.prediction"
}
