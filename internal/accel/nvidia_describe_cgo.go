//go:build cgo

package accel

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/mainspring-ml/mainspring/models"
)

// describe returns the whole device, or its instances. A device in MIG mode
// without an instance offers nothing.
func (n nvidia) describe(g gpu, all []gpu) ([]models.Device, error) {
	whole, err := n.device(g.handle, g)
	if err != nil {
		return nil, err
	}
	whole.NUMANode, whole.CPUs = n.placeOf(g)
	whole.Fault = n.standing(g)
	if !g.partitioned {
		whole.Links = n.links(g, all)
		return []models.Device{whole}, nil
	}
	var devices []models.Device
	for _, i := range g.instances {
		d, err := n.device(i.handle, g)
		if err != nil {
			return nil, err
		}
		d.UUID, d.Parent, d.Model = i.uuid, g.uuid, whole.Model
		if d.MIGProfile, err = n.profile(i); err != nil {
			return nil, err
		}
		// Next to the same cores, and hit by what hits the whole.
		d.NUMANode, d.CPUs, d.Fault = whole.NUMANode, whole.CPUs, whole.Fault
		devices = append(devices, d)
	}
	return devices, nil
}

// device has what every driver tells.
func (n nvidia) device(handle nvml.Device, g gpu) (models.Device, error) {
	name, ret := handle.GetName()
	if ret != nvml.SUCCESS {
		return models.Device{}, failed("read the name of device "+g.uuid, ret)
	}
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return models.Device{}, failed("read the memory of device "+g.uuid, ret)
	}
	return models.Device{
		UUID: g.uuid, Vendor: models.VendorNVIDIA, Model: name, MemoryMiB: int64(memory.Total >> 20), Index: g.index,
	}, nil
}

// partitioned reports whether the device is in MIG mode. Drivers before 450
// know no MIG.
func (n nvidia) partitioned(g gpu) (bool, error) {
	if !n.has("nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex") {
		return false, nil
	}
	mode, _, ret := g.handle.GetMigMode()
	switch ret {
	case nvml.SUCCESS:
		return mode == nvml.DEVICE_MIG_ENABLE, nil
	case nvml.ERROR_NOT_SUPPORTED:
		return false, nil
	default:
		return false, failed(fmt.Sprintf("read the MIG mode of device %d", g.index), ret)
	}
}

func (n nvidia) instances(g gpu) ([]instance, error) {
	slots, ret := g.handle.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return nil, failed(fmt.Sprintf("count the MIG instances of device %d", g.index), ret)
	}
	var instances []instance
	for slot := range slots {
		handle, ret := g.handle.GetMigDeviceHandleByIndex(slot)
		if ret == nvml.ERROR_NOT_FOUND {
			continue // an empty slot
		}
		if ret != nvml.SUCCESS {
			return nil, failed(fmt.Sprintf("open MIG instance %d of device %d", slot, g.index), ret)
		}
		i := instance{handle: handle}
		if i.uuid, ret = handle.GetUUID(); ret != nvml.SUCCESS {
			return nil, failed(fmt.Sprintf("read the UUID of MIG instance %d of device %d", slot, g.index), ret)
		}
		if n.has("nvmlDeviceGetGpuInstanceId", "nvmlDeviceGetComputeInstanceId") {
			var gi, ci nvml.Return
			i.gi, gi = handle.GetGpuInstanceId()
			i.ci, ci = handle.GetComputeInstanceId()
			i.numbers = gi == nvml.SUCCESS && ci == nvml.SUCCESS
		}
		instances = append(instances, i)
	}
	return instances, nil
}

// profile is the last word of the instance's name, "… MIG 1g.10gb". Drivers that
// give it its GPU's name tell its size.
func (n nvidia) profile(i instance) (string, error) {
	name, ret := i.handle.GetName()
	if ret != nvml.SUCCESS {
		return "", failed("read the name of MIG instance "+i.uuid, ret)
	}
	if _, profile, ok := strings.Cut(name, " MIG "); ok {
		return profile, nil
	}
	if !n.hasVersion("nvmlDeviceGetAttributes") {
		return "", fmt.Errorf("the NVIDIA driver does not tell the profile of MIG instance %s; update the driver", i.uuid)
	}
	a, ret := i.handle.GetAttributes()
	if ret != nvml.SUCCESS {
		return "", failed("read the profile of MIG instance "+i.uuid, ret)
	}
	profile := fmt.Sprintf("%dg.%dgb", a.GpuInstanceSliceCount, (a.MemorySizeMB+1023)/1024)
	if a.ComputeInstanceSliceCount != a.GpuInstanceSliceCount {
		profile = fmt.Sprintf("%dc.%s", a.ComputeInstanceSliceCount, profile)
	}
	return profile, nil
}

// maxCPUs bounds the bit mask that NVML fills.
const maxCPUs = 4096

