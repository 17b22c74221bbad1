//go:build cgo

package accel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/mainspring-ml/mainspring/models"
)

// eventWait is how long one wait for events lasts; an event ends it at once.
const eventWait = time.Second

// notAttributable is the instance number of an event that concerns the whole GPU.
const notAttributable = ^uint32(0)

// Watch implements Watcher: it waits for the driver's XIDs and memory errors.
// The library stays started meanwhile.
func (n nvidia) Watch(ctx context.Context, report func(Event)) (err error) {
	gpus, closeIt, err := n.gpus()
	if errors.Is(err, errNoDriver) {
		<-ctx.Done()
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeIt()) }()
	if !n.has("nvmlEventSetCreate", "nvmlDeviceRegisterEvents", "nvmlDeviceGetSupportedEventTypes", "nvmlEventSetFree") || !n.hasVersion("nvmlEventSetWait") {
		return fmt.Errorf("the NVIDIA driver tells no events; update the driver, or device faults are found by their consequences only")
	}
	set, ret := n.lib.EventSetCreate()
	if ret != nvml.SUCCESS {
		return failed("create an event set", ret)
	}
	defer func() {
		if ret := set.Free(); ret != nvml.SUCCESS {
			err = errors.Join(err, failed("free the event set", ret))
		}
	}()
	if err := register(gpus, set); err != nil {
		return err
	}
	for ctx.Err() == nil {
		data, ret := set.Wait(uint32(eventWait.Milliseconds()))
		switch ret {
		case nvml.SUCCESS:
			report(n.event(data, gpus))
		case nvml.ERROR_TIMEOUT:
		default:
			// A device that is lost ends the wait this way. Which one, the next
			// listing may tell.
			report(Event{})
			return failed("wait for events", ret)
		}
	}
	return nil
}

// register asks for the events that each device knows; one that knows none is
// not watched.
func register(gpus []gpu, set nvml.EventSet) error {
	const wanted = nvml.EventTypeXidCriticalError | nvml.EventTypeDoubleBitEccError
	for _, g := range gpus {
		supported, ret := g.handle.GetSupportedEventTypes()
		if ret == nvml.ERROR_NOT_SUPPORTED || ret == nvml.SUCCESS && supported&wanted == 0 {
			continue
		}
		if ret != nvml.SUCCESS {
			return failed("read the events of device "+g.uuid, ret)
		}
		if ret := g.handle.RegisterEvents(supported&wanted, set); ret != nvml.SUCCESS {
			return failed("register for the events of device "+g.uuid, ret)
		}
	}
	return nil
}

// event says which devices are hit and what that means. The device is found by
// its handle: one that has fallen off the bus does not tell its UUID any more.
func (n nvidia) event(data nvml.EventData, gpus []gpu) Event {
	for _, g := range gpus {
		if g.handle != data.Device {
			continue
		}
		return Event{UUIDs: n.hit(data, g), Fault: n.meaning(data, g)}
	}
	return Event{}
}

func (n nvidia) meaning(data nvml.EventData, g gpu) *models.DeviceFault {
	const doubleBit = 48 // the XID of the same error
	switch data.EventType {
	case nvml.EventTypeXidCriticalError:
		return n.policy.fault(data.EventData, n.recovery(g))
	case nvml.EventTypeDoubleBitEccError:
		return n.policy.fault(doubleBit, n.recovery(g))
	default:
		return nil
	}
}

// hit are the UUIDs that an event concerns: the instances that it names, those
// of the GPU when it names none, or names one that is not there any more.
func (n nvidia) hit(data nvml.EventData, g gpu) []string {
	if !g.partitioned {
		return []string{g.uuid}
	}
	instances := g.instances
	if now, err := n.instances(g); err == nil {
		instances = now // they come and go while the GPU stays in MIG mode
	}
	// Without the second version of the wait, events name no instance: the
	// numbers are 0 for all.
	attributable := n.has("nvmlEventSetWait_v2") && data.GpuInstanceId != notAttributable
	var all, named []string
	for _, i := range instances {
		all = append(all, i.uuid)
		sameGPU := i.gi == int(data.GpuInstanceId)
		sameCompute := data.ComputeInstanceId == notAttributable || i.ci == int(data.ComputeInstanceId)
		if attributable && i.numbers && sameGPU && sameCompute {
			named = append(named, i.uuid)
		}
	}
	if len(named) > 0 {
		return named
	}
	return all
}
