package grpcv2

import (
	"fmt"
	"math"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// described is what the messages of inputs and outputs have in common.
type described interface {
	GetName() string
	GetDatatype() string
	GetShape() []int64
	GetContents() *InferTensorContents
}

// Inputs returns the tensors of a request.
func Inputs(m *ModelInferRequest) ([]oip.NamedTensor, error) {
	return decode("input", m.GetInputs(), m.GetRawInputContents())
}

// Outputs returns the tensors of an answer.
func Outputs(m *ModelInferResponse) ([]oip.NamedTensor, error) {
	return decode("output", m.GetOutputs(), m.GetRawOutputContents())
}

// Wanted returns the names of the outputs that a request asks for; none: all.
func Wanted(m *ModelInferRequest) []string {
	names := make([]string, 0, len(m.GetOutputs()))
	for _, o := range m.GetOutputs() {
		names = append(names, o.GetName())
	}
	return names
}

// IsRaw reports whether a request has its values in raw contents.
func IsRaw(m *ModelInferRequest) bool { return len(m.GetRawInputContents()) > 0 }

func decode[T described](kind string, tensors []T, raw [][]byte) ([]oip.NamedTensor, error) {
	if len(raw) > 0 && len(raw) != len(tensors) {
		return nil, fmt.Errorf("the message has %d %ss, but %d raw contents; it needs one for each or none", len(tensors), kind, len(raw))
	}
	out := make([]oip.NamedTensor, len(tensors))
	for i, t := range tensors {
		out[i].Name = t.GetName()
		var err error
		switch {
		case out[i].Name == "":
			return nil, fmt.Errorf("%s number %d: the name is missing", kind, i+1)
		case len(raw) == 0:
			out[i].Tensor, err = decodeContents(t)
		case t.GetContents() != nil:
			err = fmt.Errorf("has contents and raw contents; it must have one of them")
		default:
			out[i].Tensor, err = oip.DecodeBinary(t.GetDatatype(), t.GetShape(), raw[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, out[i].Name, err)
		}
	}
	return out, nil
}

func decodeContents(m described) (oip.Tensor, error) {
	t := oip.Tensor{Datatype: m.GetDatatype(), Shape: m.GetShape()}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	c := m.GetContents()
	var err error
	switch t.Datatype {
	case oip.Bool:
		t.Data = list(c.GetBoolContents())
	case oip.Uint8:
		t.Data, err = narrow[uint8](c.GetUintContents(), 0, math.MaxUint8)
	case oip.Uint16:
		t.Data, err = narrow[uint16](c.GetUintContents(), 0, math.MaxUint16)
	case oip.Uint32:
		t.Data = list(c.GetUintContents())
	case oip.Uint64:
		t.Data = list(c.GetUint64Contents())
	case oip.Int8:
		t.Data, err = narrow[int8](c.GetIntContents(), math.MinInt8, math.MaxInt8)
	case oip.Int16:
		t.Data, err = narrow[int16](c.GetIntContents(), math.MinInt16, math.MaxInt16)
	case oip.Int32:
		t.Data = list(c.GetIntContents())
	case oip.Int64:
		t.Data = list(c.GetInt64Contents())
	case oip.FP16:
		err = fmt.Errorf("FP16 has no typed contents in the protocol; send raw contents")
	case oip.FP32:
		t.Data = list(c.GetFp32Contents())
	case oip.FP64:
		t.Data = list(c.GetFp64Contents())
	case oip.Bytes:
		data := make([]string, len(c.GetBytesContents()))
		for i, b := range c.GetBytesContents() {
			data[i] = string(b)
		}
		t.Data = data
	default:
		err = fmt.Errorf("datatype %q is not known to the protocol", t.Datatype)
	}
	if err != nil {
		return t, err
	}
	// Values in another list than the datatype's count as none.
	if size := oip.Size(t.Shape); t.Len() != size {
		return t, fmt.Errorf("%d values of %s, but shape %s has room for %d", t.Len(), t.Datatype, oip.ShapeText(t.Shape), size)
	}
	return t, nil
}

// list makes no values and no list the same, as the wire does.
func list[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}

// narrow casts values that the protocol sends in 32 bits to the 8 or 16 that
// the datatype has.
func narrow[To int8 | int16 | uint8 | uint16, From int32 | uint32](values []From, low, high int64) ([]To, error) {
	out := make([]To, len(values))
	for i, v := range values {
		if int64(v) < low || int64(v) > high {
			return nil, fmt.Errorf("value number %d: %d is outside %d to %d", i+1, v, low, high)
		}
		out[i] = To(v)
	}
	return out, nil
}
