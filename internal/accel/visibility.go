package accel

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Visibility returns the environment variables, as NAME=value, that pin a
// process to devices. The variables of every vendor are set: one that is unset
// would mean all of the host's devices.
func Visibility(devices []models.Device) []string {
	of := map[models.Vendor][]models.Device{}
	var all []string
	for _, d := range devices {
		of[d.Vendor] = append(of[d.Vendor], d)
		all = append(all, d.UUID)
	}
	env := []string{
		"CUDA_VISIBLE_DEVICES=" + join(of[models.VendorNVIDIA], uuid),
		"ROCR_VISIBLE_DEVICES=" + join(of[models.VendorAMD], rocr),
		"ZE_AFFINITY_MASK=" + intelMask(of[models.VendorIntel]),
		"TPU_VISIBLE_CHIPS=" + join(byIndex(of[models.VendorTPU]), index),
		"NEURON_RT_VISIBLE_CORES=" + join(byIndex(of[models.VendorNeuron]), index),
		"MAINSPRING_VISIBLE_DEVICES=" + strings.Join(all, ","),
	}
	if len(of[models.VendorIntel]) > 0 {
		env = append(env, intelOrder()...)
	}
	return append(env, tpuBounds(len(of[models.VendorTPU]))...)
}

// byIndex orders devices that are named by number: in a lease they are in order
// of their UUIDs, where 10 comes before 2.
func byIndex(devices []models.Device) []models.Device {
	return slices.SortedStableFunc(slices.Values(devices), func(a, b models.Device) int { return a.Index - b.Index })
}

func join(devices []models.Device, name func(models.Device) string) string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = name(d)
	}
	return strings.Join(names, ",")
}

func uuid(d models.Device) string  { return d.UUID }
func index(d models.Device) string { return strconv.Itoa(d.Index) }

// rocr: ROCm takes its own UUIDs, and indices for devices that have none.
func rocr(d models.Device) string {
	if strings.HasPrefix(d.UUID, rocmUUID) {
		return d.UUID
	}
	return index(d)
}

// noIntelDevice is a device number that no host has. Level Zero reads an empty
// mask like none at all, which shows everything.
const noIntelDevice = "255"

func intelMask(devices []models.Device) string {
	if len(devices) == 0 {
		return noIntelDevice
	}
	return join(byIndex(devices), index)
}

// intelOrder makes the mask's numbers mean what the inventory means by them:
// whole cards, in order of their PCI address.
func intelOrder() []string {
	return []string{"ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE", "ZE_ENABLE_PCI_ID_DEVICE_ORDER=1"}
}

// tpuBounds describes how that many chips of a host are laid out, under the old
// and the new names. Other numbers of chips have no layout of their own.
func tpuBounds(chips int) []string {
	bounds := map[int]string{1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}[chips]
	if bounds == "" {
		return nil
	}
	return []string{
		"TPU_CHIPS_PER_HOST_BOUNDS=" + bounds, "TPU_HOST_BOUNDS=1,1,1",
		"TPU_CHIPS_PER_PROCESS_BOUNDS=" + bounds, "TPU_PROCESS_BOUNDS=1,1,1",
	}
}
