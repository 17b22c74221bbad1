package worker

import (
	"context"
	"os"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// newInspector loads models with ONNX Runtime where it is named; without it
// the agent believes a model's own signature, and the first to load the model
// is the evaluation.
func newInspector() (activities.ModelInspector, func(), error) {
	if os.Getenv(serving.LibraryVariable) == "" {
		return activities.SignatureInspector{}, func() {}, nil
	}
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{})
	if err != nil {
		return nil, nil, err
	}
	return loadingInspector{runtime}, func() { runtime.Close() }, nil
}

// loadingInspector asks the model itself.
type loadingInspector struct{ runtime *serving.Runtime }

// Inspect implements activities.ModelInspector.
func (i loadingInspector) Inspect(_ context.Context, dir string) (inputs, outputs []models.ModelPort, err error) {
	model, err := i.runtime.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	inputs, outputs = model.Inputs, model.Outputs
	return inputs, outputs, model.Close()
}
