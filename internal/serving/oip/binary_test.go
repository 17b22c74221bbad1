package oip

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// everyDatatype has one tensor of each, with the values at the ends of its
// range.
func everyDatatype() []NamedTensor {
	shape := []int64{2, 1}
	values := []any{
		[]bool{true, false}, []uint8{0, math.MaxUint8}, []uint16{1, math.MaxUint16}, []uint32{2, math.MaxUint32}, []uint64{3, math.MaxUint64},
		[]int8{math.MinInt8, math.MaxInt8}, []int16{math.MinInt16, math.MaxInt16}, []int32{math.MinInt32, math.MaxInt32}, []int64{math.MinInt64, math.MaxInt64},
		[]Half{0x0001, 0xfbff}, []float32{0.1, -math.MaxFloat32}, []float64{0.1, -math.SmallestNonzeroFloat64}, []string{"", "a\"ü\n"},
	}
	tensors := make([]NamedTensor, len(Datatypes))
	for i, datatype := range Datatypes {
		tensors[i] = NamedTensor{Name: "t-" + datatype, Tensor: Tensor{datatype, shape, values[i]}}
	}
	return tensors
}

func decodeAll(t *testing.T, raw []RawTensor) []NamedTensor {
	t.Helper()
	out := make([]NamedTensor, len(raw))
	for i, r := range raw {
		tensor, err := r.Decode()
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		out[i] = NamedTensor{Name: r.Name, Tensor: tensor}
	}
	return out
}

func TestEveryDatatypeSurvivesBothForms(t *testing.T) {
	want := everyDatatype()
	text, err := AppendRequest(nil, "r1", want)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%s: %v", text, err)
	}
	request, err := ScanRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := decodeAll(t, request.Inputs); !reflect.DeepEqual(got, want) {
		t.Errorf("JSON request: got %v, want %v", got, want)
	}
	for mask := range 3 { // no output, every second one, every one in binary
		outputs := everyDatatype()
		for i := range outputs {
			outputs[i].Binary = mask > 0 && i%(3-mask) == 0
		}
		body, jsonLength, err := AppendResponse([]byte("before"), Response{Model: "m", Outputs: outputs})
		if err != nil {
			t.Fatal(err)
		}
		header := ""
		if mask > 0 {
			header = strconv.Itoa(jsonLength)
		}
		response, err := ScanBinaryResponse(body[len("before"):], header)
		if err != nil {
			t.Fatal(err)
		}
		if got := decodeAll(t, response.Outputs); !reflect.DeepEqual(got, want) {
			t.Errorf("response %d: got %v, want %v", mask, got, want)
		}
	}
}

func TestBinaryKeepsWhatJSONCannotHold(t *testing.T) {
	for _, test := range []struct {
		data Tensor
		flat string
	}{
		{Tensor{FP32, []int64{2}, []float32{float32(math.Inf(1)), 2}}, "[null,2]"},
		{Tensor{FP16, []int64{2}, []Half{0x7c00, 0x3c00}}, "[null,1]"},
		{Tensor{Bytes, []int64{2}, []string{"\xff\x00", "a"}}, `["\ufffd\u0000","a"]`},
	} {
		if _, _, err := AppendResponse(nil, Response{Outputs: []NamedTensor{{Name: "p", Tensor: test.data}}}); err == nil {
			t.Errorf("%v was written as JSON", test.data)
		}
		body, jsonLength, err := AppendResponse(nil, Response{Outputs: []NamedTensor{{Name: "p", Tensor: test.data, Binary: true}}})
		if err != nil {
			t.Fatal(err)
		}
		response, err := ScanBinaryResponse(body, strconv.Itoa(jsonLength))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := response.Outputs[0].Decode(); err != nil || !reflect.DeepEqual(got, test.data) {
			t.Errorf("got %v, %v, want %v", got, err, test.data)
		}
		if flat, err := response.Outputs[0].AppendFlat(nil); err != nil || string(flat) != test.flat {
			t.Errorf("flat %s, %v, want %s", flat, err, test.flat)
		}
	}
}

