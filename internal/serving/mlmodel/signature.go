// Package mlmodel reads the signature in a model directory of MLflow's format.
//
// # Vocabulary
//
//   - The MLmodel file is the YAML in which MLflow describes a model.
//   - A signature lists a model's inputs and outputs, as JSON within that YAML.
//   - Each of them is a field: a column with a type of MLflow's, or a tensor with
//     numpy's name of one and a shape.
//   - A port is a field in the terms of the Open Inference Protocol.
package mlmodel

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/mainspring-ml/mainspring/models"
)

// Signature is what an MLmodel file says of a model's inputs and outputs, each
// as JSON; empty: nothing.
type Signature struct {
	Inputs  string `yaml:"inputs"`
	Outputs string `yaml:"outputs"`
}

// ReadSignature reads the signature of the model in dir. A model without one has
// the zero signature; a missing file is fs.ErrNotExist.
func ReadSignature(dir string) (Signature, error) {
	path := filepath.Join(dir, "MLmodel")
	text, err := os.ReadFile(path)
	if err != nil {
		return Signature{}, err
	}
	var file struct {
		Signature Signature `yaml:"signature"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return Signature{}, &models.Error{Kind: models.KindModelRejected, Subject: path, Message: "the MLmodel file is not valid YAML", Cause: err}
	}
	return file.Signature, nil
}

// TakesTensors reports whether the model's inputs are tensors and not columns of
// a data frame.
func (s Signature) TakesTensors() bool { return strings.Contains(s.Inputs, `"tensor-spec"`) }

// field is a column ("type": "long") or a tensor ("tensor-spec").
type field struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Tensor *struct {
		Dtype string  `json:"dtype"`
		Shape []int64 `json:"shape"`
	} `json:"tensor-spec"`
}

// Ports are the fields of one side of a signature. A column's type that the
// protocol has no datatype for, such as an object's, is an error.
func Ports(side string) ([]models.ModelPort, error) {
	if side == "" {
		return nil, nil
	}
	var fields []field
	if err := json.Unmarshal([]byte(side), &fields); err != nil {
		return nil, err
	}
	ports := make([]models.ModelPort, len(fields))
	for i, f := range fields {
		kind, shape := f.Type, []int64{-1}
		if f.Tensor != nil {
			kind, shape = f.Tensor.Dtype, f.Tensor.Shape
		}
		datatype, ok := datatypes()[kind]
		if !ok {
			return nil, fmt.Errorf("%q has the type %q, which can't be served", f.Name, kind)
		}
		ports[i] = models.ModelPort{Name: f.Name, Datatype: datatype, Shape: shape}
	}
	return ports, nil
}

// datatypes maps MLflow's column types and numpy's names to those of the Open
// Inference Protocol.
func datatypes() map[string]string {
	return map[string]string{
		"string": "BYTES", "str": "BYTES", "object": "BYTES", "boolean": "BOOL", "bool": "BOOL",
		"integer": "INT32", "int32": "INT32", "long": "INT64", "int64": "INT64",
		"float": "FP32", "float32": "FP32", "double": "FP64", "float64": "FP64",
	}
}
