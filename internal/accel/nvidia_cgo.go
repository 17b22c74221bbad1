//go:build cgo

package accel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/mainspring-ml/mainspring/models"
)

// probeLimit bounds a probe: calls into a driver with a dying device can hang.
const probeLimit = 30 * time.Second

// NVIDIA lists this host's NVIDIA devices through NVML; a GPU in MIG mode is
// listed as its instances. Without driver and library there are none; a
// driver without a working library is an error.
func NVIDIA() Inventory { return nvidia{lib: nvml.New(), host: hostFiles()} }

type nvidia struct {
	lib  nvml.Interface
	host fs.FS
}

// Devices implements Inventory. A probe that hangs is left behind: it can't be
// interrupted inside the driver.
func (n nvidia) Devices(ctx context.Context) ([]models.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	type answer struct {
		devices []models.Device
		err     error
	}
	probed := make(chan answer, 1)
	go func() {
		devices, err := n.probe()
		probed <- answer{devices, err}
	}()
	select {
	case a := <-probed:
		return a.devices, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the NVIDIA driver does not answer; see whether nvidia-smi does: %w", ctx.Err())
	}
}

func (n nvidia) probe() (devices []models.Device, err error) {
	switch ret := n.lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return n.withoutLibrary()
	default:
		return nil, n.failed("start NVML", ret)
	}
	defer func() {
		if ret := n.lib.Shutdown(); ret != nvml.SUCCESS {
			err = errors.Join(err, n.failed("shut NVML down", ret))
		}
	}()
	if err := n.requireSymbols(); err != nil {
		return nil, err
	}
	count, ret := n.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, n.failed("count the devices", ret)
	}
	for index := range count {
		handle, ret := n.lib.DeviceGetHandleByIndex(index)
		if ret != nvml.SUCCESS {
			return nil, n.failed(fmt.Sprintf("open device %d", index), ret)
		}
		found, err := n.describe(handle, index)
		if err != nil {
			return nil, err
		}
		devices = append(devices, found...)
	}
	slices.SortFunc(devices, func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
	return devices, nil
}

func (n nvidia) withoutLibrary() ([]models.Device, error) {
	trace, err := driverInstalled(n.host)
	if err != nil || trace == "" {
		return nil, err
	}
	return nil, fmt.Errorf("the NVIDIA driver is loaded (%s) but its library libnvidia-ml.so.1 can't be opened; "+
		"install the driver's user-space part, or give the container access to it", trace)
}

// requireSymbols looks up what is called unconditionally: a symbol that the
// installed driver lacks would end the process, not return an error.
func (n nvidia) requireSymbols() error {
	for _, symbol := range []string{"nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo"} {
		if err := n.lib.Extensions().LookupSymbol(symbol); err != nil {
			return fmt.Errorf("the NVIDIA driver's library has no %s; update the driver: %w", symbol, err)
		}
	}
	return nil
}

func (n nvidia) describe(handle nvml.Device, index int) ([]models.Device, error) {
	partitioned, err := n.partitioned(handle, index)
	if err != nil {
		return nil, err
	}
	if partitioned {
		return n.instances(handle, index)
	}
	device, err := n.device(handle, index)
	if err != nil {
		return nil, err
	}
	return []models.Device{device}, nil
}

// partitioned reports whether the device is in MIG mode. Drivers before 450
// know no MIG.
func (n nvidia) partitioned(handle nvml.Device, index int) (bool, error) {
	for _, symbol := range []string{"nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"} {
		if n.lib.Extensions().LookupSymbol(symbol) != nil {
			return false, nil
		}
	}
	mode, _, ret := handle.GetMigMode()
	switch ret {
	case nvml.SUCCESS:
		return mode == nvml.DEVICE_MIG_ENABLE, nil
	case nvml.ERROR_NOT_SUPPORTED:
		return false, nil
	default:
		return false, n.failed(fmt.Sprintf("read the MIG mode of device %d", index), ret)
	}
}

func (n nvidia) instances(parent nvml.Device, index int) ([]models.Device, error) {
	slots, ret := parent.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return nil, n.failed(fmt.Sprintf("count the MIG instances of device %d", index), ret)
	}
	var devices []models.Device
	for slot := range slots {
		handle, ret := parent.GetMigDeviceHandleByIndex(slot)
		if ret == nvml.ERROR_NOT_FOUND {
			continue // an empty slot
		}
		if ret != nvml.SUCCESS {
			return nil, n.failed(fmt.Sprintf("open MIG instance %d of device %d", slot, index), ret)
		}
		device, err := n.device(handle, index)
		if err != nil {
			return nil, err
		}
		devices = append(devices, device)
	}
	return devices, nil
}

func (n nvidia) device(handle nvml.Device, index int) (models.Device, error) {
	uuid, ret := handle.GetUUID()
	if ret != nvml.SUCCESS {
		return models.Device{}, n.failed(fmt.Sprintf("read the UUID of device %d", index), ret)
	}
	name, ret := handle.GetName()
	if ret != nvml.SUCCESS {
		return models.Device{}, n.failed("read the name of device "+uuid, ret)
	}
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return models.Device{}, n.failed("read the memory of device "+uuid, ret)
	}
	return models.Device{
		UUID: uuid, Vendor: models.VendorNVIDIA, Model: name, MemoryMiB: int64(memory.Total >> 20), Index: index,
	}, nil
}

func (n nvidia) failed(operation string, ret nvml.Return) error {
	return fmt.Errorf("%s: %w (NVML error %d); see whether nvidia-smi works", operation, ret, int(ret))
}
