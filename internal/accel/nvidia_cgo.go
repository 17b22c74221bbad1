//go:build cgo

package accel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/mainspring-ml/mainspring/models"
)

// NVIDIA lists this host's NVIDIA devices through NVML; a GPU in MIG mode is
// listed as its instances. Without driver and library there are none; a
// driver without a working library is an error.
func NVIDIA() Inventory { return newNVIDIA(hostFiles()) }

func newNVIDIA(host fs.FS) nvidia { return nvidiaWith(nvml.New(), host) }

func nvidiaWith(lib nvml.Interface, host fs.FS) nvidia {
	return nvidia{lib: lib, host: Host{Files: host}, turn: make(chan struct{}, 1), policy: DefaultXIDPolicy()}
}

type nvidia struct {
	lib    nvml.Interface
	host   Host
	turn   chan struct{} // held by the one probe at a time
	policy XIDPolicy
}

// WithXIDPolicy sets the policy of an inventory that knows XIDs; others are
// returned as they are.
func WithXIDPolicy(inventory Inventory, policy XIDPolicy) Inventory {
	switch i := inventory.(type) {
	case nvidia:
		i.policy = policy
		return i
	case joined:
		changed := make(joined, len(i))
		for k := range i {
			changed[k] = WithXIDPolicy(i[k], policy)
		}
		return changed
	default:
		return inventory
	}
}

// Devices implements Inventory.
func (n nvidia) Devices(ctx context.Context) ([]models.Device, error) {
	return bounded(ctx, n.turn, n.list)
}

// Measure implements Measurer.
func (n nvidia) Measure(ctx context.Context) ([]Figures, error) {
	return bounded(ctx, n.turn, n.measure)
}

// bounded leaves a probe that hangs behind: it can't be interrupted inside the
// driver. The next one waits for its turn, so that no more than one thread is
// lost to a dead device.
func bounded[T any](ctx context.Context, turn chan struct{}, probe func() (T, error)) (none T, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	type answer struct {
		found T
		err   error
	}
	silent := func() (T, error) {
		return none, fmt.Errorf("the NVIDIA driver does not answer; see whether nvidia-smi does: %w", ctx.Err())
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return silent()
	}
	probed := make(chan answer, 1)
	go func() {
		defer func() { <-turn }()
		found, err := probe()
		probed <- answer{found, err}
	}()
	select {
	case a := <-probed:
		return a.found, a.err
	case <-ctx.Done():
		return silent()
	}
}

// errNoDriver means that there is nothing to probe.
var errNoDriver = errors.New("no NVIDIA driver")

// open starts NVML, and returns what ends it. Starting it again while it is
// started is fine.
func (n nvidia) open() (closeIt func() error, err error) {
	switch ret := n.lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, n.withoutLibrary()
	default:
		return nil, failed("start NVML", ret)
	}
	closeIt = func() error {
		if ret := n.lib.Shutdown(); ret != nvml.SUCCESS {
			return failed("shut NVML down", ret)
		}
		return nil
	}
	// What is called unconditionally.
	for _, symbol := range []string{"nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo"} {
		if !n.has(symbol) {
			return nil, errors.Join(fmt.Errorf("the NVIDIA driver's library has no %s; update the driver", symbol), closeIt())
		}
	}
	return closeIt, nil
}

func (n nvidia) withoutLibrary() error {
	trace, err := driverInstalled(n.host.Files)
	switch {
	case err != nil:
		return err
	case trace == "":
		return errNoDriver
	}
	return fmt.Errorf("the NVIDIA driver is loaded (%s) but its library libnvidia-ml.so.1 can't be opened; "+
		"install the driver's user-space part, or give the container access to it", trace)
}

// has reports whether the driver has all these functions: calling one that it
// lacks would end the process, not return an error.
func (n nvidia) has(symbols ...string) bool {
	for _, symbol := range symbols {
		if n.lib.Extensions().LookupSymbol(symbol) != nil {
			return false
		}
	}
	return true
}

// hasVersion is has for a function of which the library takes the newest
// version there is.
func (n nvidia) hasVersion(symbol string) bool {
	return n.has(symbol) || n.has(symbol+"_v2") || n.has(symbol+"_v3")
}

// list is one probe.
func (n nvidia) list() (devices []models.Device, err error) {
	gpus, closeIt, err := n.gpus()
	if errors.Is(err, errNoDriver) {
		return []models.Device{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := closeIt(); closing != nil {
			devices, err = nil, errors.Join(err, closing)
		}
	}()
	for _, g := range gpus {
		found, err := n.describe(g, gpus)
		if err != nil {
			return nil, err
		}
		devices = append(devices, found...)
	}
	sortDevices(devices)
	return devices, nil
}

// gpu is one physical device, with its instances if it is in MIG mode.
type gpu struct {
	handle      nvml.Device
	uuid        string
	index       int
	partitioned bool
	instances   []instance
}

// instance is one MIG instance; its numbers are those that events name.
type instance struct {
	handle  nvml.Device
	uuid    string
	gi, ci  int
	numbers bool // false: the driver does not tell them
}

// gpus opens the library and every device. When it fails, the library is closed.
func (n nvidia) gpus() (gpus []gpu, closeIt func() error, err error) {
	closeIt, err = n.open()
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) ([]gpu, func() error, error) { return nil, nil, errors.Join(err, closeIt()) }
	count, ret := n.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return fail(failed("count the devices", ret))
	}
	for index := range count {
		handle, ret := n.lib.DeviceGetHandleByIndex(index)
		if ret != nvml.SUCCESS {
			return fail(failed(fmt.Sprintf("open device %d", index), ret))
		}
		g := gpu{handle: handle, index: index}
		if g.uuid, ret = handle.GetUUID(); ret != nvml.SUCCESS {
			return fail(failed(fmt.Sprintf("read the UUID of device %d", index), ret))
		}
		if g.partitioned, err = n.partitioned(g); err == nil && g.partitioned {
			g.instances, err = n.instances(g)
		}
		if err != nil {
			return fail(err)
		}
		gpus = append(gpus, g)
	}
	return gpus, closeIt, nil
}

func failed(operation string, ret nvml.Return) error {
	return fmt.Errorf("%s: %w (NVML error %d); see whether nvidia-smi works", operation, ret, int(ret))
}
