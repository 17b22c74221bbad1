package accel

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// AMD lists the GPUs that the kernel's compute driver (KFD) offers, in its order,
// which is ROCm's. In a partitioned GPU each partition is one. A loaded driver
// without its topology is an error.
func AMD(h Host) Inventory { return amd{h} }

type amd struct{ Host }

const (
	kfdNodes  = "sys/class/kfd/kfd/topology/nodes"
	amdgpu    = "sys/module/amdgpu/drivers/pci:amdgpu"
	rocmUUID  = "GPU-" // with 16 hexadecimal digits, as ROCm writes it
	linkXGMI  = 11
	heapLocal = 2 // memory of the device that the host does not see; 1: that it sees
)

// kfdNode is one node of the compute driver's topology that is a GPU.
type kfdNode struct {
	number     int
	properties map[string]uint64
	address    string // of its PCI device
	device     models.Device
}

// Devices implements Inventory.
func (a amd) Devices(context.Context) ([]models.Device, error) {
	nodes, err := a.nodes()
	if err != nil {
		return nil, err
	}
	devices := []models.Device{}
	for _, n := range nodes {
		n.device.Links = a.links(n, nodes)
		devices = append(devices, n.device)
	}
	sortDevices(devices)
	return devices, nil
}

// Watch implements Watcher.
func (a amd) Watch(ctx context.Context, report func(Event)) error {
	return watchByPolling(ctx, pollEvery, a.Devices, report)
}

func (a amd) nodes() ([]kfdNode, error) {
	cards, err := a.entries(amdgpu)
	if err != nil {
		return nil, err
	}
	bound := slices.ContainsFunc(cards, func(e fs.DirEntry) bool { return strings.Count(e.Name(), ":") == 2 })
	entries, err := a.entries(kfdNodes)
	if err != nil {
		return nil, err
	}
	if bound && len(entries) == 0 {
		return nil, fmt.Errorf("the driver amdgpu has devices, but /%s is empty; "+
			"load a kernel with KFD, or give the container access to it", kfdNodes)
	}
	var nodes []kfdNode
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		properties, err := a.properties(fmt.Sprintf("%s/%d/properties", kfdNodes, number))
		if err != nil {
			return nil, err
		}
		if properties["simd_count"] == 0 {
			continue // a CPU
		}
		nodes = append(nodes, kfdNode{number: number, properties: properties, address: pciAddress(properties)})
	}
	slices.SortFunc(nodes, func(x, y kfdNode) int { return x.number - y.number })
	for i := range nodes {
		if err := a.describe(nodes, i); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// describe fills in the device of the i-th GPU.
func (a amd) describe(nodes []kfdNode, i int) error {
	n := &nodes[i]
	memory, err := a.memoryMiB(n.number)
	if err != nil {
		return err
	}
	n.device = models.Device{
		UUID: a.uuid(nodes, i), Vendor: models.VendorAMD, Model: a.model(*n), MemoryMiB: memory, Index: i,
	}
	n.device.NUMANode, n.device.CPUs = a.place(n.address)
	return nil
}

// uuid is ROCm's own. Consumer cards have none, and partitions may share their
// GPU's: those are named after their place, and pinned by index.
func (a amd) uuid(nodes []kfdNode, i int) string {
	id := nodes[i].properties["unique_id"]
	shared := false
	for j, other := range nodes {
		shared = shared || j != i && other.properties["unique_id"] == id
	}
	if id != 0 && !shared {
		return fmt.Sprintf("%s%016x", rocmUUID, id)
	}
	return fmt.Sprintf("AMD-%s-%s-%d", a.Node, nodes[i].address, nodes[i].properties["drm_render_minor"])
}

// model prefers the board's own name, "AMD Instinct MI300X".
func (a amd) model(n kfdNode) string {
	if name := a.text(pciDevices + "/" + n.address + "/product_name"); name != "" {
		return name
	}
	v := n.properties["gfx_target_version"] // 90402 is gfx942
	return fmt.Sprintf("AMD gfx%d%x%x", v/10000, v/100%100, v%100)
}

func (a amd) memoryMiB(node int) (int64, error) {
	dir := fmt.Sprintf("%s/%d/mem_banks", kfdNodes, node)
	banks, err := a.entries(dir)
	if err != nil {
		return 0, err
	}
	var bytes uint64
	for _, bank := range banks {
		properties, err := a.properties(dir + "/" + bank.Name() + "/properties")
		if err != nil {
			return 0, err
		}
		if heap := properties["heap_type"]; 1 <= heap && heap <= heapLocal {
			bytes += properties["size_in_bytes"]
		}
	}
	return int64(bytes >> 20), nil
}

// links are the GPUs that are reached over XGMI.
func (a amd) links(n kfdNode, nodes []kfdNode) []string {
	var peers []string
	dir := fmt.Sprintf("%s/%d/io_links", kfdNodes, n.number)
	entries, err := a.entries(dir)
	if err != nil {
		return nil // known to be there: the node's other files were read
	}
	for _, entry := range entries {
		link, err := a.properties(dir + "/" + entry.Name() + "/properties")
		if err != nil || link["type"] != linkXGMI {
			continue
		}
		for _, peer := range nodes {
			if uint64(peer.number) == link["node_to"] {
				peers = append(peers, peer.device.UUID)
			}
		}
	}
	slices.Sort(peers)
	return slices.Compact(peers)
}

// properties reads "name value" lines.
func (a amd) properties(path string) (map[string]uint64, error) {
	file, err := a.Files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the topology of the AMD devices: %w; see whether the user may read /%s", err, path)
	}
	defer func() { _ = file.Close() }()
	properties := map[string]uint64{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
			properties[name] = n
		}
	}
	return properties, lines.Err()
}

