package accel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Intel lists the discrete GPUs that are bound to a kernel driver. Graphics that
// are part of the processor are counted, because Level Zero counts them, but not
// offered.
func Intel(h Host) Inventory { return intel{h} }

type intel struct{ Host }

const (
	drmCards    = "sys/class/drm"
	intelVendor = "0x8086"
	// integrated is where every processor of Intel has its own graphics.
	integrated = "0000:00:02.0"
)

type intelCard struct{ name, address, driver, id string }

// Devices implements Inventory.
func (i intel) Devices(context.Context) ([]models.Device, error) {
	cards, err := i.cards()
	if err != nil {
		return nil, err
	}
	devices := []models.Device{}
	for number, card := range cards {
		if card.address == integrated {
			continue
		}
		device := models.Device{
			UUID: fmt.Sprintf("INTEL-%s-%s", i.Node, card.address), Vendor: models.VendorIntel,
			Model: "Intel GPU " + card.id, MemoryMiB: i.memoryMiB(card.name), Index: number,
		}
		device.NUMANode, device.CPUs = i.place(card.address)
		devices = append(devices, device)
	}
	sortDevices(devices)
	return devices, nil
}

// Watch implements Watcher.
func (i intel) Watch(ctx context.Context, report func(Event)) error {
	return watchByPolling(ctx, pollEvery, i.Devices, report)
}

// cards are Intel's, in order of their PCI address. Those that are passed on to
// virtual machines have another driver, and are not ours to lend.
func (i intel) cards() ([]intelCard, error) {
	entries, err := i.entries(drmCards)
	if err != nil {
		return nil, err
	}
	var cards []intelCard
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "card") || strings.Contains(name, "-") {
			continue // card0-DP-1 is a socket of card0
		}
		if i.text(drmCards+"/"+name+"/device/vendor") != intelVendor {
			continue
		}
		event := i.uevent(drmCards + "/" + name + "/device/uevent")
		card := intelCard{name: name, address: event["PCI_SLOT_NAME"], driver: event["DRIVER"], id: event["PCI_ID"]}
		if card.driver == "i915" || card.driver == "xe" {
			cards = append(cards, card)
		}
	}
	slices.SortFunc(cards, func(a, b intelCard) int { return strings.Compare(a.address, b.address) })
	return cards, nil
}

// uevent reads NAME=value lines.
func (i intel) uevent(path string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(i.text(path)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	return values
}

// memoryMiB: not every driver tells; 0 then.
func (i intel) memoryMiB(card string) int64 {
	var bytes int64
	if n, ok := i.number(drmCards + "/" + card + "/lmem_total_bytes"); ok {
		return n >> 20
	}
	for tile := range 2 {
		if n, ok := i.number(fmt.Sprintf("%s/%s/device/tile%d/physical_vram_size_bytes", drmCards, card, tile)); ok {
			bytes += n
		}
	}
	return bytes >> 20
}
