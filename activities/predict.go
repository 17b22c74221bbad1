package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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

// prediction is one model's turn at the held-out rows, with the built-in
// runtime.
type prediction struct {
	models.PredictRowsRequest
	form form
}

func newPrediction(req models.PredictRowsRequest) prediction {
	return prediction{req, formOf(req)}
}

// answer loads the model and answers all rows of the table, then times single
// ones.
func (p prediction) answer(ctx context.Context, loader ModelLoader, table dataset.Table) (answers, error) {
	if err := p.checkPorts(); err != nil {
		return answers{}, err
	}
	model, err := loader.LoadModel(ctx, p.Artifact)
	if err != nil {
		return answers{}, unavailable(p.Artifact.Source, "the "+p.Who+" can't be loaded", err)
	}
	result, err := p.run(ctx, model, table)
	if closing := model.Close(); err == nil && closing != nil {
		err = unavailable(p.Artifact.Source, "the "+p.Who+" can't be closed", closing)
	}
	return result, err
}

// checkPorts compares the model's ports with the data's columns before
// anything is loaded.
func (p prediction) checkPorts() error {
	var unfed []string
	for _, port := range p.Artifact.Inputs {
		if !slices.Contains(p.Data.Features, port.Name) {
			text := fmt.Sprintf("input %q is no feature", port.Name)
			if near := dataset.Nearest(port.Name, p.Data.Features); near != "" {
				text += fmt.Sprintf(" (nearest: %q)", near)
			}
			unfed = append(unfed, text)
		}
	}
	if len(unfed) > 0 {
		hint := "name the model's inputs like the columns in data.features"
		if p.Who != whoCandidate {
			hint = "keep the column in data.features for as long as this version is the champion, or give the candidate another model.name"
		}
		return p.reject(strings.Join(unfed, ", ")+"; the features are "+strings.Join(p.Data.Features, ", "), hint, nil)
	}
	if !slices.ContainsFunc(p.Artifact.Outputs, func(o models.ModelPort) bool { return o.Name == p.form.output }) {
		names := make([]string, len(p.Artifact.Outputs))
		for i, o := range p.Artifact.Outputs {
			names[i] = o.Name
		}
		return p.reject(fmt.Sprintf("there is no output %q; the outputs are %s", p.form.output, strings.Join(names, ", ")),
			p.form.nameIt(), nil)
	}
	return nil
}

func (p prediction) reject(message, hint string, cause error) error {
	return rejectAnswers(p.PredictRowsRequest, message, hint, cause)
}

// rejectAnswers says whose answers can't be used.
func rejectAnswers(req models.PredictRowsRequest, message, hint string, cause error) *models.Error {
	return &models.Error{
		Kind: models.KindModelRejected, Subject: req.Who + " " + req.Artifact.Source,
		Message: message, Hint: hint, Cause: cause,
	}
}

// run predicts batch by batch.
func (p prediction) run(ctx context.Context, model Predictor, table dataset.Table) (answers, error) {
	result := answers{values: make([]float64, 0, table.Rows())}
	columns := feedable(table, p.Artifact.Inputs)
	began := time.Now()
	for from := 0; from < table.Rows(); from += batchRows {
		to := min(from+batchRows, table.Rows())
		outputs, err := p.predict(ctx, model, columns, from, to)
		if err != nil {
			return result, err
		}
		values, err := p.read(outputs, from, to)
		if err != nil {
			return result, err
		}
		width := len(values) / (to - from)
		if result.width > 0 && result.width != width {
			return result, p.reject(fmt.Sprintf("output %q has %d values for some rows and %d for others", p.form.output, result.width, width), "", nil)
		}
		result.width, result.values = width, append(result.values, values...)
		recordProgress(ctx, fmt.Sprintf("%s: %d of %d rows", p.Who, to, table.Rows()))
	}
	result.seconds = time.Since(began).Seconds()
	var err error
	result.latency, err = timeRows(table.Rows(), time.Now, func(row int) error {
		_, err := p.predict(ctx, model, columns, row, row+1)
		return err
	})
	return result, err
}

// predict asks the model about some rows, which is what a server does with a
// request.
func (p prediction) predict(ctx context.Context, model Predictor, columns serving.Columns, from, to int) (map[string]serving.Tensor, error) {
	batch := make(serving.Columns, len(columns))
	for name, values := range columns {
		batch[name] = cut(values, from, to)
	}
	inputs, err := serving.Feed(p.Artifact.Inputs, batch)
	if err != nil {
		return nil, p.reject("the data can't be fed", "cast the column, or the model's input", err)
	}
	outputs, err := model.Predict(ctx, inputs)
	if err != nil && ctx.Err() != nil {
		return nil, err // nothing that the model did
	}
	if err != nil {
		return nil, p.reject("the prediction failed", "", err)
	}
	return outputs, nil
}

// read takes the numbers of some rows out of an answer.
func (p prediction) read(outputs map[string]serving.Tensor, from, to int) ([]float64, error) {
	tensor := outputs[p.form.output]
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
		return nil, p.reject(fmt.Sprintf("output %q holds %s, no numbers", p.form.output, tensor.Datatype), p.form.nameIt(), nil)
	}
	if message, hint := p.form.check(values, block{from: from, rows: to - from, shape: tensor.Shape}); message != "" {
		return nil, p.reject(message, hint, nil)
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

// taskOf is the task of the data with its default.
func taskOf(data models.DataSpec) models.Task { return cmp.Or(data.Task, models.TaskBinary) }
