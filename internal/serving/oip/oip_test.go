package oip

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestScanAndDecodeRequest(t *testing.T) {
	body := `{"id":"r\u0031","parameters":{"a":[1,{"b":"}"}]},
	  "inputs":[
	    {"data":[["UA"],["A\"A"]],"name":"carrier","shape":[2,1],"datatype":"BYTES","parameters":{}},
	    {"name":"distance","datatype":"INT64","shape":[2],"data":[-7, 9223372036854775807]},
	    {"name":"gain","datatype":"FP32","shape":[1,2],"data":[[0.1,1e-7]]},
	    {"name":"on","datatype":"BOOL","shape":[2],"data":[true,false]},
	    {"name":"small","datatype":"INT32","shape":[1],"data":[-2147483648]},
	    {"name":"wide","datatype":"FP64","shape":[0],"data":[]}
	  ],
	  "outputs":[{"name":"p","parameters":{"binary_data":false}}]}`
	request, err := ScanRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if request.ID != "r1" || !reflect.DeepEqual(request.Outputs, []string{"p"}) {
		t.Errorf("id %q, outputs %v", request.ID, request.Outputs)
	}
	want := map[string]Tensor{
		"carrier":  {Bytes, []int64{2, 1}, []string{"UA", `A"A`}},
		"distance": {Int64, []int64{2}, []int64{-7, math.MaxInt64}},
		"gain":     {FP32, []int64{1, 2}, []float32{0.1, 1e-7}},
		"on":       {Bool, []int64{2}, []bool{true, false}},
		"small":    {Int32, []int64{1}, []int32{math.MinInt32}},
		"wide":     {FP64, []int64{0}, []float64{}},
	}
	for _, raw := range request.Inputs {
		got, err := raw.Decode()
		if err != nil {
			t.Errorf("%s: %v", raw.Name, err)
		}
		if !reflect.DeepEqual(got, want[raw.Name]) {
			t.Errorf("%s: got %#v, want %#v", raw.Name, got, want[raw.Name])
		}
	}
	if len(request.Inputs) != len(want) {
		t.Errorf("%d inputs, want %d", len(request.Inputs), len(want))
	}
	flat, err := AppendTensors(nil, request.Inputs[:3])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(flat), `{"carrier":["UA","A\"A"],"distance":[-7,9223372036854775807],"gain":[0.1,1e-7]}`; got != want {
		t.Errorf("flat: %s, want %s", got, want)
	}
}

func TestRequestErrorsNameTheInput(t *testing.T) {
	input := func(rest string) string { return `{"inputs":[{"name":"x",` + rest + `}]}` }
	for _, test := range []struct{ body, want string }{
		{``, "ends early"},
		{`{"inputs":[`, "ends early"},
		{`[]`, "expected '{'"},
		{`{"inputs":[]} x`, "after the end"},
		{`{"id":7,"inputs":[]}`, `"id" must be a string`},
		{`{"id":"a"}`, `no "inputs"`},
		{`{"inputs":[{"datatype":"INT64"}]}`, `input number 1: "name" is missing`},
		{input(`"shape":[1],"data":[1]`), `input "x": "datatype" is missing`},
		{input(`"datatype":"INT64","data":[1]`), `input "x": "shape" is missing`},
		{input(`"datatype":"INT64","shape":[1]`), `input "x": "data" is missing`},
		{input(`"datatype":"INT64","shape":[-1],"data":[1]`), `"-1" is not a size`},
		{`{"inputs":[{"name":"x","data":` + strings.Repeat("[", 90) + `1`, "levels"},
	} {
		_, err := ScanRequest([]byte(test.body))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.body, err, test.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, test := range []struct {
		datatype, data string
		shape          []int64
		want           string
	}{
		{Int64, `[1.0]`, []int64{1}, "value number 1: 1.0 is not an integer"},
		{Int64, `[1,null]`, []int64{2}, "value number 2: null is not an integer"},
		{Int64, `[01]`, []int64{1}, "01 is not an integer"},
		{Int64, `["1"]`, []int64{1}, `"1" is not an integer`},
		{Int32, `[2147483648]`, []int64{1}, "not an integer of 32 bits"},
		{FP32, `[1e39]`, []int64{1}, "not a number of 32 bits"},
		{FP64, `[Infinity]`, []int64{1}, "Infinity is not a number"},
		{FP64, `[0x10]`, []int64{1}, "0x10 is not a number"},
		{FP64, `[1.]`, []int64{1}, "1. is not a number"},
		{Bytes, `[7]`, []int64{1}, "7 is not a string"},
		{Bool, `[1]`, []int64{1}, "1 is not true or false"},
		{"FP8", `[1]`, []int64{1}, `datatype "FP8" is not supported`},
		{FP16, `[65520]`, []int64{1}, "65520 is not a number of 16 bits"},
		{Uint8, `[256]`, []int64{1}, "256 is not an unsigned integer of 8 bits"},
		{Uint64, `[-1]`, []int64{1}, "-1 is not an unsigned integer of 64 bits"},
		{Int8, `[-129]`, []int64{1}, "-129 is not an integer of 8 bits"},
		{Int64, `[1,2]`, []int64{3}, "2 values, but the shape has room for 3"},
		{Int64, `[1,2,3]`, []int64{2}, "more values than the shape has room for: 2"},
		{Int64, `[1]`, []int64{1 << 40, 1 << 40}, "does not fit"},
		{Int64, `7`, []int64{1}, "expected '['"},
	} {
		_, err := RawTensor{Name: "x", Datatype: test.datatype, Shape: test.shape, Data: []byte(test.data)}.Decode()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: error %v, want %q", test.datatype, test.data, err, test.want)
		}
	}
}

