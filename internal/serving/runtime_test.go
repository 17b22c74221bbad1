//go:build cgo

package serving

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// openRuntime opens the real library for one test.
func openRuntime(t testing.TB) *Runtime {
	t.Helper()
	if os.Getenv(LibraryVariable) == "" {
		t.Skipf("SKIPPED: %s is not set; `make test` sets it", LibraryVariable)
	}
	runtime, err := OpenRuntime(RuntimeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	return runtime
}

func load(t testing.TB, runtime *Runtime, name string) *Model {
	t.Helper()
	model, err := runtime.Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	})
	return model
}

func TestOpenRuntimeSaysWhatIsMissing(t *testing.T) {
	t.Setenv(LibraryVariable, "")
	for _, config := range []RuntimeConfig{{}, {Library: filepath.Join(t.TempDir(), "none.so")}, {Library: "testdata/build.py"}} {
		_, err := OpenRuntime(config)
		var rich *models.Error
		if !errors.As(err, &rich) || rich.Kind != models.KindEnvironmentFailed ||
			rich.Subject != LibraryVariable || !strings.Contains(rich.Hint, "mainspring doctor") {
			t.Errorf("%+v: error %v", config, err)
		}
	}
}

func TestPredictStringsAndNumbers(t *testing.T) {
	model := load(t, openRuntime(t), "flights")
	if want := flightPorts(); !reflect.DeepEqual(model.Inputs, want) {
		t.Errorf("inputs %v, want %v", model.Inputs, want)
	}
	if want := []models.ModelPort{port("label", "INT64", -1), port("probability", "FP32", -1, 1)}; !reflect.DeepEqual(model.Outputs, want) {
		t.Errorf("outputs %v, want %v", model.Outputs, want)
	}
	inputs, err := Feed(model.Inputs, Columns{"carrier": []string{"UA", "AA", "never seen", ""}, "distance": []int64{500, 500, 3000, 0}})
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := model.Predict(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Tensor{Datatype: "INT64", Shape: []int64{4}, Data: []int64{1, 0, 1, 0}}); !reflect.DeepEqual(outputs["label"], want) {
		t.Errorf("label %v, want %v", outputs["label"], want)
	}
	got := outputs["probability"]
	if want := []int64{4, 1}; !reflect.DeepEqual(got.Shape, want) || got.Datatype != "FP32" {
		t.Fatalf("probability %v, want shape %v", got, want)
	}
	for i, logit := range []float64{0.5, -0.5, 1, -2} {
		if want := 1 / (1 + math.Exp(-logit)); math.Abs(float64(got.Data.([]float32)[i])-want) > 1e-6 {
			t.Errorf("row %d: probability %v, want %v", i, got.Data.([]float32)[i], want)
		}
	}
}

func TestPredictKeepsEveryDatatype(t *testing.T) {
	model := load(t, openRuntime(t), "echo")
	shape := []int64{2, 2}
	inputs := map[string]Tensor{
		"in_bytes":  {Datatype: "BYTES", Shape: shape, Data: []string{"", "ü", "a b", "x"}},
		"in_bool":   {Datatype: "BOOL", Shape: shape, Data: []bool{true, false, false, true}},
		"in_uint8":  {Datatype: "UINT8", Shape: shape, Data: []uint8{1, 2, 0, math.MaxUint8}},
		"in_uint16": {Datatype: "UINT16", Shape: shape, Data: []uint16{1, 2, 0, math.MaxUint16}},
		"in_uint32": {Datatype: "UINT32", Shape: shape, Data: []uint32{1, 2, 0, math.MaxUint32}},
		"in_uint64": {Datatype: "UINT64", Shape: shape, Data: []uint64{1, 2, 0, math.MaxUint64}},
		"in_int8":   {Datatype: "INT8", Shape: shape, Data: []int8{1, -2, math.MaxInt8, math.MinInt8}},
		"in_int16":  {Datatype: "INT16", Shape: shape, Data: []int16{1, -2, math.MaxInt16, math.MinInt16}},
		"in_fp16":   {Datatype: "FP16", Shape: shape, Data: []oip.Half{0x3c00, 0xfbff, 1, 0}},
		"in_int32":  {Datatype: "INT32", Shape: shape, Data: []int32{1, -2, math.MaxInt32, math.MinInt32}},
		"in_int64":  {Datatype: "INT64", Shape: shape, Data: []int64{1, -2, math.MaxInt64, math.MinInt64}},
		"in_fp32":   {Datatype: "FP32", Shape: shape, Data: []float32{1.5, -2, 0, 3}},
		"in_fp64":   {Datatype: "FP64", Shape: shape, Data: []float64{1.5, -2, 0, 1e300}},
	}
	outputs, err := model.Predict(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range inputs {
		if got := outputs["out"+strings.TrimPrefix(name, "in")]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	inputs["in_bytes"] = Tensor{Datatype: "BYTES", Shape: shape, Data: []string{"", "a\x00b", "", ""}}
	if _, err := model.Predict(context.Background(), inputs); err == nil || !strings.Contains(err.Error(), `input "in_bytes": value number 2 holds a NUL byte`) {
		t.Errorf("NUL byte: error %v", err)
	}
}

func TestPredictConcurrently(t *testing.T) {
	model := load(t, openRuntime(t), "flights")
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 50 {
				batch := 1 + (worker+i)%7
				inputs, err := Feed(model.Inputs, Columns{"carrier": make([]string, batch), "distance": make([]int64, batch)})
				if err != nil {
					t.Error(err)
					return
				}
				outputs, err := model.Predict(context.Background(), inputs)
				if err != nil || outputs["label"].Len() != batch {
					t.Errorf("batch %d: %v, %v", batch, outputs, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPredictAfterCloseFails(t *testing.T) {
	model := load(t, openRuntime(t), "flights")
	if err := model.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Predict(context.Background(), blankInputs(model.Inputs, 1)); err == nil {
		t.Error("a closed model predicted")
	}
}

func TestOneRuntimePerProcess(t *testing.T) {
	openRuntime(t)
	if _, err := OpenRuntime(RuntimeConfig{}); !errors.Is(err, ErrRuntimeOpen) {
		t.Errorf("second runtime: error %v", err)
	}
}

func TestLoadRejectsWhatCannotBeServed(t *testing.T) {
	runtime := openRuntime(t)
	dir := func(mlmodel, onnx string) string {
		d := t.TempDir()
		if mlmodel != "" {
			write(t, filepath.Join(d, "MLmodel"), mlmodel)
		}
		write(t, filepath.Join(d, "m.onnx"), onnx)
		return d
	}
	for _, test := range []struct{ dir, want string }{
		{dir("", ""), "no MLmodel file"},
		{dir("flavors: [", ""), "not valid YAML"},
		{dir("flavors:\n  sklearn:\n    data: x\n", ""), "no onnx flavour"},
		{dir("flavors:\n  onnx:\n    data: ../m.onnx\n", ""), "outside the model directory"},
		{dir("flavors:\n  onnx:\n    data: other.onnx\n", ""), `"other.onnx", which can't be read`},
		{dir("flavors:\n  onnx:\n    data: m.onnx\n", "nonsense"), "can't load the model"},
		{filepath.Join("testdata", "sequence"), `output "list" is no tensor`},
	} {
		_, err := runtime.Load(test.dir)
		var rich *models.Error
		if !errors.As(err, &rich) || rich.Kind != models.KindModelRejected || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkPredict(b *testing.B) {
	model := load(b, openRuntime(b), "flights")
	inputs := blankInputs(model.Inputs, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := model.Predict(context.Background(), inputs); err != nil {
			b.Fatal(err)
		}
	}
}
