package grpcv2

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// NewRequest makes a request, with raw contents or typed ones. FP16 has a raw
// form only. wanted are the outputs to ask for; none: all.
func NewRequest(model, version, id string, inputs []oip.NamedTensor, wanted []string, raw bool) (*ModelInferRequest, error) {
	m := &ModelInferRequest{ModelName: model, ModelVersion: version, Id: id}
	for _, name := range wanted {
		m.Outputs = append(m.Outputs, &ModelInferRequest_InferRequestedOutputTensor{Name: name})
	}
	m.Inputs = make([]*ModelInferRequest_InferInputTensor, len(inputs))
	for i, t := range inputs {
		m.Inputs[i] = &ModelInferRequest_InferInputTensor{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape}
	}
	if raw || needsRaw(inputs) {
		var err error
		m.RawInputContents, err = encodeRaw("input", inputs)
		return m, err
	}
	for i, t := range inputs {
		contents, err := encodeContents(t.Data)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", t.Name, err)
		}
		m.Inputs[i].Contents = contents
	}
	return m, nil
}

// NewResponse makes an answer, with raw contents or typed ones. An answer with
// FP16 is raw in any case. The message may share the memory of r's values.
func NewResponse(r oip.Response, raw bool) (*ModelInferResponse, error) {
	m := &ModelInferResponse{ModelName: r.Model, ModelVersion: r.Version, Id: r.ID}
	m.Outputs = make([]*ModelInferResponse_InferOutputTensor, len(r.Outputs))
	for i, t := range r.Outputs {
		m.Outputs[i] = &ModelInferResponse_InferOutputTensor{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape}
	}
	if raw || needsRaw(r.Outputs) {
		var err error
		m.RawOutputContents, err = encodeRaw("output", r.Outputs)
		return m, err
	}
	for i, t := range r.Outputs {
		contents, err := encodeContents(t.Data)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
		m.Outputs[i].Contents = contents
	}
	return m, nil
}

func needsRaw(tensors []oip.NamedTensor) bool {
	for _, t := range tensors {
		if t.Datatype == oip.FP16 {
			return true
		}
	}
	return false
}

func encodeRaw(kind string, tensors []oip.NamedTensor) ([][]byte, error) {
	raw := make([][]byte, len(tensors))
	for i, t := range tensors {
		var err error
		if raw[i], err = oip.AppendBinary(make([]byte, 0, oip.BinarySize(t.Tensor)), t.Tensor); err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, t.Name, err)
		}
	}
	return raw, nil
}

func encodeContents(data any) (*InferTensorContents, error) {
	switch data := data.(type) {
	case []bool:
		return &InferTensorContents{BoolContents: data}, nil
	case []uint8:
		return &InferTensorContents{UintContents: widen[uint32](data)}, nil
	case []uint16:
		return &InferTensorContents{UintContents: widen[uint32](data)}, nil
	case []uint32:
		return &InferTensorContents{UintContents: data}, nil
	case []uint64:
		return &InferTensorContents{Uint64Contents: data}, nil
	case []int8:
		return &InferTensorContents{IntContents: widen[int32](data)}, nil
	case []int16:
		return &InferTensorContents{IntContents: widen[int32](data)}, nil
	case []int32:
		return &InferTensorContents{IntContents: data}, nil
	case []int64:
		return &InferTensorContents{Int64Contents: data}, nil
	case []float32:
		return &InferTensorContents{Fp32Contents: data}, nil
	case []float64:
		return &InferTensorContents{Fp64Contents: data}, nil
	case []string:
		out := make([][]byte, len(data))
		for i, s := range data {
			out[i] = []byte(s)
		}
		return &InferTensorContents{BytesContents: out}, nil
	default:
		return nil, fmt.Errorf("data of type %T has no typed contents", data)
	}
}

func widen[To int32 | uint32, From int8 | int16 | uint8 | uint16](values []From) []To {
	out := make([]To, len(values))
	for i, v := range values {
		out[i] = To(v)
	}
	return out
}
