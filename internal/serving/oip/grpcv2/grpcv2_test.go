package grpcv2

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// everyDatatype has one tensor of each, with the values at the ends of its
// range.
func everyDatatype() []oip.NamedTensor {
	shape := []int64{2, 1}
	var tensors []oip.NamedTensor
	for datatype, data := range map[string]any{
		oip.Bool: []bool{true, false}, oip.Bytes: []string{"", "a\x00ü\xff"},
		oip.Uint8: []uint8{0, math.MaxUint8}, oip.Uint16: []uint16{1, math.MaxUint16},
		oip.Uint32: []uint32{2, math.MaxUint32}, oip.Uint64: []uint64{3, math.MaxUint64},
		oip.Int8: []int8{math.MinInt8, math.MaxInt8}, oip.Int16: []int16{math.MinInt16, math.MaxInt16},
		oip.Int32: []int32{math.MinInt32, math.MaxInt32}, oip.Int64: []int64{math.MinInt64, math.MaxInt64},
		oip.FP32: []float32{0.1, float32(math.Inf(-1))}, oip.FP64: []float64{0.1, -math.MaxFloat64},
	} {
		tensors = append(tensors, oip.NamedTensor{Name: "t-" + datatype, Tensor: oip.Tensor{Datatype: datatype, Shape: shape, Data: data}})
	}
	return tensors
}

// overTheWire is what the other side reads.
func overTheWire[M proto.Message](t *testing.T, sent, received M) M {
	t.Helper()
	wire, err := proto.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(wire, received); err != nil {
		t.Fatal(err)
	}
	return received
}

func TestRoundTrip(t *testing.T) {
	half := oip.NamedTensor{Name: "half", Tensor: oip.Tensor{Datatype: oip.FP16, Shape: []int64{2}, Data: []oip.Half{0x3c00, 0xfbff}}}
	for _, test := range []struct {
		tensors []oip.NamedTensor
		raw     bool // asked for
		isRaw   bool // given
	}{
		{everyDatatype(), false, false},
		{everyDatatype(), true, true},
		{append(everyDatatype(), half), false, true},
		{[]oip.NamedTensor{{Name: "none", Tensor: oip.Tensor{Datatype: oip.FP32, Shape: []int64{0, 3}, Data: []float32{}}}}, false, false},
	} {
		request, err := NewRequest("m", "3", "r1", test.tensors, []string{"p"}, test.raw)
		if err != nil {
			t.Fatal(err)
		}
		request = overTheWire(t, request, &ModelInferRequest{})
		if request.ModelName != "m" || request.ModelVersion != "3" || request.Id != "r1" || !reflect.DeepEqual(Wanted(request), []string{"p"}) {
			t.Errorf("request %v", request)
		}
		if IsRaw(request) != test.isRaw {
			t.Errorf("raw %v, want %v", IsRaw(request), test.isRaw)
		}
		inputs, err := Inputs(request)
		if err != nil || !reflect.DeepEqual(inputs, test.tensors) {
			t.Errorf("inputs %v, %v, want %v", inputs, err, test.tensors)
		}
		response, err := NewResponse(oip.Response{Model: "m", Version: "3", ID: "r1", Outputs: test.tensors}, test.raw)
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := Outputs(overTheWire(t, response, &ModelInferResponse{}))
		if err != nil || !reflect.DeepEqual(outputs, test.tensors) {
			t.Errorf("outputs %v, %v, want %v", outputs, err, test.tensors)
		}
	}
}

func TestErrorsNameTheTensor(t *testing.T) {
	input := func(datatype string, contents *InferTensorContents, shape ...int64) *ModelInferRequest {
		return &ModelInferRequest{Inputs: []*ModelInferRequest_InferInputTensor{{Name: "x", Datatype: datatype, Shape: shape, Contents: contents}}}
	}
	raw := func(m *ModelInferRequest, raw ...[]byte) *ModelInferRequest {
		m.RawInputContents = raw
		return m
	}
	ints := &InferTensorContents{IntContents: []int32{200}}
	for _, test := range []struct {
		message *ModelInferRequest
		want    string
	}{
		{input(oip.Int8, ints, 1), `input "x": value number 1: 200 is outside -128 to 127`},
		{input(oip.Int64, ints, 1), `input "x": 0 values of INT64, but shape [1] has room for 1`},
		{input(oip.Int32, ints, 2), `1 values of INT32, but shape [2] has room for 2`},
		{input(oip.Int32, ints, -1), `has room for -1`},
		{input(oip.FP16, ints, 1), "FP16 has no typed contents"},
		{input("FP8", ints, 1), `datatype "FP8"`},
		{&ModelInferRequest{Inputs: []*ModelInferRequest_InferInputTensor{{}}}, "input number 1: the name is missing"},
		{raw(input(oip.Int32, nil, 1), []byte{1, 2, 3}), "3 bytes of data, but shape [1] of INT32 takes 4"},
		{raw(input(oip.Int32, ints, 1), []byte{1, 2, 3, 4}), "has contents and raw contents"},
		{raw(input(oip.Int32, nil, 1), nil, nil), "1 inputs, but 2 raw contents"},
		{raw(input(oip.Bytes, nil, 2), []byte{1, 0, 0, 0, 'a', 9, 0, 0, 0, 'b'}), "value number 2: its length is 9, but 1 bytes are left"},
		{raw(input(oip.Bytes, nil, 1), []byte{0, 0, 0, 0, 7}), "1 bytes are left after 1 values"},
		{raw(input(oip.Bytes, nil, 1<<30), []byte{0, 0, 0, 0}), "can't hold 1073741824 elements"},
		{raw(input(oip.FP64, nil, 1<<40, 1<<40), []byte{}), "does not fit the data"},
	} {
		_, err := Inputs(test.message)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}
