package accel

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// TPU lists Google's TPU chips: PCI devices of known kinds, or /dev/accel* where
// TPU_ACCELERATOR_TYPE says that these are TPUs. Network cards of the same
// vendor, and other devices that are bound to VFIO, are none.
func TPU(h Host) Inventory { return tpu{h} }

type tpu struct{ Host }

const googleVendor = "0x1ae0"

// tpuModel names a chip by its PCI device ID.
func tpuModel(id string) (string, bool) {
	model, ok := map[string]string{
		"0x0027": "TPU v3", // v2 as well
		"0x005e": "TPU v4", "0x0062": "TPU v5p", "0x0063": "TPU v5e", "0x006f": "TPU v6e", "0x0076": "TPU7x",
	}[id]
	return model, ok
}

// Devices implements Inventory.
func (t tpu) Devices(context.Context) ([]models.Device, error) {
	chips, err := t.chips()
	if err != nil {
		return nil, err
	}
	nodes, err := t.deviceNodes(len(chips) > 0)
	if err != nil {
		return nil, err
	}
	kind := t.Getenv("TPU_ACCELERATOR_TYPE")
	switch {
	case len(chips) == 0 && kind == "":
		return []models.Device{}, nil // other vendors have /dev/accel* too
	case len(chips) == 0:
		chips = make([]models.Device, nodes)
	case len(chips) != nodes:
		return nil, fmt.Errorf("this host has %d TPU chips but %d device files (/dev/accel*, /dev/vfio/*); "+
			"see whether the TPU driver is loaded, and give a container access to all of them", len(chips), nodes)
	}
	for i := range chips {
		chips[i].UUID, chips[i].Vendor, chips[i].Index = fmt.Sprintf("TPU-%s-%d", t.Node, i), models.VendorTPU, i
		chips[i].Model = cmp.Or(chips[i].Model, "TPU "+kind)
	}
	sortDevices(chips)
	return chips, nil
}

// Watch implements Watcher.
func (t tpu) Watch(ctx context.Context, report func(Event)) error {
	return watchByPolling(ctx, pollEvery, t.Devices, report)
}

// chips in order of their PCI address, without a name yet.
func (t tpu) chips() ([]models.Device, error) {
	entries, err := t.entries(pciDevices)
	if err != nil {
		return nil, err
	}
	var chips []models.Device
	for _, entry := range entries { // sorted by name
		dir := pciDevices + "/" + entry.Name()
		if t.text(dir+"/vendor") != googleVendor {
			continue
		}
		model, known := tpuModel(t.text(dir + "/device"))
		if !known {
			continue
		}
		chip := models.Device{Model: model}
		chip.NUMANode, chip.CPUs = t.place(entry.Name())
		chips = append(chips, chip)
	}
	return chips, nil
}

// deviceNodes counts what programs open: /dev/accel0…, or the numbered files in
// /dev/vfio of newer generations.
func (t tpu) deviceNodes(vfio bool) (int, error) {
	entries, err := t.entries("dev")
	if err != nil {
		return 0, err
	}
	count := 0
	for _, entry := range entries {
		if number, ok := strings.CutPrefix(entry.Name(), "accel"); ok && numeric(number) {
			count++
		}
	}
	if count > 0 || !vfio {
		return count, nil
	}
	groups, err := t.entries("dev/vfio")
	if err != nil {
		return 0, err
	}
	return len(slices.DeleteFunc(groups, func(e fs.DirEntry) bool { return !numeric(e.Name()) })), nil
}

func numeric(text string) bool {
	_, err := strconv.ParseUint(text, 10, 32)
	return err == nil
}