// pciAddress of a node: location_id is bus, device and function.
func pciAddress(properties map[string]uint64) string {
	at := properties["location_id"]
	return fmt.Sprintf("%04x:%02x:%02x.%x", properties["domain"], at>>8&0xff, at>>3&0x1f, at&7)
}

// Measure implements Measurer, from the files that amdgpu keeps beside its PCI
// device.
func (a amd) Measure(context.Context) ([]Figures, error) {
	nodes, err := a.nodes()
	if err != nil {
		return nil, err
	}
	var all []Figures
	for _, n := range nodes {
		f := Figures{UUID: n.device.UUID}
		dir := pciDevices + "/" + n.address
		if busy, ok := a.number(dir + "/gpu_busy_percent"); ok {
			f.Utilisation = new(int(busy))
		}
		if used, ok := a.number(dir + "/mem_info_vram_used"); ok {
			f.MemoryUsedMiB = new(used >> 20)
		}
		a.sensors(dir+"/hwmon", &f)
		if ue, ok := a.rasUncorrected(dir + "/ras/umc_err_count"); ok {
			f.ECC = &ECC{Enabled: true, Uncorrected: &ue}
		}
		all = append(all, f)
	}
	return all, nil
}

func (a amd) sensors(dir string, f *Figures) {
	entries, err := a.entries(dir)
	if err != nil || len(entries) == 0 {
		return
	}
	sensor := dir + "/" + entries[0].Name()
	for _, name := range []string{"/power1_average", "/power1_input"} {
		if microwatt, ok := a.number(sensor + name); ok {
			f.PowerW = new(float64(microwatt) / 1e6)
			break
		}
	}
	if microwatt, ok := a.number(sensor + "/power1_cap"); ok {
		f.PowerLimitW = new(float64(microwatt) / 1e6)
	}
	if milli, ok := a.number(sensor + "/temp1_input"); ok {
		f.TemperatureC = new(int(milli / 1000))
	}
}

// rasUncorrected reads "ue: 0" out of an error count of the memory controller.
func (a amd) rasUncorrected(path string) (uint64, bool) {
	for line := range strings.Lines(a.text(path)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "ue:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