// placeOf says where in the host the device sits. The memory node comes from
// sysfs: nvmlDeviceGetNumaNodeId names the node of the device's own memory, on
// machines where that is one.
func (n nvidia) placeOf(g gpu) (numa *int, cpus string) {
	numa, cpus = n.host.place(n.pciAddress(g))
	if n.has("nvmlDeviceGetCpuAffinity") {
		if mask, ret := g.handle.GetCpuAffinity(maxCPUs); ret == nvml.SUCCESS {
			cpus = cmp.Or(cpuList(mask), cpus)
		}
	}
	return numa, cpus
}

// pciAddress as sysfs writes it: NVML's domain has eight digits.
func (n nvidia) pciAddress(g gpu) string {
	if !n.hasVersion("nvmlDeviceGetPciInfo") {
		return ""
	}
	info, ret := g.handle.GetPciInfo()
	if ret != nvml.SUCCESS {
		return ""
	}
	var id []byte
	for _, c := range info.BusId {
		if c == 0 {
			break
		}
		id = append(id, byte(c))
	}
	address := strings.ToLower(string(id))
	if domain, rest, ok := strings.Cut(address, ":"); ok && len(domain) == 8 {
		address = strings.TrimPrefix(domain, "0000") + ":" + rest
	}
	return address
}

// links are the devices that are reached over NVLink, directly or through
// switches. MIG instances reach nothing.
func (n nvidia) links(g gpu, all []gpu) []string {
	if !n.has("nvmlDeviceGetP2PStatus") {
		return nil
	}
	var peers []string
	for _, peer := range all {
		if peer.uuid == g.uuid || peer.partitioned {
			continue
		}
		status, ret := g.handle.GetP2PStatus(peer.handle, nvml.P2P_CAPS_INDEX_NVLINK)
		if ret == nvml.SUCCESS && status == nvml.P2P_STATUS_OK {
			peers = append(peers, peer.uuid)
		}
	}
	slices.Sort(peers)
	return peers
}

// standing is what the driver says is wrong with a device for as long as it is;
// nil when nothing is, or when it can't tell.
func (n nvidia) standing(g gpu) *models.DeviceFault {
	if fault := n.recovery(g).fault(); fault != nil {
		return fault
	}
	rows := n.remapped(g)
	switch {
	case rows == nil:
		return nil
	case rows.Failed:
		return &models.DeviceFault{
			Code: "row remapping", Action: models.FaultQuarantine,
			Reason: "a broken memory row could not be remapped: no spare is left; replace the device",
		}
	case rows.Pending:
		return &models.DeviceFault{
			Code: "row remapping", Action: models.FaultQuarantine,
			Reason: "a broken memory row waits to be remapped; reset the device, or reboot the host",
		}
	}
	return nil
}

// remapped is nil where rows are not remapped, or not told: before Ampere, and
// in MIG mode.
func (n nvidia) remapped(g gpu) *Remapped {
	if !n.has("nvmlDeviceGetRemappedRows") {
		return nil
	}
	correctable, uncorrectable, pending, failure, ret := g.handle.GetRemappedRows()
	if ret != nvml.SUCCESS {
		return nil
	}
	return &Remapped{Correctable: correctable, Uncorrectable: uncorrectable, Pending: pending, Failed: failure}
}

// recovery asks drivers from 570 on what the device needs.
func (n nvidia) recovery(g gpu) recovery {
	if !n.has("nvmlDeviceGetFieldValues") {
		return recovery{}
	}
	fields := []nvml.FieldValue{{FieldId: nvml.FI_DEV_GET_GPU_RECOVERY_ACTION}}
	if ret := g.handle.GetFieldValues(fields); ret != nvml.SUCCESS || nvml.Return(fields[0].NvmlReturn) != nvml.SUCCESS {
		return recovery{}
	}
	needs := "attention"
	switch nvml.DeviceGpuRecoveryAction(binary.NativeEndian.Uint32(fields[0].Value[:])) {
	case nvml.GPU_RECOVERY_ACTION_NONE:
		needs = ""
	case nvml.GPU_RECOVERY_ACTION_GPU_RESET, nvml.GPU_RECOVERY_ACTION_BUS_RESET:
		needs = "a reset"
	case nvml.GPU_RECOVERY_ACTION_NODE_REBOOT, nvml.GPU_RECOVERY_ACTION_SYSTEM_REBOOT:
		needs = "a reboot of the host"
	case nvml.GPU_RECOVERY_ACTION_DRAIN_P2P, nvml.GPU_RECOVERY_ACTION_DRAIN_AND_RESET:
		needs = "to be drained with its NVLink peers, and a reset"
	case nvml.GPU_RECOVERY_ACTION_RECOVER_IMEX_DOMAIN:
		needs = "its IMEX domain recovered"
	}
	return recovery{known: true, needs: needs}
}
