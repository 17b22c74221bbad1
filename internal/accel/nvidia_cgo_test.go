//go:build cgo

package accel

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	mockserver "github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

func TestNVIDIAListsWholeGPUs(t *testing.T) {
	for _, c := range []struct {
		driver    *driver
		model     string
		memoryMiB int64
	}{
		{newDriver(dgxa100.New()), "Mock NVIDIA A100-SXM4-40GB", 40960},
		{newDriver(dgxh100.New()), "NVIDIA H100 80GB HBM3", 81920},
	} {
		got, err := c.driver.inventory(fstest.MapFS{}).Devices(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 8 {
			t.Fatalf("%s: got %d devices, want 8", c.model, len(got))
		}
		seen := map[int]bool{}
		for i, d := range got {
			if d.Vendor != models.VendorNVIDIA || d.Model != c.model || d.MemoryMiB != c.memoryMiB || !strings.HasPrefix(d.UUID, "GPU-") {
				t.Errorf("got %+v, want a %s with %d MiB", d, c.model, c.memoryMiB)
			}
			if i > 0 && got[i-1].UUID >= d.UUID {
				t.Error("not sorted by UUID")
			}
			seen[d.Index] = true
		}
		if len(seen) != 8 {
			t.Errorf("indices %v, want 0 to 7", seen)
		}
	}
}

func TestNVIDIAListsMIGInstancesInsteadOfTheirGPU(t *testing.T) {
	d := newDriver(dgxa100.New())
	d.cut(d.gpu(3), "MIG-b", "MIG-a")
	got, err := d.inventory(fstest.MapFS{}).Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 9 {
		t.Fatalf("got %d devices, want 7 GPUs and 2 instances", len(got))
	}
	for i, uuid := range []string{"MIG-a", "MIG-b"} {
		want := models.Device{
			UUID: uuid, Vendor: models.VendorNVIDIA, Model: "Mock NVIDIA A100-SXM4-40GB", MemoryMiB: 5120, Index: 3,
			Parent: d.gpu(3).UUID, MIGProfile: "1g.5gb", CPUs: "0-15",
		}
		if diff := cmp.Diff(want, got[7+i]); diff != "" {
			t.Error(diff)
		}
	}
	for _, whole := range got[:7] {
		if len(whole.Links) != 6 || slices.Contains(whole.Links, d.gpu(3).UUID) {
			t.Errorf("%s reaches %v; want the six others that are whole", whole.UUID, whole.Links)
		}
	}
}

func TestProfileOfAnUnnamedInstanceIsItsSize(t *testing.T) {
	for name, c := range map[string]struct {
		a    nvml.DeviceAttributes
		want string
	}{
		"whole GPU instance":  {nvml.DeviceAttributes{GpuInstanceSliceCount: 3, ComputeInstanceSliceCount: 3, MemorySizeMB: 40448}, "3g.40gb"},
		"part of its compute": {nvml.DeviceAttributes{GpuInstanceSliceCount: 3, ComputeInstanceSliceCount: 1, MemorySizeMB: 40448}, "1c.3g.40gb"},
	} {
		d := newDriver(dgxa100.New())
		handle := &mock.Device{
			GetNameFunc:       func() (string, nvml.Return) { return "NVIDIA A100-SXM4-80GB", nvml.SUCCESS },
			GetAttributesFunc: func() (nvml.DeviceAttributes, nvml.Return) { return c.a, nvml.SUCCESS },
		}
		if got, err := d.inventory(nil).profile(instance{handle: handle}); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestNVIDIATellsPlaceAndLinks(t *testing.T) {
	d := newDriver(dgxh100.New())
	files := fstest.MapFS{
		"sys/bus/pci/devices/0000:1a:00.0/numa_node":     {Data: []byte("0\n")},
		"sys/bus/pci/devices/0000:1f:00.0/numa_node":     {Data: []byte("1\n")},
		"sys/bus/pci/devices/0000:1f:00.0/local_cpulist": {Data: []byte("unused: NVML tells\n")},
		"sys/bus/pci/devices/0000:21:00.0/numa_node":     {Data: []byte("-1\n")},
	}
	got, err := d.inventory(files).Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	byIndex := map[int]models.Device{}
	for _, device := range got {
		byIndex[device.Index] = device
		if len(device.Links) != 7 || !slices.IsSorted(device.Links) || slices.Contains(device.Links, device.UUID) {
			t.Errorf("links of %s: %v, want the seven others", device.UUID, device.Links)
		}
	}
	if d := byIndex[0]; d.NUMANode == nil || *d.NUMANode != 0 || d.CPUs != "0-15" {
		t.Errorf("device 0 sits at %v, %s", d.NUMANode, d.CPUs)
	}
	if d := byIndex[5]; d.NUMANode == nil || *d.NUMANode != 1 || d.CPUs != "32-47" {
		t.Errorf("device 5 sits at %v, %s", d.NUMANode, d.CPUs)
	}
	if d := byIndex[7]; d.NUMANode != nil {
		t.Errorf("device 7 sits at %d; -1 means unknown", *d.NUMANode)
	}
}

func TestFailedProbeIsAnErrorNotAnEmptyHost(t *testing.T) {
	broken := map[string]func(*driver){
		"init": func(d *driver) { d.InitFunc = func() nvml.Return { return nvml.ERROR_DRIVER_NOT_LOADED } },
		"count": func(d *driver) {
			d.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
		},
		"open": func(d *driver) {
			d.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
		},
		"uuid": func(d *driver) {
			d.gpu(5).GetUUIDFunc = func() (string, nvml.Return) { return "", nvml.ERROR_GPU_IS_LOST }
		},
		"memory": func(d *driver) {
			d.gpu(5).GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
		},
		"MIG mode": func(d *driver) {
			d.gpu(5).GetMigModeFunc = func() (int, int, nvml.Return) { return 0, 0, nvml.ERROR_UNKNOWN }
		},
		"shutdown": func(d *driver) { d.ShutdownFunc = func() nvml.Return { return nvml.ERROR_UNKNOWN } },
		"old driver": func(d *driver) {
			none := &mock.ExtendedInterface{LookupSymbolFunc: func(string) error { return errUndefined }}
			d.ExtensionsFunc = func() nvml.ExtendedInterface { return none }
		},
	}
	for name, breakIt := range broken {
		d := newDriver(dgxa100.New())
		breakIt(d)
		if got, err := d.inventory(fstest.MapFS{}).Devices(context.Background()); err == nil || got != nil {
			t.Errorf("%s: got %d devices and error %v", name, len(got), err)
		}
		// A figure that can't be had is left out.
		if _, err := d.inventory(fstest.MapFS{}).Measure(context.Background()); err == nil && name != "memory" {
			t.Errorf("%s: measured without an error", name)
		}
	}
}

// An old driver has only what version 1 of the library had; every function that
// is newer is unset in the mock, and panics when it is called.
func TestOldDriverIsAskedForNothingThatItLacks(t *testing.T) {
	lacking := []string{
		"nvmlDeviceGetMig", "nvmlDeviceGetMaxMig", "nvmlDeviceGetPciInfo", "nvmlDeviceGetCpuAffinity", "nvmlDeviceGetP2PStatus",
		"nvmlDeviceGetRemappedRows", "nvmlDeviceGetFieldValues", "nvmlDeviceGetEccMode", "nvmlDeviceGetPowerUsage",
		"nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates",
		"nvmlDeviceGetComputeRunningProcesses", "nvmlEventSet", "nvmlDeviceRegisterEvents",
	}
	d := newDriver(dgxa100.New(), lacking...)
	for i := range d.Devices {
		g := d.gpu(i)
		g.Device = mock.Device{GetUUIDFunc: g.GetUUIDFunc, GetNameFunc: g.GetNameFunc, GetMemoryInfoFunc: g.GetMemoryInfoFunc}
	}
	inventory := d.inventory(fstest.MapFS{})
	if got, err := inventory.Devices(t.Context()); err != nil || len(got) != 8 || got[0].CPUs != "" || got[0].Links != nil {
		t.Errorf("got %d devices, %v", len(got), err)
	}
	if got, err := inventory.Measure(t.Context()); err != nil || len(got) != 8 || got[0].PowerW != nil || got[0].ECC != nil {
		t.Errorf("measured %d devices, %v", len(got), err)
	}
	if err := inventory.Watch(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "tells no events") {
		t.Errorf("watching: %v", err)
	}
}

func TestMissingLibraryIsFineOnlyWithoutADriver(t *testing.T) {
	lib := &mock.Interface{InitFunc: func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }}
	got, err := nvidiaWith(lib, fstest.MapFS{}).Devices(context.Background())
	if err != nil || len(got) != 0 {
		t.Errorf("without a driver: got %v, %v", got, err)
	}
	loaded := nvidiaWith(lib, fstest.MapFS{"sys/module/nvidia/version": {}})
	if _, err := loaded.Devices(context.Background()); err == nil || !strings.Contains(err.Error(), "libnvidia-ml") {
		t.Errorf("with a driver: got %v, want an error that names the library", err)
	}
	if _, err := loaded.Measure(context.Background()); err == nil {
		t.Error("with a driver: measured")
	}
}

// A probe that hangs in the driver is given up when the caller's time is up, and
// does not take a second one with it.
func TestHangingProbeIsGivenUp(t *testing.T) {
	d := newDriver(dgxa100.New())
	hang := make(chan struct{})
	started := make(chan struct{}, 2)
	d.DeviceGetCountFunc = func() (int, nvml.Return) {
		started <- struct{}{}
		<-hang
		return 0, nvml.SUCCESS
	}
	inventory := d.inventory(fstest.MapFS{})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := inventory.Devices(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nvidia-smi") {
			t.Errorf("got %v", err)
		}
	}
	if len(started) != 1 {
		t.Errorf("%d probes hang in the driver, want 1", len(started))
	}
	close(hang)
}

func TestStandingFaultsOfADevice(t *testing.T) {
	rows := func(pending, failure bool) func(*mockserver.Device) {
		return func(g *mockserver.Device) {
			g.GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 0, 1, pending, failure, nvml.SUCCESS }
		}
	}
	needs := func(action nvml.DeviceGpuRecoveryAction) func(*mockserver.Device) {
		return func(g *mockserver.Device) { g.GetFieldValuesFunc = recoveryAnswer(action) }
	}
	for name, c := range map[string]struct {
		breakIt func(*mockserver.Device)
		want    string // in the reason; empty: no fault
	}{
		"remapped long ago": {rows(false, false), ""},
		"remapping pending": {rows(true, false), "reset the device"},
		"remapping failed":  {rows(true, true), "replace the device"},
		"needs a reset":     {needs(nvml.GPU_RECOVERY_ACTION_GPU_RESET), "needs a reset"},
		"needs a reboot":    {needs(nvml.GPU_RECOVERY_ACTION_NODE_REBOOT), "needs a reboot"},
		"needs a drain":     {needs(nvml.GPU_RECOVERY_ACTION_DRAIN_AND_RESET), "drained"},
		"needs what is new": {needs(99), "attention"},
		"rows are not told": {func(g *mockserver.Device) {
			g.GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 0, 0, true, true, nvml.ERROR_NOT_SUPPORTED }
		}, ""},
		"recovery is not told": {func(g *mockserver.Device) {
			g.GetFieldValuesFunc = func(f []nvml.FieldValue) nvml.Return {
				f[0].NvmlReturn = uint32(nvml.ERROR_NOT_SUPPORTED)
				f[0].Value[0] = 1
				return nvml.SUCCESS
			}
		}, ""},
	} {
		d := newDriver(dgxh100.New())
		c.breakIt(d.gpu(2))
		got, err := d.inventory(fstest.MapFS{}).Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, device := range got {
			broken := device.Index == 2 && c.want != ""
			switch {
			case broken != (device.Fault != nil):
				t.Errorf("%s: device %d has fault %+v", name, device.Index, device.Fault)
			case broken && (device.Fault.Action != models.FaultQuarantine || !strings.Contains(device.Fault.Reason, c.want)):
				t.Errorf("%s: %+v", name, device.Fault)
			}
		}
	}
}

