package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protowire"
)

// perceptron is a network of dense layers with ReLU between them and a sigmoid
// at the end, with random weights.
type perceptron struct {
	widths  []int // of the input and each layer
	weights [][]float32
}

func newPerceptron(widths ...int) perceptron {
	random := rand.New(rand.NewPCG(1, 2))
	p := perceptron{widths: widths}
	for i, out := range widths[1:] {
		layer := make([]float32, widths[i]*out)
		for j := range layer {
			layer[j] = float32(random.NormFloat64() / math.Sqrt(float64(widths[i])))
		}
		p.weights = append(p.weights, layer)
	}
	return p
}

// Fields of ONNX's messages, by their numbers in onnx.proto.
const (
	modelIRVersion, modelGraph, modelOpset                     = 1, 7, 8
	opsetVersion                                               = 2
	graphNode, graphName, graphInitializer, graphInput, graphY = 1, 2, 5, 11, 12
	nodeInput, nodeOutput, nodeOp                              = 1, 2, 4
	tensorDims, tensorType, tensorName, tensorRaw              = 1, 2, 8, 9
	valueName, valueType                                       = 1, 2
	elementFloat                                               = 1
)

func text(dst []byte, field protowire.Number, s string) []byte {
	return message(dst, field, []byte(s))
}

func message(dst []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), content)
}

func number(dst []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(n))
}

// onnx is the network as an ONNX file: x [n, width] to y [n, 1].
func (p perceptron) onnx() []byte {
	var graph []byte
	node := func(op, output string, inputs ...string) {
		var n []byte
		for _, in := range inputs {
			n = text(n, nodeInput, in)
		}
		graph = message(graph, graphNode, text(text(n, nodeOutput, output), nodeOp, op))
	}
	last := "x"
	for i := range p.weights {
		name := fmt.Sprint("h", i)
		node("MatMul", name, last, fmt.Sprint("w", i))
		if last = name; i < len(p.weights)-1 {
			last = fmt.Sprint("r", i)
			node("Relu", last, name)
		}
	}
	node("Sigmoid", "y", last)
	graph = text(graph, graphName, "perceptron")
	for i, w := range p.weights {
		t := number(number(nil, tensorDims, p.widths[i]), tensorDims, p.widths[i+1])
		t = text(number(t, tensorType, elementFloat), tensorName, fmt.Sprint("w", i))
		graph = message(graph, graphInitializer, message(t, tensorRaw, floatBytes(w)))
	}
	graph = message(graph, graphInput, port("x", p.widths[0]))
	graph = message(graph, graphY, port("y", p.widths[len(p.widths)-1]))
	model := number(nil, modelIRVersion, 8)
	model = message(model, modelOpset, number(nil, opsetVersion, 17))
	return message(model, modelGraph, graph)
}

// port describes a matrix of floats with a free number of rows.
func port(name string, columns int) []byte {
	shape := message(message(nil, 1, text(nil, 2, "n")), 1, number(nil, 1, columns))
	tensor := message(number(nil, 1, elementFloat), 2, shape)
	return message(text(nil, valueName, name), valueType, message(nil, 1, tensor))
}

func floatBytes(values []float32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// mlmodel is what mlflow.onnx.save_model writes, as far as a server reads it.
const mlmodel = `flavors:
  onnx:
    data: model.onnx
    onnx_version: 1.23.2
    providers:
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
`

// write makes a model directory in MLflow's format.
func (p perceptron) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "MLmodel"), []byte(mlmodel), 0o644),
		os.WriteFile(filepath.Join(dir, "model.onnx"), p.onnx(), 0o644),
	)
}

// row is one input.
func (p perceptron) row() []float32 {
	row := make([]float32, p.widths[0])
	for i := range row {
		row[i] = float32(i%7)/4 - 0.75
	}
	return row
}