func TestResponseRoundTrip(t *testing.T) {
	want := Response{Model: "fl\"ights", Version: "3", ID: "ü\n", Outputs: []NamedTensor{
		{Name: "p", Tensor: Tensor{FP32, []int64{2, 1}, []float32{0.1, -1e-30}}},
		{Name: "q", Tensor: Tensor{FP64, []int64{1}, []float64{1e300}}},
		{Name: "s", Tensor: Tensor{Bytes, []int64{1}, []string{"a\\b"}}},
		{Name: "b", Tensor: Tensor{Bool, []int64{1}, []bool{true}}},
		{Name: "i", Tensor: Tensor{Int32, []int64{1}, []int32{-5}}},
		{Name: "l", Tensor: Tensor{Int64, []int64{1}, []int64{math.MinInt64}}},
	}}
	text, jsonLength, err := AppendResponse(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	if jsonLength != 0 || !json.Valid(text) {
		t.Fatalf("not JSON: %s", text)
	}
	raw, err := ScanResponse(text)
	if err != nil {
		t.Fatal(err)
	}
	got := Response{Model: want.Model, Version: want.Version, ID: raw.ID}
	for _, r := range raw.Outputs {
		tensor, err := r.Decode()
		if err != nil {
			t.Fatal(err)
		}
		got.Outputs = append(got.Outputs, NamedTensor{Name: r.Name, Tensor: tensor})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestResponseRefusesWhatJSONCannotHold(t *testing.T) {
	_, _, err := AppendResponse(nil, Response{Outputs: []NamedTensor{{Name: "p", Tensor: Tensor{FP32, []int64{2}, []float32{0, float32(math.NaN())}}}}})
	if err == nil || !strings.Contains(err.Error(), `output "p": value number 2 is NaN`) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkScanAndDecode(b *testing.B) {
	body := []byte(`{"id":"2013-01-01-UA-1545-EWR","inputs":[` +
		`{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["UA"]},{"name":"origin","datatype":"BYTES","shape":[1,1],"data":["EWR"]},` +
		`{"name":"dest","datatype":"BYTES","shape":[1,1],"data":["IAH"]},{"name":"distance","datatype":"INT64","shape":[1,1],"data":[1400]},` +
		`{"name":"dep_minute","datatype":"INT64","shape":[1,1],"data":[315]},{"name":"sched_minutes","datatype":"INT64","shape":[1,1],"data":[227]},` +
		`{"name":"hour_departures","datatype":"INT64","shape":[1,1],"data":[12]},{"name":"day_of_week","datatype":"INT64","shape":[1,1],"data":[1]}]}`)
	b.ReportAllocs()
	for b.Loop() {
		request, err := ScanRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		for _, raw := range request.Inputs {
			if _, err := raw.Decode(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
