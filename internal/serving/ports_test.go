package serving

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func port(name, datatype string, shape ...int64) models.ModelPort {
	return models.ModelPort{Name: name, Datatype: datatype, Shape: shape}
}

func flightPorts() []models.ModelPort {
	return []models.ModelPort{port("carrier", "BYTES", -1, 1), port("distance", "INT64", -1, 1)}
}

func TestCheckInputsNamesTheInput(t *testing.T) {
	strings1 := Tensor{Datatype: "BYTES", Shape: []int64{2, 1}, Data: []string{"UA", "AA"}}
	ints := func(shape ...int64) Tensor { return Tensor{Datatype: "INT64", Shape: shape, Data: []int64{1, 2}} }
	for _, test := range []struct {
		inputs map[string]Tensor
		want   string // empty: fine
	}{
		{map[string]Tensor{"carrier": strings1, "distance": ints(2, 1)}, ""},
		{map[string]Tensor{"carrier": strings1}, `input "distance": is missing; the model needs INT64 [-1,1]`},
		{map[string]Tensor{"carrier": ints(2, 1), "distance": ints(2, 1)}, `input "carrier": has datatype INT64, but the model needs BYTES`},
		{map[string]Tensor{"carrier": strings1, "distance": ints(2)}, `input "distance": has shape [2], but the model needs [-1,1]`},
		{map[string]Tensor{"carrier": strings1, "distance": ints(1, 2)}, `input "distance": has shape [1,2], but the model needs [-1,1]`},
		{map[string]Tensor{"carrier": strings1, "distance": ints(0, 1)}, `input "distance": has shape [0,1]`},
		{map[string]Tensor{"carrier": strings1, "distance": ints(3, 1)}, `input "distance": has 2 values, but its shape [3,1] has room for 3`},
		{map[string]Tensor{"carrier": strings1, "distance": {Datatype: "INT64", Shape: []int64{1, 1}, Data: []int64{1}}}, `input "distance": has a batch of 1, but input "carrier" has 2`},
		{map[string]Tensor{"carrier": strings1, "distance": ints(2, 1), "b": ints(2), "a": ints(2)}, `input "a": is not an input of the model, which has [carrier distance]`},
	} {
		err := checkInputs(flightPorts(), test.inputs)
		if test.want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

func TestFeedCastsWithoutLoss(t *testing.T) {
	for _, test := range []struct {
		datatype string
		column   any
		want     any    // nil: an error
		problem  string // of the error
	}{
		{"BYTES", []string{"a"}, []string{"a"}, ""},
		{"INT64", []int32{7}, []int64{7}, ""},
		{"INT32", []int64{math.MaxInt32}, []int32{math.MaxInt32}, ""},
		{"INT32", []int64{math.MaxInt32 + 1}, nil, "row 0, which INT32 can't hold"},
		{"FP32", []int64{1 << 24}, []float32{1 << 24}, ""},
		{"FP32", []int64{0, 1<<24 + 1}, nil, "row 1, which FP32 can't hold"},
		{"FP64", []int64{1 << 53}, []float64{1 << 53}, ""},
		{"FP64", []int64{1<<53 + 1}, nil, "which FP64 can't hold"},
		{"INT64", []float64{-3}, []int64{-3}, ""},
		{"INT64", []float64{3.5}, nil, "3.5 in row 0, which INT64 can't hold"},
		{"INT64", []float64{1 << 63}, nil, "which INT64 can't hold"},
		{"INT64", []float64{math.NaN()}, nil, "NaN in row 0"},
		{"INT64", []int64{math.MaxInt64}, []int64{math.MaxInt64}, ""},
		{"FP32", []float64{0.1}, []float32{0.1}, ""},
		{"FP32", []float64{1e300}, nil, "which FP32 can't hold"},
		{"FP64", []float32{0.5}, []float64{0.5}, ""},
		{"BOOL", []bool{true}, []bool{true}, ""},
		{"FP32", []bool{true}, []float32{1}, ""},
		{"BYTES", []int64{1}, nil, "is a number column, but the model needs BYTES"},
		{"INT64", []string{"1"}, nil, "is a string column, but the model needs INT64"},
		{"INT64", []uint8{1}, nil, "type []uint8"},
	} {
		inputs, err := Feed([]models.ModelPort{port("x", test.datatype, -1, 1)}, Columns{"x": test.column, "other": []string{}})
		if test.want == nil {
			if err == nil || !strings.Contains(err.Error(), test.problem) || !strings.HasPrefix(err.Error(), `input "x"`) {
				t.Errorf("%s from %v: error %v, want %q", test.datatype, test.column, err, test.problem)
			}
			continue
		}
		rows := int64(reflect.ValueOf(test.want).Len())
		want := map[string]Tensor{"x": {Datatype: test.datatype, Shape: []int64{rows, 1}, Data: test.want}}
		if err != nil || !reflect.DeepEqual(inputs, want) {
			t.Errorf("%s from %v: got %v, %v", test.datatype, test.column, inputs, err)
		}
	}
}

func TestFeedRefusesWhatRowsCannotFill(t *testing.T) {
	columns := Columns{"x": []int64{1, 2}, "y": []int64{1}}
	for _, test := range []struct {
		ports []models.ModelPort
		want  string
	}{
		{[]models.ModelPort{port("z", "INT64", -1)}, `input "z": is not a column`},
		{[]models.ModelPort{port("x", "INT64", -1), port("y", "INT64", -1)}, `input "y": has 1 rows, but column "x" has 2`},
		{[]models.ModelPort{port("x", "INT64", -1, 3)}, "can feed [-1] or [-1,1] only"},
		{[]models.ModelPort{port("x", "INT64", 1)}, "can feed [-1] or [-1,1] only"},
	} {
		_, err := Feed(test.ports, columns)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.ports, err, test.want)
		}
	}
}
