//go:build cgo

package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/mainspring-ml/mainspring/models"
)

// Runtime is the opened ONNX Runtime. The library keeps its state in the
// process, so there is at most one at a time.
type Runtime struct {
	threads int
	device  Device
}

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
	// What fails is returned as an error as well; on standard error it would be
	// one line per bad request.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return nil, noRuntime(fmt.Sprintf("%s can't be loaded", config.Library), err)
	}
	return &Runtime{threads: config.Threads, device: config.Device}, nil
}

// Close unloads the library. Every model must be closed before.
func (r *Runtime) Close() error { return ort.DestroyEnvironment() }

// Model is a loaded model version, safe for concurrent use.
type Model struct {
	Inputs, Outputs []models.ModelPort
	// Provider is ONNX Runtime's name for what predicts, and Note says why it is
	// not the accelerator that is leased; it is empty when there is nothing to
	// say.
	Provider, Note string

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
	options, chosen, err := r.sessionOptions()
	if rich := (*models.Error)(nil); errors.As(err, &rich) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("prepare ONNX Runtime session: %w", err)
	}
	defer func() { _ = options.Destroy() }() // only frees memory
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, options)
	if err != nil {
		return nil, rejected(path, "ONNX Runtime can't load the model", "", err)
	}
	model := &Model{Provider: chosen.provider, Note: chosen.note}
	if model.Inputs, err = describePorts(path, "input", inputs); err != nil {
		return nil, err
	}
	if model.Outputs, err = describePorts(path, "output", outputs); err != nil {
		return nil, err
	}
	if err := checkHalves(path, model.Outputs); err != nil {
		return nil, err
	}
	model.session, err = ort.NewDynamicAdvancedSession(path, portNames(model.Inputs), portNames(model.Outputs), options)
	if err != nil {
		return nil, rejected(path, "ONNX Runtime can't load the model", "", err)
	}
	return model, nil
}

func (r *Runtime) sessionOptions() (*ort.SessionOptions, choice, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, choice{}, err
	}
	err = errors.Join(
		options.SetIntraOpNumThreads(r.threads),
		options.SetInterOpNumThreads(1),
		options.SetExecutionMode(ort.ExecutionModeSequential),
		// Idle threads that spin would take the core from concurrent requests.
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, choice{}, errors.Join(err, options.Destroy())
	}
	chosen, err := chooseProvider(r.device, environment, func(provider string) error { return useProvider(options, provider) })
	if err != nil {
		_ = options.Destroy() // only frees memory
		return nil, choice{}, err
	}
	return options, chosen, nil
}

// useProvider puts an accelerator's provider before the CPU's. The first of the
// visible devices is taken; a lease shows the process its own ones only.
func useProvider(options *ort.SessionOptions, provider string) error {
	switch provider {
	case ProviderCUDA:
		cuda, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		defer func() { _ = cuda.Destroy() }() // only frees memory
		return options.AppendExecutionProviderCUDA(cuda)
	case ProviderROCm:
		return options.AppendExecutionProvider("MIGraphX", map[string]string{"device_id": "0"})
	default:
		return fmt.Errorf("no provider %q", provider)
	}
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
				"cast it to a type of the protocol in the graph", nil)
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
	if err := m.prepareHalves(out, inputs); err != nil {
		return nil, err
	}
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
