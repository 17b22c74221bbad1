//go:build cgo

package accel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing/fstest"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	mockserver "github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
)

// driver is a mock of NVML with what the mocks of go-nvml lack. lacking names
// the functions that an older one has not: calling one ends a real process, so
// here it panics.
type driver struct {
	*mockserver.Server
	events chan nvml.EventData
}

func newDriver(server *mockserver.Server, lacking ...string) *driver {
	d := &driver{Server: server, events: make(chan nvml.EventData, 8)}
	symbols := &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
		for _, l := range lacking {
			if strings.HasPrefix(name, l) {
				return fmt.Errorf("undefined symbol: %s", name)
			}
		}
		return nil
	}}
	server.ExtensionsFunc = func() nvml.ExtendedInterface { return symbols }
	for i := range server.Devices {
		d.complete(d.gpu(i))
	}
	server.EventSetCreateFunc = func() (nvml.EventSet, nvml.Return) {
		return &mock.EventSet{
			WaitFunc: func(uint32) (nvml.EventData, nvml.Return) {
				select {
				case e := <-d.events:
					return e, nvml.SUCCESS
				default:
					return nvml.EventData{}, nvml.ERROR_TIMEOUT
				}
			},
			FreeFunc: func() nvml.Return { return nvml.SUCCESS },
		}, nvml.SUCCESS
	}
	return d
}

func (d *driver) gpu(i int) *mockserver.Device { return d.Devices[i].(*mockserver.Device) }

func (d *driver) inventory(files fstest.MapFS) nvidia { return nvidiaWith(d, files) }

// complete gives a device a place, links to all others, health and load.
func (d *driver) complete(g *mockserver.Device) {
	g.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
		info := nvml.PciInfo{}
		for i, c := range fmt.Sprintf("00000000:%02X:00.0", 0x1a+g.Index) {
			info.BusId[i] = int8(c)
		}
		return info, nvml.SUCCESS
	}
	g.GetCpuAffinityFunc = func(int) ([]uint, nvml.Return) {
		return []uint{0xffff << (32 * (g.Index / 4)), 0}, nvml.SUCCESS
	}
	g.GetP2PStatusFunc = func(nvml.Device, nvml.GpuP2PCapsIndex) (nvml.GpuP2PStatus, nvml.Return) {
		return nvml.P2P_STATUS_OK, nvml.SUCCESS
	}
	g.GetRemappedRowsFunc = func() (int, int, bool, bool, nvml.Return) { return 1, 0, false, false, nvml.SUCCESS }
	g.GetFieldValuesFunc = recoveryAnswer(nvml.GPU_RECOVERY_ACTION_NONE)
	g.GetEccModeFunc = func() (nvml.EnableState, nvml.EnableState, nvml.Return) {
		return nvml.FEATURE_ENABLED, nvml.FEATURE_ENABLED, nvml.SUCCESS
	}
	g.GetTotalEccErrorsFunc = func(_ nvml.MemoryErrorType, since nvml.EccCounterType) (uint64, nvml.Return) {
		return map[nvml.EccCounterType]uint64{nvml.VOLATILE_ECC: 0, nvml.AGGREGATE_ECC: 2}[since], nvml.SUCCESS
	}
	g.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 412500, nvml.SUCCESS }
	g.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 700000, nvml.SUCCESS }
	g.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 61, nvml.SUCCESS }
	g.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97}, nvml.SUCCESS }
	g.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 4242, UsedGpuMemory: 3 << 30, GpuInstanceId: 2, ComputeInstanceId: 0}}, nvml.SUCCESS
	}
	g.GetSupportedEventTypesFunc = func() (uint64, nvml.Return) {
		return nvml.EventTypeXidCriticalError | nvml.EventTypeSingleBitEccError, nvml.SUCCESS
	}
	g.RegisterEventsFunc = func(types uint64, _ nvml.EventSet) nvml.Return {
		if types != nvml.EventTypeXidCriticalError {
			panic(fmt.Sprintf("registered for events %#x", types))
		}
		return nvml.SUCCESS
	}
}

func recoveryAnswer(action nvml.DeviceGpuRecoveryAction) func([]nvml.FieldValue) nvml.Return {
	return func(fields []nvml.FieldValue) nvml.Return {
		binary.NativeEndian.PutUint32(fields[0].Value[:], uint32(action))
		return nvml.SUCCESS
	}
}

// cut puts a device into MIG mode with instances in slots 1 and 4: GPU instances
// 1 and 2.
func (d *driver) cut(g *mockserver.Device, uuids ...string) {
	g.MigMode = nvml.DEVICE_MIG_ENABLE
	g.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
	slots := map[int]int{1: 0, 4: 1}
	handles := make([]nvml.Device, len(uuids))
	for k, uuid := range uuids {
		handles[k] = &mock.Device{
			GetUUIDFunc:              func() (string, nvml.Return) { return uuid, nvml.SUCCESS },
			GetNameFunc:              func() (string, nvml.Return) { return "NVIDIA A100-SXM4-40GB MIG 1g.5gb", nvml.SUCCESS },
			GetMemoryInfoFunc:        func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 5 << 30, Used: 1 << 30}, nvml.SUCCESS },
			GetGpuInstanceIdFunc:     func() (int, nvml.Return) { return k + 1, nvml.SUCCESS },
			GetComputeInstanceIdFunc: func() (int, nvml.Return) { return 0, nvml.SUCCESS },
		}
	}
	g.GetMigDeviceHandleByIndexFunc = func(slot int) (nvml.Device, nvml.Return) {
		k, used := slots[slot]
		if !used || k >= len(uuids) {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return handles[k], nvml.SUCCESS
	}
}

var errUndefined = errors.New("undefined symbol")
