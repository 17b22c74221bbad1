//go:build !cgo

package serving

import (
	"context"

	"github.com/mainspring-ml/mainspring/models"
)

// Runtime can't be opened in a build without cgo.
type Runtime struct{}

// OpenRuntime fails: this build has no cgo.
func OpenRuntime(RuntimeConfig) (*Runtime, error) {
	return nil, &models.Error{
		Kind: models.KindEnvironmentFailed, Subject: "ONNX Runtime",
		Message: "this mainspring was built without cgo and can't load it",
		Hint:    "use a release binary, or build with CGO_ENABLED=1",
	}
}

// Close does nothing.
func (*Runtime) Close() error { return nil }

// Load is never reached: there is no open runtime.
func (*Runtime) Load(string) (*Model, error) { return nil, ErrRuntimeOpen }

// Model can't be loaded in a build without cgo.
type Model struct {
	Inputs, Outputs []models.ModelPort
	Provider, Note  string
}

// Predict is never reached: there is no loaded model.
func (*Model) Predict(context.Context, map[string]Tensor) (map[string]Tensor, error) {
	return nil, ErrRuntimeOpen
}

// Close does nothing.
func (*Model) Close() error { return nil }
