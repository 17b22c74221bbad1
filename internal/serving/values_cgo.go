//go:build cgo

package serving

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

func datatypeOf(t ort.TensorElementDataType) (string, bool) {
	switch t {
	case ort.TensorElementDataTypeString:
		return oip.Bytes, true
	case ort.TensorElementDataTypeBool:
		return oip.Bool, true
	case ort.TensorElementDataTypeUint8:
		return oip.Uint8, true
	case ort.TensorElementDataTypeUint16:
		return oip.Uint16, true
	case ort.TensorElementDataTypeUint32:
		return oip.Uint32, true
	case ort.TensorElementDataTypeUint64:
		return oip.Uint64, true
	case ort.TensorElementDataTypeInt8:
		return oip.Int8, true
	case ort.TensorElementDataTypeInt16:
		return oip.Int16, true
	case ort.TensorElementDataTypeInt32:
		return oip.Int32, true
	case ort.TensorElementDataTypeInt64:
		return oip.Int64, true
	case ort.TensorElementDataTypeFloat16:
		return oip.FP16, true
	case ort.TensorElementDataTypeFloat:
		return oip.FP32, true
	case ort.TensorElementDataTypeDouble:
		return oip.FP64, true
	default:
		return "", false
	}
}

// toValue gives the runtime a tensor; the value uses the tensor's memory.
func toValue(t Tensor) (ort.Value, error) {
	switch data := t.Data.(type) {
	case []string:
		return toStrings(t.Shape, data)
	case []bool:
		return ort.NewTensor(t.Shape, data)
	case []uint8:
		return ort.NewTensor(t.Shape, data)
	case []uint16:
		return ort.NewTensor(t.Shape, data)
	case []uint32:
		return ort.NewTensor(t.Shape, data)
	case []uint64:
		return ort.NewTensor(t.Shape, data)
	case []int8:
		return ort.NewTensor(t.Shape, data)
	case []int16:
		return ort.NewTensor(t.Shape, data)
	case []int32:
		return ort.NewTensor(t.Shape, data)
	case []int64:
		return ort.NewTensor(t.Shape, data)
	case []oip.Half:
		return halvesValue(t.Shape, data)
	case []float32:
		return ort.NewTensor(t.Shape, data)
	case []float64:
		return ort.NewTensor(t.Shape, data)
	default:
		return nil, fmt.Errorf("has data of type %T", t.Data)
	}
}

func toStrings(shape []int64, data []string) (ort.Value, error) {
	for i, s := range data {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, fmt.Errorf("value number %d holds a NUL byte, at which the runtime would cut it off", i+1)
		}
	}
	value, err := ort.NewStringTensor(shape)
	if err != nil {
		return nil, err
	}
	if err := value.SetContents(data); err != nil {
		return nil, errors.Join(err, value.Destroy())
	}
	return value, nil
}

// fromValue takes over the value's numbers: the library has copied them into
// Go memory already.
func fromValue(datatype string, value ort.Value) (Tensor, error) {
	t := Tensor{Datatype: datatype, Shape: value.GetShape()}
	var err error
	switch v := value.(type) {
	case *ort.StringTensor:
		t.Data, err = v.GetContents()
	case *ort.Tensor[bool]:
		t.Data = v.GetData()
	case *ort.Tensor[uint8]:
		t.Data = v.GetData()
	case *ort.Tensor[uint16]:
		t.Data = v.GetData()
	case *ort.Tensor[uint32]:
		t.Data = v.GetData()
	case *ort.Tensor[uint64]:
		t.Data = v.GetData()
	case *ort.Tensor[int8]:
		t.Data = v.GetData()
	case *ort.Tensor[int16]:
		t.Data = v.GetData()
	case *ort.Tensor[int32]:
		t.Data = v.GetData()
	case *ort.Tensor[int64]:
		t.Data = v.GetData()
	case *ort.CustomDataTensor:
		t.Data = halvesOf(v.GetData())
	case *ort.Tensor[float32]:
		t.Data = v.GetData()
	case *ort.Tensor[float64]:
		t.Data = v.GetData()
	default:
		err = fmt.Errorf("unexpected value of type %T", value)
	}
	return t, err
}

// The library has FP16 as bytes only, and copies half of those that the runtime
// allocates itself. So outputs of FP16 are allocated before the prediction,
// which takes a shape that is known but for the batch.

func halvesValue(shape []int64, data []oip.Half) (ort.Value, error) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
	return ort.NewCustomDataTensor(shape, bytes, ort.TensorElementDataTypeFloat16)
}

func halvesOf(bytes []byte) []oip.Half {
	return unsafe.Slice((*oip.Half)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes)/2)
}

// checkHalves refuses outputs of FP16 whose shape can't be foreseen.
func checkHalves(path string, outputs []models.ModelPort) error {
	for _, port := range outputs {
		if port.Datatype != oip.FP16 {
			continue
		}
		for _, n := range port.Shape[1:] {
			if n < 0 {
				return rejected(path, fmt.Sprintf("output %q is FP16 with the shape %s, of which only the first dimension may vary", port.Name, oip.ShapeText(port.Shape)),
					"fix the other dimensions, or cast the output to float in the graph", nil)
			}
		}
	}
	return nil
}

// prepareHalves allocates the outputs of FP16 for the batch that the inputs
// have.
func (m *Model) prepareHalves(out []ort.Value, inputs map[string]Tensor) error {
	for i, port := range m.Outputs {
		if port.Datatype != oip.FP16 {
			continue
		}
		shape := append([]int64(nil), port.Shape...)
		if shape[0] < 0 {
			shape[0] = batchOf(m.Inputs, inputs)
		}
		value, err := halvesValue(shape, make([]oip.Half, oip.Size(shape)))
		if err != nil {
			return fmt.Errorf("output %q: %w", port.Name, err)
		}
		out[i] = value
	}
	return nil
}
