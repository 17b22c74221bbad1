package serving

import (
	"fmt"
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Device is where a model's predictions are made.
type Device string

// The devices.
const (
	// DeviceAuto takes the leased accelerator when the library can use it, and
	// the CPU otherwise.
	DeviceAuto Device = "auto"
	DeviceCPU  Device = "cpu"
	DeviceCUDA Device = "cuda"
	DeviceROCm Device = "rocm"
)

// ParseDevice reads a device's name.
func ParseDevice(name string) (Device, error) {
	switch d := Device(name); d {
	case DeviceAuto, DeviceCPU, DeviceCUDA, DeviceROCm:
		return d, nil
	default:
		return "", fmt.Errorf("no device %q: use auto, cpu, cuda or rocm", name)
	}
}

// The names that ONNX Runtime gives its execution providers.
const (
	ProviderCPU  = "CPUExecutionProvider"
	ProviderCUDA = "CUDAExecutionProvider"
	ProviderROCm = "MIGraphXExecutionProvider"
)

// accelerators are tried in this order. A lease shows its devices in one of the
// variables; a process sees them as 0, 1, … whatever their UUIDs are.
var accelerators = []struct {
	device    Device
	provider  string
	variables []string
}{
	{DeviceCUDA, ProviderCUDA, []string{"CUDA_VISIBLE_DEVICES"}},
	{DeviceROCm, ProviderROCm, []string{"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}},
}

// choice is the outcome of looking for a provider.
type choice struct {
	provider string
	note     string // why not the accelerator that there is; empty: nothing to say
}

// chooseProvider decides what predicts. env reads the environment; use makes
// the library use a provider, or says why it can't. A device that is demanded
// must be there; auto falls back to the CPU and says so.
func chooseProvider(device Device, env func(string) string, use func(provider string) error) (choice, error) {
	for _, a := range accelerators {
		leased := false
		for _, variable := range a.variables {
			leased = leased || isLeased(env(variable))
		}
		demanded := device == a.device
		switch {
		case !demanded && (device != DeviceAuto || !leased):
			continue
		case !leased:
			return choice{}, noDevice(device, fmt.Sprintf("no device is leased: %s is empty", strings.Join(a.variables, " and ")), nil)
		}
		err := use(a.provider)
		switch {
		case err == nil:
			return choice{provider: a.provider}, nil
		case demanded:
			return choice{}, noDevice(device, "ONNX Runtime's library can't use the device", err)
		}
		return choice{ProviderCPU, fmt.Sprintf("a device is leased, but ONNX Runtime's library can't use it (%v); predicting on the CPU", err)}, nil
	}
	return choice{provider: ProviderCPU}, nil
}

// isLeased reads a variable of visible devices. Empty, -1 and none hide all.
func isLeased(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "", "-1", "none", "void", "nodevfiles":
		return false
	}
	return true
}

func noDevice(device Device, message string, cause error) error {
	return &models.Error{
		Kind: models.KindEnvironmentFailed, Subject: "--device " + string(device), Message: message, Cause: cause,
		Hint: "lease a device (deploy.resources), set " + LibraryVariable +
			" to a build of ONNX Runtime with the device's provider next to it, or use --device auto",
	}
}

// environment is the process's own.
func environment(name string) string { return os.Getenv(name) }
