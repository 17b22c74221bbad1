//go:build cgo

package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// Runtime is the opened ONNX Runtime. The library keeps its state in the
// process, so there is at most one at a time.
type Runtime struct{ threads int }

// OpenRuntime loads the library. It fails with KindEnvironmentFailed when the
// library is missing or too old, and with ErrRuntimeOpen when it is open.
func OpenRuntime(config RuntimeConfig) (*Runtime, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if ort.IsInitialized() {
		return nil, ErrRuntimeOpen
	}
	ort.SetSharedLibraryPath(config.Library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return nil, noRuntime(fmt.Sprintf("%s can't be loaded", config.Library), err)
	}
	return &Runtime{threads: config.Threads}, nil
}

// Close unloads the library. Every model must be closed before.
func (r *Runtime) Close() error { return ort.DestroyEnvironment() }

// Model is a loaded model version, safe for concurrent use.
type Model struct {
	Inputs, Outputs []models.ModelPort

	// closing keeps a running prediction from losing its session.
	closing sync.RWMutex
	session *ort.DynamicAdvancedSession
}

// Load loads the model of a model directory. It fails with KindModelRejected
// when the directory or the model can't be served.
func (r *Runtime) Load(modelDir string) (*Model, error) {
	path, err := findONNX(modelDir)
	if err != nil {
		return nil, err
	}
	options, err := r.sessionOptions()
	if err != nil {
		return nil, fmt.Errorf("prepare ONNX Runtime session: %w", err)
	}
	defer func() { _ = options.Destroy() }() // only frees memory
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, options)
	if err != nil {
		return nil, rejected(path, "ONNX Runtime can't load the model", "", err)
	}
	model := &Model{}
	if model.Inputs, err = describePorts(path, "input", inputs); err != nil {
		return nil, err
	}
	if model.Outputs, err = describePorts(path, "output", outputs); err != nil {
		return nil, err
	}
	model.session, err = ort.NewDynamicAdvancedSession(path, portNames(model.Inputs), portNames(model.Outputs), options)
	if err != nil {
		return nil, rejected(path, "ONNX Runtime can't load the model", "", err)
	}
	return model, nil
}

func (r *Runtime) sessionOptions() (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		options.SetIntraOpNumThreads(r.threads),
		options.SetInterOpNumThreads(1),
		options.SetExecutionMode(ort.ExecutionModeSequential),
		// Idle threads that spin would take the core from concurrent requests.
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, errors.Join(err, options.Destroy())
	}
	return options, nil
}

func describePorts(path, kind string, infos []ort.InputOutputInfo) ([]models.ModelPort, error) {
	if len(infos) == 0 {
		return nil, rejected(path, fmt.Sprintf("the model has no %s", kind), "", nil)
	}
	ports := make([]models.ModelPort, len(infos))
	for i, info := range infos {
		if info.OrtValueType != ort.ONNXTypeTensor {
			return nil, rejected(path, fmt.Sprintf("%s %q is no tensor (%v)", kind, info.Name, info.OrtValueType),
				"export the model with plain tensors; for scikit-learn converters switch ZipMap off", nil)
		}
		datatype, ok := datatypeOf(info.DataType)
		if !ok {
			return nil, rejected(path, fmt.Sprintf("%s %q has elements of type %v, which can't be served", kind, info.Name, info.DataType),
				"cast it to string, bool, int32, int64, float or double in the graph", nil)
		}
		if len(info.Dimensions) == 0 {
			return nil, rejected(path, fmt.Sprintf("%s %q is a scalar", kind, info.Name), "give it the shape [1]", nil)
		}
		shape := slices.Clone([]int64(info.Dimensions))
		for d := range shape {
			shape[d] = max(shape[d], -1)
		}
		ports[i] = models.ModelPort{Name: info.Name, Datatype: datatype, Shape: shape}
	}
	return ports, nil
}

func datatypeOf(t ort.TensorElementDataType) (string, bool) {
	switch t {
	case ort.TensorElementDataTypeString:
		return oip.Bytes, true
	case ort.TensorElementDataTypeBool:
		return oip.Bool, true
	case ort.TensorElementDataTypeInt32:
		return oip.Int32, true
	case ort.TensorElementDataTypeInt64:
		return oip.Int64, true
	case ort.TensorElementDataTypeFloat:
		return oip.FP32, true
	case ort.TensorElementDataTypeDouble:
		return oip.FP64, true
	default:
		return "", false
	}
}

// Predict runs the model once over a batch. A wrong input gives an
// *InputError. A prediction that has started is not interrupted by ctx.
func (m *Model) Predict(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	if err := checkInputs(m.Inputs, inputs); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.session == nil {
		return nil, errors.New("the model has been closed")
	}
	in := make([]ort.Value, 0, len(m.Inputs))
	defer func() { destroy(in) }()
	for _, port := range m.Inputs {
		value, err := toValue(inputs[port.Name])
		if err != nil {
			return nil, inputErrorf(port.Name, "%v", err)
		}
		in = append(in, value)
	}
	out := make([]ort.Value, len(m.Outputs))
	defer func() { destroy(out) }()
	if err := m.session.Run(in, out); err != nil {
		return nil, fmt.Errorf("run model: %w", err)
	}
	outputs := make(map[string]Tensor, len(out))
	for i, port := range m.Outputs {
		tensor, err := fromValue(port.Datatype, out[i])
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", port.Name, err)
		}
		outputs[port.Name] = tensor
	}
	return outputs, nil
}

// Close waits for running predictions and frees the model.
func (m *Model) Close() error {
	m.closing.Lock()
	defer m.closing.Unlock()
	if m.session == nil {
		return nil
	}
	err := m.session.Destroy()
	m.session = nil
	return err
}

func destroy(values []ort.Value) {
	for _, v := range values {
		if v != nil {
			_ = v.Destroy() // only frees memory; always succeeds for tensors
		}
	}
}

func toValue(t Tensor) (ort.Value, error) {
	switch data := t.Data.(type) {
	case []string:
		return toStrings(t.Shape, data)
	case []bool:
		return ort.NewTensor(t.Shape, data)
	case []int32:
		return ort.NewTensor(t.Shape, data)
	case []int64:
		return ort.NewTensor(t.Shape, data)
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
	case *ort.Tensor[int32]:
		t.Data = v.GetData()
	case *ort.Tensor[int64]:
		t.Data = v.GetData()
	case *ort.Tensor[float32]:
		t.Data = v.GetData()
	case *ort.Tensor[float64]:
		t.Data = v.GetData()
	default:
		err = fmt.Errorf("unexpected value of type %T", value)
	}
	return t, err
}
