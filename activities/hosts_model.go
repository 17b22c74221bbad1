package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/mainspring-ml/mainspring/internal/artifact"
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
	signature, err := readSignature(dir)
	if err != nil {
		return nil, nil, err
	}
	if inputs, err = signaturePorts(signature.Inputs); err == nil {
		outputs, err = signaturePorts(signature.Outputs)
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
	signature, err := readSignature(dir)
	if err != nil {
		return nil, nil, err
	}
	if ports, err := signaturePorts(signature.Inputs); err == nil {
		inputs = ports
	}
	if ports, err := signaturePorts(signature.Outputs); err == nil {
		outputs = ports
	}
	return inputs, outputs, nil
}

// modelSignature is JSON in YAML.
type modelSignature struct {
	Inputs  string `yaml:"inputs"`
	Outputs string `yaml:"outputs"`
}

func readSignature(dir string) (modelSignature, error) {
	path := filepath.Join(dir, "MLmodel")
	text, err := os.ReadFile(path)
	if err != nil {
		return modelSignature{}, err
	}
	var file struct {
		Signature modelSignature `yaml:"signature"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return modelSignature{}, &models.Error{Kind: models.KindModelRejected, Subject: path, Message: "the MLmodel file is not valid YAML", Cause: err}
	}
	return file.Signature, nil
}

// signatureField is a column ("type": "long") or a tensor ("tensor-spec").
type signatureField struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Tensor *struct {
		Dtype string  `json:"dtype"`
		Shape []int64 `json:"shape"`
	} `json:"tensor-spec"`
}

func signaturePorts(text string) ([]models.ModelPort, error) {
	if text == "" {
		return nil, nil
	}
	var fields []signatureField
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, err
	}
	ports := make([]models.ModelPort, len(fields))
	for i, f := range fields {
		kind, shape := f.Type, []int64{-1}
		if f.Tensor != nil {
			kind, shape = f.Tensor.Dtype, f.Tensor.Shape
		}
		datatype, ok := signatureDatatypes()[kind]
		if !ok {
			return nil, fmt.Errorf("%q has the type %q, which can't be served", f.Name, kind)
		}
		ports[i] = models.ModelPort{Name: f.Name, Datatype: datatype, Shape: shape}
	}
	return ports, nil
}

// signatureDatatypes maps MLflow's column types and numpy's names to those of
// the Open Inference Protocol.
func signatureDatatypes() map[string]string {
	return map[string]string{
		"string": "BYTES", "str": "BYTES", "object": "BYTES", "boolean": "BOOL", "bool": "BOOL",
		"integer": "INT32", "int32": "INT32", "long": "INT64", "int64": "INT64",
		"float": "FP32", "float32": "FP32", "double": "FP64", "float64": "FP64",
	}
}
