package accel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Inventory lists devices, sorted by UUID. It may be asked again at any time,
// concurrently as well; an answer is what is there now.
type Inventory interface {
	Devices(context.Context) ([]models.Device, error)
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
	slices.SortFunc(devices, func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
	for i := 1; i < len(devices); i++ {
		if devices[i].UUID == devices[i-1].UUID {
			return nil, fmt.Errorf("device %s is listed twice; a device can be in one inventory only", devices[i].UUID)
		}
	}
	return devices, nil
}

// Virtual is an inventory of Count equal devices that exist by declaration.
type Virtual struct {
	Node      string
	Count     int
	Model     string // default: virtual
	MemoryMiB int64
}

// Devices never fails. The UUIDs are VIRT-<node>-<i>, so that they differ
// between hosts.
func (v Virtual) Devices(context.Context) ([]models.Device, error) {
	devices := make([]models.Device, v.Count)
	for i := range devices {
		devices[i] = models.Device{
			UUID:      fmt.Sprintf("VIRT-%s-%d", v.Node, i),
			Vendor:    models.VendorVirtual,
			Model:     cmp.Or(v.Model, "virtual"),
			MemoryMiB: v.MemoryMiB,
			Index:     i,
		}
	}
	slices.SortFunc(devices, func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
	return devices, nil
}

// Visibility returns the environment variables, as NAME=value, that pin a
// process to devices. CUDA_VISIBLE_DEVICES is always set: unset would mean all
// of the host's, empty means none.
func Visibility(devices []models.Device) []string {
	var all, nvidia []string
	for _, d := range devices {
		all = append(all, d.UUID)
		if d.Vendor == models.VendorNVIDIA {
			nvidia = append(nvidia, d.UUID)
		}
	}
	return []string{
		"CUDA_VISIBLE_DEVICES=" + strings.Join(nvidia, ","),
		"MAINSPRING_VISIBLE_DEVICES=" + strings.Join(all, ","),
	}
}