func TestScanBinaryRequest(t *testing.T) {
	text := `{"id":null,"parameters":{"binary_data_output":true},"inputs":[
	  {"name":"a","datatype":"INT16","shape":[2],"parameters":{"binary_data_size":4}},
	  {"name":"b","datatype":"FP32","shape":[1],"data":[1.5],"parameters":null},
	  {"name":"c","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}},
	  {"name":"d","datatype":"INT8","shape":[0],"parameters":{"binary_data_size":0}}],
	  "outputs":[{"name":"p"},{"name":"q","parameters":{"binary_data":false,"other":[1]}}]}`
	body := text + "\x01\x00\xff\xff" + "\x01\x00\x00\x00x"
	request, err := ScanBinaryRequest([]byte(body), strconv.Itoa(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := []NamedTensor{
		{Name: "a", Tensor: Tensor{Int16, []int64{2}, []int16{1, -1}}},
		{Name: "b", Tensor: Tensor{FP32, []int64{1}, []float32{1.5}}},
		{Name: "c", Tensor: Tensor{Bytes, []int64{1}, []string{"x"}}},
		{Name: "d", Tensor: Tensor{Int8, []int64{0}, []int8{}}},
	}
	if got := decodeAll(t, request.Inputs); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if request.ID != "" || !request.WantsBinary("p") || request.WantsBinary("q") || !request.WantsBinary("all others") {
		t.Errorf("request %+v", request)
	}
	flat, err := AppendTensors(nil, request.Inputs)
	if want := `{"a":[1,-1],"b":[1.5],"c":["x"],"d":[]}`; err != nil || string(flat) != want {
		t.Errorf("flat %s, %v, want %s", flat, err, want)
	}
}

func TestBinaryRequestErrors(t *testing.T) {
	one := func(rest string) string {
		return `{"inputs":[{"name":"x","datatype":"INT32","shape":[1],` + rest + `}]}`
	}
	size4 := one(`"parameters":{"binary_data_size":4}`)
	for _, test := range []struct{ text, data, header, want string }{
		{size4, "1234", "", "invalid JSON"},
		{size4, "", "", `input "x": binary_data_size is 4, but 0 bytes are left`},
		{size4, "12345", strconv.Itoa(len(size4)), "1 bytes are left after"},
		{size4, "123", strconv.Itoa(len(size4)), "but 3 bytes are left"},
		{size4, "1234", "999", `"999" is not the length`},
		{size4, "1234", "-1", `"-1" is not the length`},
		{size4, "1234", "x", `"x" is not the length`},
		{one(`"parameters":{"binary_data_size":-4}`), "", "", "-4 is not a number of bytes"},
		{one(`"parameters":{"binary_data_size":4},"data":[1]`), "", "", "must have one of them"},
		{one(`"parameters":{"shared_memory_region":"r"}`), "", "", `input "x": shared memory is not supported`},
		{one(`"parameters":7`), "", "", `expected '{'`},
	} {
		_, err := ScanBinaryRequest([]byte(test.text+test.data), test.header)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %q: error %v, want %q", test.text, test.header, err, test.want)
		}
	}
	for _, raw := range []string{"12", "12345"} {
		if _, err := DecodeBinary(Int32, []int64{1}, []byte(raw)); err == nil || !strings.Contains(err.Error(), "bytes of data, but shape [1] of INT32 takes 4") {
			t.Errorf("%q: error %v", raw, err)
		}
	}
}

func TestHalf(t *testing.T) {
	for _, test := range []struct {
		float float64
		bits  Half
	}{
		{0, 0}, {math.Copysign(0, -1), 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00},
		{0x1p-24, 1}, {0x1p-25, 0}, {0x1.8p-25, 1}, {0x1p-14, 0x0400}, {1023 * 0x1p-24, 0x03ff}, {1.0 / 3, 0x3555},
		{1 + 0x1p-11, 0x3c00}, {1 + 0x3p-11, 0x3c02}, {2047.5 / 2048, 0x3c00}, {math.Inf(-1), 0xfc00},
	} {
		if got := HalfOf(test.float); got != test.bits {
			t.Errorf("HalfOf(%v) = %#04x, want %#04x", test.float, uint16(got), uint16(test.bits))
		}
	}
	for h := range 1 << 16 {
		f := Half(h).Float32()
		back := HalfOf(float64(f))
		if isNaN := f != f; isNaN && back&0x7c00 != 0x7c00 || !isNaN && back != Half(h) {
			t.Fatalf("%#04x is %v, which is %#04x", h, f, uint16(back))
		}
	}
}
