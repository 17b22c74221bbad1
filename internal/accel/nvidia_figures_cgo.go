//go:build cgo

package accel

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// measure is one probe of figures: of whole devices and, as far as they are told,
// of instances.
func (n nvidia) measure() (all []Figures, err error) {
	gpus, closeIt, err := n.gpus()
	if errors.Is(err, errNoDriver) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeIt()) }()
	for _, g := range gpus {
		whole := n.health(g)
		n.load(g.handle, &whole)
		processes := n.processes(g.handle)
		if !g.partitioned {
			whole.Processes = n.named(processes)
			all = append(all, whole)
			continue
		}
		for _, i := range g.instances {
			// Power and health are the GPU's; load is not told for instances.
			f := whole
			f.UUID, f.Utilisation, f.MemoryUsedMiB = i.uuid, nil, n.memoryUsed(i.handle)
			f.Processes = n.named(i.own(processes))
			all = append(all, f)
		}
	}
	return all, nil
}

// own are the processes on an instance.
func (i instance) own(processes []nvml.ProcessInfo) []nvml.ProcessInfo {
	var own []nvml.ProcessInfo
	for _, p := range processes {
		if i.numbers && int(p.GpuInstanceId) == i.gi && int(p.ComputeInstanceId) == i.ci {
			own = append(own, p)
		}
	}
	return own
}

func (n nvidia) health(g gpu) Figures {
	f := Figures{UUID: g.uuid, Remapped: n.remapped(g)}
	if needs := n.recovery(g); needs.known {
		f.Recovery = cmp.Or(needs.needs, NeedsNothing)
	}
	if !n.has("nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors") {
		return f
	}
	mode, _, ret := g.handle.GetEccMode()
	if ret != nvml.SUCCESS {
		return f
	}
	f.ECC = &ECC{Enabled: mode == nvml.FEATURE_ENABLED}
	if count, ret := g.handle.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC); ret == nvml.SUCCESS {
		f.ECC.Uncorrected = &count
	}
	if count, ret := g.handle.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.AGGREGATE_ECC); ret == nvml.SUCCESS {
		f.ECC.Lifetime = &count
	}
	return f
}

func (n nvidia) load(handle nvml.Device, f *Figures) {
	const milliwatts = 1000
	if n.has("nvmlDeviceGetPowerUsage") {
		if power, ret := handle.GetPowerUsage(); ret == nvml.SUCCESS {
			f.PowerW = new(float64(power) / milliwatts)
		}
	}
	if n.has("nvmlDeviceGetEnforcedPowerLimit") {
		if limit, ret := handle.GetEnforcedPowerLimit(); ret == nvml.SUCCESS {
			f.PowerLimitW = new(float64(limit) / milliwatts)
		}
	}
	if n.has("nvmlDeviceGetTemperature") {
		if degrees, ret := handle.GetTemperature(nvml.TEMPERATURE_GPU); ret == nvml.SUCCESS {
			f.TemperatureC = new(int(degrees))
		}
	}
	if n.has("nvmlDeviceGetUtilizationRates") {
		if rates, ret := handle.GetUtilizationRates(); ret == nvml.SUCCESS {
			f.Utilisation = new(int(rates.Gpu))
		}
	}
	f.MemoryUsedMiB = n.memoryUsed(handle)
}

func (n nvidia) memoryUsed(handle nvml.Device) *int64 {
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return nil
	}
	return new(int64(memory.Used >> 20))
}

func (n nvidia) processes(handle nvml.Device) []nvml.ProcessInfo {
	if !n.hasVersion("nvmlDeviceGetComputeRunningProcesses") {
		return nil
	}
	running, ret := handle.GetComputeRunningProcesses()
	if ret != nvml.SUCCESS {
		return nil
	}
	return running
}

func (n nvidia) named(running []nvml.ProcessInfo) []Process {
	var processes []Process
	for _, p := range running {
		process := Process{PID: int(p.Pid), Name: n.host.text(fmt.Sprintf("proc/%d/comm", p.Pid))}
		if used := int64(p.UsedGpuMemory); used > 0 { // all bits set: not told
			process.MemoryMiB = used >> 20
		}
		processes = append(processes, process)
	}
	return processes
}
