package accel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Virtual is an inventory of Count devices that exist by declaration.
type Virtual struct {
	Node      string
	Count     int
	Model     string // default: virtual
	MemoryMiB int64
	// MIG is the layout of each device in order, see ParseMIGLayout; a single one
	// is that of all. A device without a layout is whole.
	MIG []MIGLayout
	// NUMANodes spreads the devices, and the host's cores, evenly over so many
	// memory nodes. 0: unknown, as on a laptop.
	NUMANodes int
	Cores     int  // of the host; needed with NUMANodes
	Linked    bool // every device reaches every other, as over NVLink
	// Faults names the control file that breaks devices; empty: none breaks.
	Faults string
}

// Devices lists them. The UUIDs are VIRT-<node>-<i>, and VIRT-<node>-<i>-mig-<k>
// for instances, so that they differ between hosts.
func (v Virtual) Devices(context.Context) ([]models.Device, error) {
	faults, err := readVirtualFaults(v.Faults)
	if err != nil {
		return nil, err
	}
	devices := []models.Device{}
	for i := range v.Count {
		for _, d := range v.device(i) {
			fault, broken := faults[d.UUID]
			if !broken && d.Parent != "" {
				fault = faults[d.Parent]
			}
			if fault.Gone {
				continue
			}
			d.Fault = fault.device()
			devices = append(devices, d)
		}
	}
	sortDevices(devices)
	return devices, nil
}

func (v Virtual) uuid(i int) string { return fmt.Sprintf("VIRT-%s-%d", v.Node, i) }

// device is the whole i-th device, or its instances.
func (v Virtual) device(i int) []models.Device {
	whole := models.Device{
		UUID: v.uuid(i), Vendor: models.VendorVirtual, Model: cmp.Or(v.Model, "virtual"), MemoryMiB: v.MemoryMiB, Index: i,
	}
	if v.NUMANodes > 0 {
		node := i * v.NUMANodes / v.Count
		whole.NUMANode = &node
		if first, next := node*v.Cores/v.NUMANodes, (node+1)*v.Cores/v.NUMANodes; first < next {
			whole.CPUs = cpuRange(first, next-1)
		}
	}
	layout := v.layout(i)
	if len(layout) == 0 {
		whole.Links = v.links(i)
		return []models.Device{whole}
	}
	instances := make([]models.Device, len(layout))
	for k, profile := range layout {
		instance := whole
		instance.UUID, instance.Parent = fmt.Sprintf("%s-mig-%d", whole.UUID, k), whole.UUID
		instance.MIGProfile, instance.MemoryMiB = profile.Name, profile.MemoryMiB
		instances[k] = instance
	}
	return instances
}

func (v Virtual) layout(i int) MIGLayout {
	if len(v.MIG) == 1 {
		return v.MIG[0]
	}
	if i < len(v.MIG) {
		return v.MIG[i]
	}
	return nil
}

// links: instances have none, as on real devices.
func (v Virtual) links(i int) []string {
	if !v.Linked {
		return nil
	}
	var peers []models.Device
	for peer := range v.Count {
		if peer != i && len(v.layout(peer)) == 0 {
			peers = append(peers, models.Device{UUID: v.uuid(peer)})
		}
	}
	sortDevices(peers)
	var links []string
	for _, peer := range peers {
		links = append(links, peer.UUID)
	}
	return links
}

// virtualPoll is how often the control file is read.
const virtualPoll = 500 * time.Millisecond

// Watch follows the control file.
func (v Virtual) Watch(ctx context.Context, report func(Event)) error {
	if v.Faults == "" {
		<-ctx.Done()
		return nil
	}
	return watchByPolling(ctx, virtualPoll, v.Devices, report)
}

// virtualFault is one device's entry in the control file.
type virtualFault struct {
	Gone   bool               `json:"gone"`
	Code   string             `json:"code"`
	Action models.FaultAction `json:"action"`
	Reason string             `json:"reason"`
}

func (f virtualFault) device() *models.DeviceFault {
	if f.Action == "" {
		return nil
	}
	return &models.DeviceFault{Code: cmp.Or(f.Code, "injected"), Action: f.Action, Reason: cmp.Or(f.Reason, "told by the control file")}
}

// readVirtualFaults reads the control file: a JSON object from UUIDs to faults,
// with "probe" for a probe that fails. A file that is not there breaks nothing; an
// empty one is being written, and is a failed probe like any that can't be read.
// Devices of other hosts may be named in it.
func readVirtualFaults(path string) (map[string]virtualFault, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the control file of virtual faults: %w", err)
	}
	entries := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("control file %s is no JSON object: %w", path, err)
	}
	if text, ok := entries["probe"]; ok {
		return nil, fmt.Errorf("the probe of the virtual devices fails, as %s says: %s", path, strings.Trim(string(text), `"`))
	}
	faults := map[string]virtualFault{}
	for uuid, entry := range entries {
		decoder := json.NewDecoder(bytes.NewReader(entry))
		decoder.DisallowUnknownFields()
		var f virtualFault
		if err := decoder.Decode(&f); err != nil {
			return nil, fmt.Errorf("control file %s, device %s: %w; write {\"action\": \"quarantine\"} or {\"gone\": true}", path, uuid, err)
		}
		switch f.Action {
		case models.FaultQuarantine, models.FaultRestart:
		case "":
			if !f.Gone {
				return nil, fmt.Errorf("control file %s, device %s: no action; write quarantine or restart, or gone", path, uuid)
			}
		default:
			return nil, fmt.Errorf("control file %s, device %s: action %q is neither quarantine nor restart", path, uuid, f.Action)
		}
		faults[uuid] = f
	}
	return faults, nil
}
