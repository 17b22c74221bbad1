package accel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/models"
)

// Inventory lists devices, sorted by UUID. It may be asked again at any time,
// concurrently as well; an answer is what is there now. A device that the probe
// finds broken has a Fault, without a time.
type Inventory interface {
	Devices(context.Context) ([]models.Device, error)
}

// Measurer is an inventory that also knows what its devices do at the moment.
type Measurer interface {
	Measure(context.Context) ([]Figures, error)
}

// Watcher is an inventory that notices changes by itself. Watch reports them
// until ctx ends, which is no error; after an error it may be called again.
// Reports come from one goroutine per watcher.
type Watcher interface {
	Watch(ctx context.Context, report func(Event)) error
}

// Event is a reason to list the devices again. With a fault it says more: that
// happened to these devices, and no probe will tell it.
type Event struct {
	UUIDs []string
	Fault *models.DeviceFault // without a time; nil: only look again
}

// Detect joins the inventories of every vendor whose devices this host may have.
// The node's name becomes part of the names of devices that have no UUID.
func Detect(node string) Inventory { return detect(thisHost(node)) }

func detect(h Host) Inventory {
	return Join(newNVIDIA(h.Files), AMD(h), Intel(h), TPU(h), Neuron(h))
}

// Join asks every inventory. It fails when one of them fails, and when two
// name the same device.
func Join(inventories ...Inventory) Inventory { return joined(inventories) }

type joined []Inventory

func (j joined) Devices(ctx context.Context) ([]models.Device, error) {
	devices := []models.Device{}
	for _, inventory := range j {
		found, err := inventory.Devices(ctx)
		if err != nil {
			return nil, err
		}
		devices = append(devices, found...)
	}
	sortDevices(devices)
	for i := 1; i < len(devices); i++ {
		if devices[i].UUID == devices[i-1].UUID {
			return nil, fmt.Errorf("device %s is listed twice; a device can be in one inventory only", devices[i].UUID)
		}
	}
	return devices, nil
}

func sortDevices(devices []models.Device) {
	slices.SortFunc(devices, func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
}

// Measure asks those that can.
func (j joined) Measure(ctx context.Context) ([]Figures, error) {
	var all []Figures
	for _, inventory := range j {
		measurer, ok := inventory.(Measurer)
		if !ok {
			continue
		}
		figures, err := measurer.Measure(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, figures...)
	}
	return all, nil
}

// Watch runs every watcher and ends with the first that fails.
func (j joined) Watch(ctx context.Context, report func(Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lock sync.Mutex
	one := func(e Event) {
		lock.Lock()
		defer lock.Unlock()
		report(e)
	}
	var running sync.WaitGroup
	failures := make([]error, len(j))
	for i, inventory := range j {
		if watcher, ok := inventory.(Watcher); ok {
			running.Go(func() {
				if failures[i] = watcher.Watch(ctx, one); failures[i] != nil {
					cancel()
				}
			})
		}
	}
	running.Wait()
	return errors.Join(failures...)
}
