//go:build cgo

package accel

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	mockserver "github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"

	"github.com/mainspring-ml/mainspring/models"
)

// modern answers every symbol lookup, as a current driver does.
func modern(lib *mock.Interface) {
	symbols := &mock.ExtendedInterface{LookupSymbolFunc: func(string) error { return nil }}
	lib.ExtensionsFunc = func() nvml.ExtendedInterface { return symbols }
}

func TestNVIDIAListsWholeGPUs(t *testing.T) {
	a100, h100 := dgxa100.New(), dgxh100.New()
	for _, c := range []struct {
		lib       *mock.Interface
		model     string
		memoryMiB int64
	}{
		{&a100.Interface, "Mock NVIDIA A100-SXM4-40GB", 40960},
		{&h100.Interface, "NVIDIA H100 80GB HBM3", 81920},
	} {
		modern(c.lib)
		got, err := nvidia{lib: c.lib, host: fstest.MapFS{}}.Devices(context.Background())
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
	server := dgxa100.New()
	modern(&server.Interface)
	parent := server.Devices[3].(*mockserver.Device)
	parent.GetMigModeFunc = func() (int, int, nvml.Return) {
		return nvml.DEVICE_MIG_ENABLE, nvml.DEVICE_MIG_ENABLE, nvml.SUCCESS
	}
	parent.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
	parent.GetMigDeviceHandleByIndexFunc = func(slot int) (nvml.Device, nvml.Return) {
		if slot != 1 && slot != 4 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return &mock.Device{
			GetUUIDFunc: func() (string, nvml.Return) { return []string{1: "MIG-b", 4: "MIG-a"}[slot], nvml.SUCCESS },
			GetNameFunc: func() (string, nvml.Return) { return "NVIDIA A100-SXM4-40GB MIG 1g.5gb", nvml.SUCCESS },
			GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) {
				return nvml.Memory{Total: 5 << 30}, nvml.SUCCESS
			},
		}, nvml.SUCCESS
	}
	got, err := nvidia{lib: server, host: fstest.MapFS{}}.Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 9 {
		t.Fatalf("got %d devices, want 7 GPUs and 2 instances", len(got))
	}
	last := got[8]
	if got[7].UUID != "MIG-a" || last.UUID != "MIG-b" || last.MemoryMiB != 5120 || last.Index != 3 {
		t.Errorf("got %+v and %+v", got[7], last)
	}
}

func TestFailedProbeIsAnErrorNotAnEmptyHost(t *testing.T) {
	broken := map[string]func(*mockserver.Server){
		"init": func(s *mockserver.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_DRIVER_NOT_LOADED } },
		"count": func(s *mockserver.Server) {
			s.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
		},
		"open": func(s *mockserver.Server) {
			s.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
		},
		"uuid": func(s *mockserver.Server) {
			s.Devices[5].(*mockserver.Device).GetUUIDFunc = func() (string, nvml.Return) { return "", nvml.ERROR_GPU_IS_LOST }
		},
		"old driver": func(s *mockserver.Server) {
			none := &mock.ExtendedInterface{LookupSymbolFunc: func(string) error { return errors.New("undefined symbol") }}
			s.ExtensionsFunc = func() nvml.ExtendedInterface { return none }
		},
	}
	for name, breakIt := range broken {
		server := dgxa100.New()
		modern(&server.Interface)
		breakIt(server)
		if got, err := (nvidia{lib: server, host: fstest.MapFS{}}).Devices(context.Background()); err == nil || got != nil {
			t.Errorf("%s: got %d devices and error %v", name, len(got), err)
		}
	}
}

func TestOldDriverWithoutMIGListsWholeGPUs(t *testing.T) {
	server := dgxa100.New()
	symbols := &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
		if strings.Contains(name, "Mig") {
			return errors.New("undefined symbol")
		}
		return nil
	}}
	server.ExtensionsFunc = func() nvml.ExtendedInterface { return symbols }
	for _, d := range server.Devices {
		d.(*mockserver.Device).GetMigModeFunc = nil // calling it would end the process
	}
	if got, err := (nvidia{lib: server, host: fstest.MapFS{}}).Devices(context.Background()); err != nil || len(got) != 8 {
		t.Errorf("got %d devices, %v", len(got), err)
	}
}

func TestMissingLibraryIsFineOnlyWithoutADriver(t *testing.T) {
	lib := &mock.Interface{InitFunc: func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }}
	got, err := nvidia{lib: lib, host: fstest.MapFS{}}.Devices(context.Background())
	if err != nil || len(got) != 0 {
		t.Errorf("without a driver: got %v, %v", got, err)
	}
	loaded := fstest.MapFS{"sys/module/nvidia/version": {}}
	if _, err := (nvidia{lib: lib, host: loaded}).Devices(context.Background()); err == nil || !strings.Contains(err.Error(), "libnvidia-ml") {
		t.Errorf("with a driver: got %v, want an error that names the library", err)
	}
}
