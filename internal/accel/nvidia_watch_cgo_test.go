//go:build cgo

package accel

import (
	"context"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"

	"github.com/mainspring-ml/mainspring/models"
)

// hear returns what the watcher reports of one event.
func hear(t *testing.T, d *driver, data nvml.EventData) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d.events <- data
	var heard Event
	if err := d.inventory(fstest.MapFS{}).Watch(ctx, func(e Event) { heard = e; cancel() }); err != nil {
		t.Fatal(err)
	}
	return heard
}

func xid(d *driver, gpu int, number uint64, gi, ci uint32) nvml.EventData {
	return nvml.EventData{
		Device: d.Devices[gpu], EventType: nvml.EventTypeXidCriticalError, EventData: number, GpuInstanceId: gi, ComputeInstanceId: ci,
	}
}

func TestXIDHitsTheDeviceThatItNames(t *testing.T) {
	d := newDriver(dgxa100.New())
	d.gpu(6).GetFieldValuesFunc = func([]nvml.FieldValue) nvml.Return { return nvml.ERROR_GPU_IS_LOST }
	uuid := d.gpu(6).UUID
	e := hear(t, d, xid(d, 6, 79, notAttributable, notAttributable))
	if !slices.Equal(e.UUIDs, []string{uuid}) || e.Fault == nil || e.Fault.Code != "XID 79" || e.Fault.Action != models.FaultQuarantine {
		t.Errorf("heard %+v, %+v", e, e.Fault)
	}
	if e := hear(t, d, xid(d, 6, 31, notAttributable, notAttributable)); e.Fault != nil {
		t.Errorf("an application's page fault is told as %+v", e.Fault)
	}
}

// Siblings share a GPU: what hits the GPU hits all of them, what hits one leaves
// the others alone.
func TestXIDOfAMIGDeviceHitsTheInstancesThatItNames(t *testing.T) {
	both := []string{"MIG-a", "MIG-b"}
	for name, c := range map[string]struct {
		gi, ci  uint32
		lacking []string
		want    []string
	}{
		"whole GPU":            {notAttributable, notAttributable, nil, both},
		"GPU instance":         {2, notAttributable, nil, []string{"MIG-b"}},
		"compute instance":     {1, 0, nil, []string{"MIG-a"}},
		"instance that left":   {5, 0, nil, both},
		"driver names nothing": {1, 0, []string{"nvmlEventSetWait_v2"}, both},
	} {
		d := newDriver(dgxa100.New(), c.lacking...)
		d.cut(d.gpu(2), both...)
		if e := hear(t, d, xid(d, 2, 94, c.gi, c.ci)); !slices.Equal(e.UUIDs, c.want) || e.Fault.Action != models.FaultRestart {
			t.Errorf("%s: heard %+v, want %v", name, e, c.want)
		}
	}
}

func TestXIDWhoseMeaningTheDriverKnows(t *testing.T) {
	d := newDriver(dgxa100.New())
	if e := hear(t, d, xid(d, 0, 154, notAttributable, notAttributable)); e.Fault != nil || len(e.UUIDs) != 1 {
		t.Errorf("heard %+v; the listing tells what the device needs", e)
	}
	old := newDriver(dgxa100.New(), "nvmlDeviceGetFieldValues")
	if e := hear(t, old, xid(old, 0, 149, notAttributable, notAttributable)); e.Fault == nil || e.Fault.Action != models.FaultQuarantine {
		t.Errorf("heard %+v of a driver that can't tell", e)
	}
}

func TestDoubleBitErrorIsXID48(t *testing.T) {
	d := newDriver(dgxa100.New())
	e := hear(t, d, nvml.EventData{Device: d.Devices[1], EventType: nvml.EventTypeDoubleBitEccError})
	if e.Fault == nil || e.Fault.Code != "XID 48" {
		t.Errorf("heard %+v", e)
	}
}

func TestWatchEndsWithAnErrorWhenTheDriverFails(t *testing.T) {
	d := newDriver(dgxa100.New())
	create := d.EventSetCreateFunc
	d.EventSetCreateFunc = func() (nvml.EventSet, nvml.Return) {
		set, ret := create()
		return failingSet{set}, ret
	}
	var heard []Event
	err := d.inventory(fstest.MapFS{}).Watch(t.Context(), func(e Event) { heard = append(heard, e) })
	if err == nil || len(heard) != 1 || heard[0].Fault != nil {
		t.Errorf("got %v, heard %v; want an error and one reason to look", err, heard)
	}
}

type failingSet struct{ nvml.EventSet }

func (failingSet) Wait(uint32) (nvml.EventData, nvml.Return) {
	return nvml.EventData{}, nvml.ERROR_GPU_IS_LOST
}

func TestDeviceWithoutEventsIsNotRegistered(t *testing.T) {
	d := newDriver(dgxa100.New())
	d.gpu(0).GetSupportedEventTypesFunc = func() (uint64, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	d.gpu(1).GetSupportedEventTypesFunc = func() (uint64, nvml.Return) { return nvml.EventTypeSingleBitEccError, nvml.SUCCESS }
	d.gpu(0).RegisterEventsFunc, d.gpu(1).RegisterEventsFunc = nil, nil
	if e := hear(t, d, xid(d, 2, 95, notAttributable, notAttributable)); e.Fault == nil {
		t.Error("the others are not watched")
	}
}
