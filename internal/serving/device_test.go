package serving

import (
	"errors"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestChooseProvider(t *testing.T) {
	broken := errors.New("built without CUDA")
	for _, test := range []struct {
		device Device
		env    map[string]string
		offers string // the provider that the library has
		want   choice
		err    string
	}{
		{DeviceAuto, nil, ProviderCUDA, choice{ProviderCPU, ""}, ""},
		{DeviceAuto, map[string]string{"CUDA_VISIBLE_DEVICES": "-1"}, ProviderCUDA, choice{ProviderCPU, ""}, ""},
		{DeviceAuto, map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-8a"}, ProviderCUDA, choice{ProviderCUDA, ""}, ""},
		{DeviceAuto, map[string]string{"ROCR_VISIBLE_DEVICES": "GPU-8a"}, ProviderROCm, choice{ProviderROCm, ""}, ""},
		{DeviceAuto, map[string]string{"CUDA_VISIBLE_DEVICES": "0"}, "", choice{ProviderCPU, "a device is leased, but ONNX Runtime's library can't use it (built without CUDA); predicting on the CPU"}, ""},
		{DeviceCPU, map[string]string{"CUDA_VISIBLE_DEVICES": "0"}, ProviderCUDA, choice{ProviderCPU, ""}, ""},
		{DeviceCUDA, map[string]string{"CUDA_VISIBLE_DEVICES": "0"}, ProviderCUDA, choice{ProviderCUDA, ""}, ""},
		{DeviceCUDA, nil, ProviderCUDA, choice{}, "no device is leased: CUDA_VISIBLE_DEVICES is empty"},
		{DeviceCUDA, map[string]string{"CUDA_VISIBLE_DEVICES": "0"}, "", choice{}, "can't use the device"},
		{DeviceROCm, map[string]string{"CUDA_VISIBLE_DEVICES": "0"}, ProviderCUDA, choice{}, "ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES"},
		{DeviceROCm, map[string]string{"HIP_VISIBLE_DEVICES": "0"}, ProviderROCm, choice{ProviderROCm, ""}, ""},
	} {
		got, err := chooseProvider(test.device, func(name string) string { return test.env[name] }, func(provider string) error {
			if provider != test.offers {
				return broken
			}
			return nil
		})
		if got != test.want {
			t.Errorf("%s %v: got %+v, want %+v", test.device, test.env, got, test.want)
		}
		var rich *models.Error
		switch {
		case test.err == "" && err != nil:
			t.Errorf("%s %v: error %v", test.device, test.env, err)
		case test.err != "" && (!errors.As(err, &rich) || rich.Hint == "" || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s %v: error %v, want %q and what to do", test.device, test.env, err, test.err)
		}
	}
}

func TestParseDevice(t *testing.T) {
	if _, err := ParseDevice("gpu"); err == nil || !strings.Contains(err.Error(), "auto, cpu, cuda or rocm") {
		t.Errorf("error %v", err)
	}
	if d, err := ParseDevice("cuda"); err != nil || d != DeviceCUDA {
		t.Errorf("%v, %v", d, err)
	}
}