func TestNVIDIAMeasures(t *testing.T) {
	d := newDriver(dgxh100.New())
	d.cut(d.gpu(0), "MIG-a", "MIG-b")
	files := fstest.MapFS{"proc/4242/comm": {Data: []byte("python3\n")}}
	got, err := d.inventory(files).Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byUUID := map[string]Figures{}
	for _, f := range got {
		byUUID[f.UUID] = f
	}
	if len(got) != 9 || len(byUUID) != 9 {
		t.Fatalf("measured %d devices", len(got))
	}
	want := Figures{
		UUID: d.gpu(1).UUID, PowerW: new(412.5), PowerLimitW: new(700.0), TemperatureC: new(61), Utilisation: new(97), MemoryUsedMiB: new(int64(0)),
		ECC: &ECC{Enabled: true, Uncorrected: new(uint64(0)), Lifetime: new(uint64(2))}, Remapped: &Remapped{Correctable: 1}, Recovery: NeedsNothing,
		Processes: []Process{{PID: 4242, Name: "python3", MemoryMiB: 3072}},
	}
	if diff := cmp.Diff(want, byUUID[want.UUID]); diff != "" {
		t.Error(diff)
	}
	// The process runs in GPU instance 2, which is MIG-b.
	if a, b := byUUID["MIG-a"], byUUID["MIG-b"]; len(a.Processes) != 0 || len(b.Processes) != 1 || b.Utilisation != nil || *b.MemoryUsedMiB != 1024 {
		t.Errorf("instances: %+v, %+v", a, b)
	}
}
