package accel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

// hidden is the environment of a process without any device.
func hidden() map[string]string {
	return map[string]string{
		"CUDA_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": "", "ZE_AFFINITY_MASK": "255", "TPU_VISIBLE_CHIPS": "",
		"NEURON_RT_VISIBLE_CORES": "", "MAINSPRING_VISIBLE_DEVICES": "",
	}
}

func TestVisibilityShowsWhatIsLeasedAndHidesTheRest(t *testing.T) {
	device := func(vendor models.Vendor, uuid string, index int) models.Device {
		return models.Device{UUID: uuid, Vendor: vendor, Index: index}
	}
	for name, c := range map[string]struct {
		devices []models.Device
		shown   map[string]string // differs from hidden
	}{
		"nothing": {nil, nil},
		"virtual": {[]models.Device{device(models.VendorVirtual, "VIRT-n-0", 0)}, map[string]string{"MAINSPRING_VISIBLE_DEVICES": "VIRT-n-0"}},
		"NVIDIA in the lease's order": {
			[]models.Device{device(models.VendorNVIDIA, "GPU-a", 7), device(models.VendorNVIDIA, "MIG-b", 0)},
			map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-a,MIG-b", "MAINSPRING_VISIBLE_DEVICES": "GPU-a,MIG-b"},
		},
		"AMD by UUID, else by index": {
			[]models.Device{device(models.VendorAMD, "AMD-n-0000:03:00.0-128", 4), device(models.VendorAMD, "GPU-00c0ffee00c0ffee", 1)},
			map[string]string{"ROCR_VISIBLE_DEVICES": "4,GPU-00c0ffee00c0ffee", "MAINSPRING_VISIBLE_DEVICES": "AMD-n-0000:03:00.0-128,GPU-00c0ffee00c0ffee"},
		},
		"Intel": {
			[]models.Device{device(models.VendorIntel, "INTEL-n-0000:9a:00.0", 2), device(models.VendorIntel, "INTEL-n-0000:03:00.0", 1)},
			map[string]string{
				"ZE_AFFINITY_MASK": "1,2", "ZE_FLAT_DEVICE_HIERARCHY": "COMPOSITE", "ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1",
				"MAINSPRING_VISIBLE_DEVICES": "INTEL-n-0000:9a:00.0,INTEL-n-0000:03:00.0",
			},
		},
		"two TPU chips": {
			[]models.Device{device(models.VendorTPU, "TPU-n-10", 10), device(models.VendorTPU, "TPU-n-2", 2)},
			map[string]string{
				"TPU_VISIBLE_CHIPS": "2,10", "MAINSPRING_VISIBLE_DEVICES": "TPU-n-10,TPU-n-2",
				"TPU_CHIPS_PER_HOST_BOUNDS": "1,2,1", "TPU_HOST_BOUNDS": "1,1,1", "TPU_CHIPS_PER_PROCESS_BOUNDS": "1,2,1", "TPU_PROCESS_BOUNDS": "1,1,1",
			},
		},
		"three TPU chips have no layout": {
			[]models.Device{device(models.VendorTPU, "a", 0), device(models.VendorTPU, "b", 1), device(models.VendorTPU, "c", 2)},
			map[string]string{"TPU_VISIBLE_CHIPS": "0,1,2", "MAINSPRING_VISIBLE_DEVICES": "a,b,c"},
		},
		"Neuron": {
			[]models.Device{device(models.VendorNeuron, "NEURON-n-10", 10), device(models.VendorNeuron, "NEURON-n-9", 9)},
			map[string]string{"NEURON_RT_VISIBLE_CORES": "9,10", "MAINSPRING_VISIBLE_DEVICES": "NEURON-n-10,NEURON-n-9"},
		},
	} {
		want := hidden()
		for variable, value := range c.shown {
			want[variable] = value
		}
		got := map[string]string{}
		for _, entry := range Visibility(c.devices) {
			variable, value, _ := strings.Cut(entry, "=")
			if _, twice := got[variable]; twice {
				t.Errorf("%s: %s is set twice", name, variable)
			}
			got[variable] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
