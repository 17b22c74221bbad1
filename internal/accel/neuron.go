package accel

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Neuron lists the cores of AWS Inferentia and Trainium chips, as neuron-ls
// prints them: a core is what a process has to itself. Without /dev/neuron* there
// are none, and the tool is not asked.
func Neuron(h Host) Inventory { return neuron{h} }

type neuron struct{ Host }

// neuronChip is one entry of `neuron-ls --json-output`.
type neuronChip struct {
	Number    int    `json:"neuron_device"`
	Cores     int    `json:"nc_count"`
	CoreIDs   []int  `json:"neuroncore_ids"` // older tools don't say
	Memory    int64  `json:"memory_size"`    // bytes, of the chip
	Connected []int  `json:"connected_to"`
	CPUs      string `json:"cpu_affinity"`
	NUMA      string `json:"numa_node"` // "-1": unknown
	Instance  string `json:"instance_type"`
	Processes []struct {
		PID     int    `json:"pid"`
		Command string `json:"command"`
	} `json:"neuron_processes"`
}

// Devices implements Inventory.
func (n neuron) Devices(ctx context.Context) ([]models.Device, error) {
	chips, err := n.chips(ctx)
	if err != nil {
		return nil, err
	}
	devices := []models.Device{}
	for _, chip := range chips {
		for _, core := range chip.CoreIDs {
			device := models.Device{
				UUID: n.uuid(core), Vendor: models.VendorNeuron, Model: n.model(chip), MemoryMiB: chip.Memory >> 20 / int64(len(chip.CoreIDs)),
				Index: core, CPUs: chip.CPUs, Links: n.links(chip, core, chips),
			}
			if node, err := strconv.Atoi(chip.NUMA); err == nil && node >= 0 {
				device.NUMANode = &node
			}
			devices = append(devices, device)
		}
	}
	sortDevices(devices)
	return devices, nil
}

func (n neuron) uuid(core int) string { return fmt.Sprintf("NEURON-%s-%d", n.Node, core) }

// chips asks the tool, and numbers cores as the runtime does where the tool does
// not: through all chips.
func (n neuron) chips(ctx context.Context) ([]neuronChip, error) {
	files, err := n.entries("dev")
	if err != nil {
		return nil, err
	}
	present := slices.ContainsFunc(files, func(e fs.DirEntry) bool {
		number, ok := strings.CutPrefix(e.Name(), "neuron")
		return ok && numeric(number)
	})
	if !present {
		return nil, nil
	}
	out, err := n.Run(ctx, "neuron-ls", "--json-output")
	if err != nil {
		return nil, fmt.Errorf("this host has /dev/neuron*, but neuron-ls fails: %w; install aws-neuronx-tools and put it on the PATH", err)
	}
	var chips []neuronChip
	if err := json.Unmarshal(out, &chips); err != nil {
		return nil, fmt.Errorf("neuron-ls prints no list of devices: %w", err)
	}
	if len(chips) == 0 {
		return nil, fmt.Errorf("this host has /dev/neuron*, but neuron-ls lists no device; see whether the driver aws-neuronx-dkms is well")
	}
	slices.SortFunc(chips, func(a, b neuronChip) int { return cmp.Compare(a.Number, b.Number) })
	next := 0
	for i := range chips {
		if len(chips[i].CoreIDs) == 0 {
			for core := range chips[i].Cores {
				chips[i].CoreIDs = append(chips[i].CoreIDs, next+core)
			}
		}
		next += len(chips[i].CoreIDs)
	}
	return chips, nil
}

func (n neuron) model(chip neuronChip) string {
	kind := n.text(fmt.Sprintf("sys/devices/virtual/neuron_device/neuron%d/info/architecture/device_name", chip.Number))
	instance := cmp.Or(chip.Instance, n.text("sys/devices/virtual/dmi/id/product_name"))
	return strings.TrimSpace("AWS " + cmp.Or(kind, "Neuron") + " " + instance)
}

// links are the other cores of the chip, and those of the chips next to it.
func (n neuron) links(chip neuronChip, core int, chips []neuronChip) []string {
	var peers []string
	for _, other := range chips {
		if other.Number != chip.Number && !slices.Contains(chip.Connected, other.Number) {
			continue
		}
		for _, peer := range other.CoreIDs {
			if peer != core {
				peers = append(peers, n.uuid(peer))
			}
		}
	}
	slices.Sort(peers)
	return peers
}

// Measure implements Measurer: the tool tells the processes of a chip, not of a
// core.
func (n neuron) Measure(ctx context.Context) ([]Figures, error) {
	chips, err := n.chips(ctx)
	if err != nil {
		return nil, err
	}
	var all []Figures
	for _, chip := range chips {
		var processes []Process
		for _, p := range chip.Processes {
			processes = append(processes, Process{PID: p.PID, Name: p.Command})
		}
		for _, core := range chip.CoreIDs {
			all = append(all, Figures{UUID: n.uuid(core), Processes: processes})
		}
	}
	return all, nil
}
