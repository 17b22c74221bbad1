package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// Predictor is a loaded model; *serving.Model is one.
type Predictor interface {
	Predict(context.Context, map[string]serving.Tensor) (map[string]serving.Tensor, error)
	Close() error
}

// ModelLoader fetches a model and loads it. It fails with KindModelRejected
// when the model can't be served. The caller closes the predictor.
type ModelLoader interface {
	LoadModel(context.Context, models.ModelArtifact) (Predictor, error)
}

// batchRows is how many rows one prediction takes: enough to keep the runtime
// busy, few enough to heartbeat between.
const batchRows = 4096

// prediction is one model's turn.
type prediction struct {
	who      string // for people: "candidate"
	artifact models.ModelArtifact
	input    models.EvaluateInput
}

// predict returns the probability of label 1 for each row of the table.
func (s *Scoring) predict(ctx context.Context, p prediction, table dataset.Table) ([]float64, error) {
	if err := p.checkPorts(); err != nil {
		return nil, err
	}
	model, err := s.Models.LoadModel(ctx, p.artifact)
	if err != nil {
		return nil, unavailable(p.artifact.Source, "the "+p.who+" can't be loaded", err)
	}
	probabilities, err := p.run(ctx, model, table)
	if closing := model.Close(); err == nil && closing != nil {
		err = unavailable(p.artifact.Source, "the "+p.who+" can't be closed", closing)
	}
	return probabilities, err
}

// checkPorts compares the model's ports with the data's columns before
// anything is loaded.
func (p prediction) checkPorts() error {
	var unfed []string
	for _, port := range p.artifact.Inputs {
		if !slices.Contains(p.input.Data.Features, port.Name) {
			text := fmt.Sprintf("input %q is no feature", port.Name)
			if near := dataset.Nearest(port.Name, p.input.Data.Features); near != "" {
				text += fmt.Sprintf(" (nearest: %q)", near)
			}
			unfed = append(unfed, text)
		}
	}
	if len(unfed) > 0 {
		return p.reject(strings.Join(unfed, ", ")+"; the features are "+strings.Join(p.input.Data.Features, ", "),
			"name the model's inputs like the columns in data.features", nil)
	}
	if !slices.ContainsFunc(p.artifact.Outputs, func(o models.ModelPort) bool { return o.Name == p.output() }) {
		names := make([]string, len(p.artifact.Outputs))
		for i, o := range p.artifact.Outputs {
			names[i] = o.Name
		}
		return p.reject(fmt.Sprintf("there is no output %q; the outputs are %s", p.output(), strings.Join(names, ", ")),
			"set evaluate.prediction to the output that holds the probability of label 1", nil)
	}
	return nil
}

func (p prediction) output() string { return cmp.Or(p.input.Spec.Prediction, defaultPrediction) }

func (p prediction) reject(message, hint string, cause error) error {
	return &models.Error{
		Kind: models.KindModelRejected, Subject: p.who + " " + p.artifact.Source,
		Message: message, Hint: hint, Cause: cause,
	}
}

// run predicts batch by batch.
func (p prediction) run(ctx context.Context, model Predictor, table dataset.Table) ([]float64, error) {
	columns := feedable(table, p.artifact.Inputs)
	probabilities := make([]float64, 0, table.Rows())
	for from := 0; from < table.Rows(); from += batchRows {
		to := min(from+batchRows, table.Rows())
		batch := make(serving.Columns, len(columns))
		for name, values := range columns {
			batch[name] = cut(values, from, to)
		}
		inputs, err := serving.Feed(p.artifact.Inputs, batch)
		if err != nil {
			return nil, p.reject("the data can't be fed", "cast the column, or the model's input", err)
		}
		outputs, err := model.Predict(ctx, inputs)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		if err != nil {
			return nil, p.reject("the prediction failed", "", err)
		}
		answers, err := p.probabilities(outputs, to-from)
		if err != nil {
			return nil, err
		}
		probabilities = append(probabilities, answers...)
		recordProgress(ctx, fmt.Sprintf("%s: %d of %d rows", p.who, to, table.Rows()))
	}
	return probabilities, nil
}

// probabilities reads one number from 0 to 1 per row out of the answer.
func (p prediction) probabilities(outputs map[string]serving.Tensor, rows int) ([]float64, error) {
	tensor := outputs[p.output()]
	var values []float64
	switch data := tensor.Data.(type) {
	case []float64:
		values = slices.Clone(data) // the runtime may reuse its memory
	case []float32:
		values = widen(data)
	case []int64:
		values = widen(data)
	case []int32:
		values = widen(data)
	default:
		return nil, p.reject(fmt.Sprintf("output %q holds %s, no numbers", p.output(), tensor.Datatype),
			"set evaluate.prediction to the output that holds the probability of label 1", nil)
	}
	if len(values) != rows {
		return nil, p.reject(fmt.Sprintf("output %q has the shape %v for %d rows; one value per row is needed",
			p.output(), tensor.Shape, rows), "leave only the column of label 1 in the model's output", nil)
	}
	for i, v := range values {
		if math.IsNaN(v) || v < 0 || v > 1 {
			return nil, p.reject(fmt.Sprintf("output %q is %v for a held-out row (row %d of its batch), no probability",
				p.output(), v, i), "end the model with a sigmoid, or name another output in evaluate.prediction", nil)
		}
	}
	return values, nil
}

func widen[N int32 | int64 | float32](values []N) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// feedable turns the inputs' columns into what serving.Feed takes. Nulls of
// numbers become NaN, so that only a model with float inputs is fed them;
// nulls of strings become the empty string.
func feedable(table dataset.Table, inputs []models.ModelPort) serving.Columns {
	columns := make(serving.Columns, len(inputs))
	for _, port := range inputs {
		s := table.Column(port.Name)
		switch {
		case s.Type == dataset.TypeString:
			columns[port.Name] = s.Strings
		case s.Nulls != nil:
			columns[port.Name] = withNaN(s)
		case s.Type == dataset.TypeFloat64:
			columns[port.Name] = s.Floats
		case s.Type == dataset.TypeBool:
			bools := make([]bool, len(s.Ints))
			for i, v := range s.Ints {
				bools[i] = v != 0
			}
			columns[port.Name] = bools
		default:
			columns[port.Name] = s.Ints
		}
	}
	return columns
}

func withNaN(s *dataset.Series) []float64 {
	out := make([]float64, s.Len())
	for i := range out {
		v, ok := s.Number(i)
		if !ok {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

func cut(values any, from, to int) any {
	switch v := values.(type) {
	case []string:
		return v[from:to]
	case []float64:
		return v[from:to]
	case []bool:
		return v[from:to]
	default:
		return values.([]int64)[from:to]
	}
}
