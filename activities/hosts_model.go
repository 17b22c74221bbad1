package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/models"
)

// storeModel checks what rank 0 left and stores it under the run's artifacts.
func (g *gang) storeModel(ctx context.Context, result *models.RanksResult) error {
	dir := g.path(modelDir)
	inputs, outputs, err := inspectModel(ctx, g.inspector(), dir)
	if err != nil {
		return err
	}
	if err := fitsData(inputs, g.req.Features); err != nil {
		return err
	}
	source := strings.TrimSuffix(g.req.Run.ArtifactURI, "/") + "/" + modelDir
	bucket, key, err := artifact.ParseURI(source)
	if err != nil {
		return &models.Error{
			Kind: models.KindInvalidSpec, Subject: "MLflow run " + g.req.Run.RunID, Message: "its artifacts do not lie in S3", Cause: err,
			Hint: "start MLflow with --default-artifact-root s3://bucket/prefix",
		}
	}
	manifest, err := artifact.PutTree(ctx, g.h.Store.InBucket(bucket), dir, key)
	if err != nil {
		return unavailable(source, "the model can't be stored", err)
	}
	result.Artifact = &models.ModelArtifact{Manifest: manifest, Source: source, Inputs: inputs, Outputs: outputs}
	return g.storeOutOfFold(ctx, result)
}

// inspector is that of the runtime which the model is for.
func (g *gang) inspector() ModelInspector {
	switch g.req.Runtime {
	case models.RuntimePyfunc, models.RuntimeCommand:
		return programInspector{}
	case models.RuntimeONNX:
	}
	return g.h.Inspector
}

// storeOutOfFold stores the training rows' out-of-fold predictions, if the
// program wrote any.
func (g *gang) storeOutOfFold(ctx context.Context, result *models.RanksResult) error {
	path := g.path(outOfFoldFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ref, err := artifact.PutObjectFile(ctx, g.h.Store, path)
	if err != nil {
		return unavailable(path, "the out-of-fold predictions can't be stored", err)
	}
	result.OutOfFold = &ref
	return nil
}

// inspectModel tells a missing model from a wrong one.
func inspectModel(ctx context.Context, inspector ModelInspector, dir string) (inputs, outputs []models.ModelPort, err error) {
	const hint = "rank 0 must leave the model in MAINSPRING_MODEL_DIR in MLflow's model format before it ends"
	if _, err := os.Stat(filepath.Join(dir, "MLmodel")); err != nil {
		message := "the training ended well but left no model"
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			message = "the training left a model directory without an MLmodel file"
		}
		return nil, nil, &models.Error{Kind: models.KindModelRejected, Subject: "MAINSPRING_MODEL_DIR", Message: message, Hint: hint}
	}
	return inspector.Inspect(ctx, dir)
}

// fitsData wants every input of the model to be a feature of the data.
func fitsData(inputs []models.ModelPort, features []models.Column) error {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.Name
	}
	var unknown []string
	for _, input := range inputs {
		if !slices.Contains(names, input.Name) {
			unknown = append(unknown, input.Name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return &models.Error{
		Kind: models.KindModelRejected, Subject: "model inputs",
		Message: fmt.Sprintf("the model wants %s, which the data does not have; its features are %s", strings.Join(unknown, ", "), strings.Join(names, ", ")),
		Hint:    "name the model's inputs as the columns in data.features",
	}
}

// SignatureInspector reads the signature in the MLmodel file. It believes what
// is written there; an inspector that loads the model knows better.
type SignatureInspector struct{}

var _ ModelInspector = SignatureInspector{}

// Inspect implements ModelInspector.
func (SignatureInspector) Inspect(_ context.Context, dir string) (inputs, outputs []models.ModelPort, err error) {
	signature, err := mlmodel.ReadSignature(dir)
	if err != nil {
		return nil, nil, err
	}
	if inputs, err = mlmodel.Ports(signature.Inputs); err == nil {
		outputs, err = mlmodel.Ports(signature.Outputs)
	}
	if err != nil || len(inputs) == 0 {
		return nil, nil, &models.Error{
			Kind: models.KindModelRejected, Subject: filepath.Join(dir, "MLmodel"), Message: "the MLmodel file has no usable signature", Cause: err,
			Hint: "save the model with a signature whose inputs are named as the data's features",
		}
	}
	return inputs, outputs, nil
}

// programInspector is for models that a program predicts with: what they take is
// between the two, and a signature is only read as far as it can be.
type programInspector struct{}

// Inspect implements ModelInspector.
func (programInspector) Inspect(_ context.Context, dir string) (inputs, outputs []models.ModelPort, err error) {
	signature, err := mlmodel.ReadSignature(dir)
	if err != nil {
		return nil, nil, err
	}
	if ports, err := mlmodel.Ports(signature.Inputs); err == nil {
		inputs = ports
	}
	if ports, err := mlmodel.Ports(signature.Outputs); err == nil {
		outputs = ports
	}
	return inputs, outputs, nil
}
