package serving

import (
	"errors"
	"os"

	"github.com/mainspring-ml/mainspring/models"
)

// LibraryVariable names the environment variable with the path of ONNX
// Runtime's shared library.
const LibraryVariable = "MAINSPRING_ONNXRUNTIME"

// ErrRuntimeOpen says that the process has the runtime open already.
var ErrRuntimeOpen = errors.New("ONNX Runtime is already open in this process")

// RuntimeConfig says which library to load and what it may use.
type RuntimeConfig struct {
	// Library is the path of libonnxruntime. Empty: LibraryVariable's value.
	Library string
	// Threads is the number of threads one prediction may use. 0: 1, which
	// leaves the cores to concurrent predictions.
	Threads int
	// Device is where predictions are made. Empty: the CPU.
	Device Device
}

func (c RuntimeConfig) withDefaults() (RuntimeConfig, error) {
	if c.Library == "" {
		c.Library = os.Getenv(LibraryVariable)
	}
	if c.Library == "" {
		return c, noRuntime("the variable is not set, so ONNX Runtime can't be found", nil)
	}
	if _, err := os.Stat(c.Library); err != nil {
		return c, noRuntime("ONNX Runtime's library can't be read", err)
	}
	if c.Device == "" {
		c.Device = DeviceCPU
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	return c, nil
}

func noRuntime(message string, cause error) error {
	return &models.Error{
		Kind: models.KindEnvironmentFailed, Subject: LibraryVariable, Message: message,
		Hint:  "set " + LibraryVariable + " to the path of libonnxruntime.so; `mainspring doctor` shows what was found",
		Cause: cause,
	}
}
