package accel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

// tree is a host's file system, written as path → text.
func tree(files map[string]string) fstest.MapFS {
	fixture := fstest.MapFS{}
	for path, text := range files {
		fixture[path] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return fixture
}

func hostOf(files map[string]string) Host {
	return Host{
		Node: "n", Files: tree(files), Getenv: func(string) string { return "" },
		Run: func(context.Context, string, ...string) ([]byte, error) { return nil, exec.ErrNotFound },
	}
}

func devicesOf(t *testing.T, inventory Inventory) []models.Device {
	t.Helper()
	devices, err := inventory.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return devices
}

func TestHostWithoutAcceleratorsHasNone(t *testing.T) {
	h := hostOf(map[string]string{"proc/version": "Linux", "dev/null": "", "sys/bus/pci/devices/0000:00:00.0/vendor": "0x8086"})
	for name, inventory := range map[string]Inventory{"AMD": AMD(h), "Intel": Intel(h), "TPU": TPU(h), "Neuron": Neuron(h)} {
		if got, err := inventory.Devices(t.Context()); err != nil || got == nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// mi300x is a host with two GPUs that are linked, and a consumer card that has
// no ID of its own.
func mi300x() map[string]string {
	files := map[string]string{
		"sys/module/amdgpu/drivers/pci:amdgpu/0000:05:00.0/uevent": "",
		"sys/module/amdgpu/drivers/pci:amdgpu/bind":                "",
		kfdNodes + "/0/properties":                                 "cpu_cores_count 96\nsimd_count 0\nmax_waves_per_simd 0",
		kfdNodes + "/1/io_links/0/properties":                      "type 2\nnode_from 1\nnode_to 0",
		kfdNodes + "/1/io_links/1/properties":                      "type 11\nnode_from 1\nnode_to 2",
		kfdNodes + "/2/io_links/0/properties":                      "type 11\nnode_from 2\nnode_to 1",
		kfdNodes + "/1/mem_banks/0/properties":                     "heap_type 1\nsize_in_bytes 206141652992\nflags 0",
		kfdNodes + "/2/mem_banks/0/properties":                     "heap_type 2\nsize_in_bytes 206141652992",
		kfdNodes + "/2/mem_banks/1/properties":                     "heap_type 4\nsize_in_bytes 65536", // its scratch memory
		pciDevices + "/0000:05:00.0/numa_node":                     "0",
		pciDevices + "/0000:05:00.0/local_cpulist":                 "0-95",
		pciDevices + "/0000:05:00.0/product_name":                  "AMD Instinct MI300X OAM",
		pciDevices + "/0000:05:00.0/gpu_busy_percent":              "42",
		pciDevices + "/0000:05:00.0/mem_info_vram_used":            "1073741824",
		pciDevices + "/0000:05:00.0/hwmon/hwmon3/power1_average":   "310000000",
		pciDevices + "/0000:05:00.0/hwmon/hwmon3/power1_cap":       "750000000",
		pciDevices + "/0000:05:00.0/hwmon/hwmon3/temp1_input":      "54000",
		pciDevices + "/0000:05:00.0/ras/umc_err_count":             "ue: 3\nce: 12",
	}
	for node, place := range map[int]string{1: "location_id 1280\ndomain 0", 2: "location_id 9984\ndomain 0", 3: "location_id 49920\ndomain 1"} {
		id := map[int]uint64{1: 0x7c5f1bd3a2e09d11, 2: 0x00c0ffee00c0ffee, 3: 0}[node]
		files[fmt.Sprintf("%s/%d/properties", kfdNodes, node)] = fmt.Sprintf(
			"simd_count 1216\ngfx_target_version 90402\nunique_id %d\ndrm_render_minor %d\n%s", id, 127+node, place)
	}
	return files
}

func TestAMDListsTheComputeDriversGPUs(t *testing.T) {
	zero := 0
	first, second := "GPU-7c5f1bd3a2e09d11", "GPU-00c0ffee00c0ffee"
	want := []models.Device{
		{UUID: "AMD-n-0001:c3:00.0-130", Vendor: models.VendorAMD, Model: "AMD gfx942", Index: 2},
		{UUID: second, Vendor: models.VendorAMD, Model: "AMD gfx942", MemoryMiB: 196592, Index: 1, Links: []string{first}},
		{UUID: first, Vendor: models.VendorAMD, Model: "AMD Instinct MI300X OAM", MemoryMiB: 196592, Index: 0, NUMANode: &zero, CPUs: "0-95", Links: []string{second}},
	}
	if diff := cmp.Diff(want, devicesOf(t, AMD(hostOf(mi300x())))); diff != "" {
		t.Error(diff)
	}
	figures, err := AMD(hostOf(mi300x())).(Measurer).Measure(t.Context())
	if err != nil || len(figures) != 3 {
		t.Fatalf("measured %v, %v", figures, err)
	}
	if diff := cmp.Diff(Figures{
		UUID: first, PowerW: new(310.0), PowerLimitW: new(750.0), TemperatureC: new(54), Utilisation: new(42), MemoryUsedMiB: new(int64(1024)),
		ECC: &ECC{Enabled: true, Uncorrected: new(uint64(3))},
	}, figures[0]); diff != "" {
		t.Error(diff)
	}
}

// Partitions of one GPU have its ID; leasing one must not lease them all.
func TestPartitionsOfAnAMDGPUAreToldApart(t *testing.T) {
	files := mi300x()
	for _, node := range []string{"2", "3"} {
		files[kfdNodes+"/"+node+"/properties"] = strings.Replace(files[kfdNodes+"/1/properties"], "minor 128", "minor 12"+node, 1)
	}
	got := devicesOf(t, AMD(hostOf(files)))
	seen := map[string]bool{}
	for _, d := range got {
		seen[d.UUID] = true
		if strings.HasPrefix(d.UUID, rocmUUID) {
			t.Errorf("%s would pin to all partitions", d.UUID)
		}
	}
	if len(seen) != 3 {
		t.Errorf("three partitions are %v", seen)
	}
}

func TestBrokenAMDProbesAreErrors(t *testing.T) {
	without := mi300x()
	for path := range without {
		if strings.HasPrefix(path, kfdNodes) {
			delete(without, path)
		}
	}
	unreadable := mi300x()
	delete(unreadable, kfdNodes+"/2/properties") // sysfs may be mounted in part
	for name, files := range map[string]map[string]string{"no topology": without, "half a topology": unreadable} {
		if got, err := AMD(hostOf(files)).Devices(t.Context()); err == nil || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestIntelListsDiscreteCards(t *testing.T) {
	files := map[string]string{
		// On purpose, the card's numbers are not in order of their addresses.
		drmCards + "/card2/device/vendor": "0x8086", drmCards + "/card2/device/uevent": "DRIVER=xe\nPCI_ID=8086:0BD5\nPCI_SLOT_NAME=0000:29:00.0",
		drmCards + "/card1/device/vendor": "0x8086", drmCards + "/card1/device/uevent": "DRIVER=i915\nPCI_ID=8086:0BD5\nPCI_SLOT_NAME=0000:9a:00.0",
		drmCards + "/card0/device/vendor": "0x8086", drmCards + "/card0/device/uevent": "DRIVER=i915\nPCI_ID=8086:4680\nPCI_SLOT_NAME=0000:00:02.0",
		drmCards + "/card3/device/vendor": "0x8086", drmCards + "/card3/device/uevent": "DRIVER=vfio-pci\nPCI_ID=8086:0BD5\nPCI_SLOT_NAME=0000:b0:00.0",
		drmCards + "/card4/device/vendor": "0x1a03", drmCards + "/card4/device/uevent": "DRIVER=ast\nPCI_SLOT_NAME=0000:02:00.0",
		drmCards + "/card2-DP-1/device/vendor":                    "0x8086",
		drmCards + "/renderD128/device/vendor":                    "0x8086",
		drmCards + "/card1/lmem_total_bytes":                      "68719476736",
		drmCards + "/card2/device/tile0/physical_vram_size_bytes": "0x1000000000",
		drmCards + "/card2/device/tile1/physical_vram_size_bytes": "0x1000000000",
		"sys/bus/pci/devices/0000:9a:00.0/numa_node":              "1",
		"sys/bus/pci/devices/0000:9a:00.0/local_cpulist":          "56-111",
	}
	one := 1
	want := []models.Device{
		{UUID: "INTEL-n-0000:29:00.0", Vendor: models.VendorIntel, Model: "Intel GPU 8086:0BD5", MemoryMiB: 131072, Index: 1},
		{UUID: "INTEL-n-0000:9a:00.0", Vendor: models.VendorIntel, Model: "Intel GPU 8086:0BD5", MemoryMiB: 65536, Index: 2, NUMANode: &one, CPUs: "56-111"},
	}
	if diff := cmp.Diff(want, devicesOf(t, Intel(hostOf(files)))); diff != "" {
		t.Error(diff)
	}
}

func TestTPUListsChips(t *testing.T) {
	v5e := map[string]string{
		pciDevices + "/0000:00:04.0/vendor": "0x1ae0", pciDevices + "/0000:00:04.0/device": "0x0063", pciDevices + "/0000:00:04.0/numa_node": "0",
		pciDevices + "/0000:00:05.0/vendor": "0x1ae0", pciDevices + "/0000:00:05.0/device": "0x0063",
		pciDevices + "/0000:00:06.0/vendor": "0x1ae0", pciDevices + "/0000:00:06.0/device": "0x0042", // a network card
		"dev/vfio/vfio": "", "dev/vfio/0": "", "dev/vfio/1": "",
	}
	zero := 0
	want := []models.Device{
		{UUID: "TPU-n-0", Vendor: models.VendorTPU, Model: "TPU v5e", Index: 0, NUMANode: &zero},
		{UUID: "TPU-n-1", Vendor: models.VendorTPU, Model: "TPU v5e", Index: 1},
	}
	if diff := cmp.Diff(want, devicesOf(t, TPU(hostOf(v5e)))); diff != "" {
		t.Error(diff)
	}
	delete(v5e, "dev/vfio/1")
	if _, err := TPU(hostOf(v5e)).Devices(t.Context()); err == nil || !strings.Contains(err.Error(), "2 TPU chips but 1 device files") {
		t.Errorf("a chip without its device file: %v", err)
	}

	named := hostOf(map[string]string{"dev/accel0": "", "dev/accel1": "", "dev/accel": "", "dev/vfio/7": ""})
	if got := devicesOf(t, TPU(named)); len(got) != 0 {
		t.Errorf("somebody else's /dev/accel* are listed as %v", got)
	}
	named.Getenv = func(name string) string { return map[string]string{"TPU_ACCELERATOR_TYPE": "v4-8"}[name] }
	if got := devicesOf(t, TPU(named)); len(got) != 2 || got[1].Model != "TPU v4-8" {
		t.Errorf("got %v", got)
	}
}

// trn2 is what the tool prints for two chips of which the first is next to the
// second.
const trn2 = `[
  {"instance_type": "trn2.48xlarge", "neuron_device": 1, "bdf": "0000:e2:00.0", "cpu_affinity": "48-95", "numa_node": "1",
   "connected_to": [0], "nc_count": 2, "memory_size": 103079215104, "neuroncore_ids": [2, 3], "neuron_processes": []},
  {"instance_type": "trn2.48xlarge", "neuron_device": 0, "bdf": "0000:e1:00.0", "cpu_affinity": "0-47", "numa_node": "-1",
   "connected_to": null, "nc_count": 2, "memory_size": 103079215104, "neuroncore_ids": [0, 1],
   "neuron_processes": [{"pid": 71, "command": "python train.py", "neuron_runtime_version": "2.0.0"}]}
]`

// neuronHost answers as the tool would.
func neuronHost(out string, err error) Host {
	h := hostOf(map[string]string{"dev/neuron0": "", "dev/neuron1": "", "sys/devices/virtual/dmi/id/product_name": "trn1.2xlarge"})
	h.Run = func(_ context.Context, name string, args ...string) ([]byte, error) {
		if name != "neuron-ls" || strings.Join(args, " ") != "--json-output" {
			return nil, fs.ErrInvalid
		}
		return []byte(out), err
	}
	return h
}

func TestNeuronListsCores(t *testing.T) {
	one := 1
	core := func(i int, links ...string) models.Device {
		d := models.Device{
			UUID: fmt.Sprintf("NEURON-n-%d", i), Vendor: models.VendorNeuron, Model: "AWS Neuron trn2.48xlarge", MemoryMiB: 49152, Index: i,
			CPUs: "0-47", Links: links,
		}
		if i >= 2 {
			d.CPUs, d.NUMANode = "48-95", &one
		}
		return d
	}
	want := []models.Device{
		core(0, "NEURON-n-1"), core(1, "NEURON-n-0"),
		core(2, "NEURON-n-0", "NEURON-n-1", "NEURON-n-3"), core(3, "NEURON-n-0", "NEURON-n-1", "NEURON-n-2"),
	}
	if diff := cmp.Diff(want, devicesOf(t, Neuron(neuronHost(trn2, nil)))); diff != "" {
		t.Error(diff)
	}
	figures, err := Neuron(neuronHost(trn2, nil)).(Measurer).Measure(t.Context())
	if err != nil || len(figures) != 4 || len(figures[0].Processes) != 1 || figures[0].Processes[0].PID != 71 || len(figures[3].Processes) != 0 {
		t.Errorf("measured %+v, %v", figures, err)
	}
	old := `[{"neuron_device": 0, "nc_count": 2, "memory_size": 34359738368}, {"neuron_device": 1, "nc_count": 2, "memory_size": 34359738368}]`
	if got := devicesOf(t, Neuron(neuronHost(old, nil))); len(got) != 4 || got[3].Index != 3 || got[3].Model != "AWS Neuron trn1.2xlarge" || got[3].MemoryMiB != 16384 {
		t.Errorf("an older tool: %v", got)
	}
}

func TestBrokenNeuronProbesAreErrors(t *testing.T) {
	for name, h := range map[string]Host{
		"no tool":     neuronHost("", exec.ErrNotFound),
		"no JSON":     neuronHost("neuron-ls: driver not found", nil),
		"no devices":  neuronHost("[]", nil),
		"tool breaks": neuronHost("", errors.New("exit status 1")),
	} {
		if got, err := Neuron(h).Devices(t.Context()); err == nil || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestHostWithDevicesOfEveryVendor(t *testing.T) {
	files := mi300x()
	files["dev/neuron0"] = ""
	files[drmCards+"/card1/device/vendor"], files[drmCards+"/card1/device/uevent"] = "0x8086", "DRIVER=xe\nPCI_SLOT_NAME=0000:9a:00.0\nPCI_ID=8086:E20B"
	files[pciDevices+"/0000:00:04.0/vendor"], files[pciDevices+"/0000:00:04.0/device"], files["dev/accel0"] = "0x1ae0", "0x005e", ""
	h := hostOf(files)
	h.Run = neuronHost(trn2, nil).Run
	vendors := map[models.Vendor]int{}
	for _, d := range devicesOf(t, detect(h)) {
		vendors[d.Vendor]++
	}
	if diff := cmp.Diff(map[models.Vendor]int{models.VendorAMD: 3, models.VendorIntel: 1, models.VendorTPU: 1, models.VendorNeuron: 4}, vendors); diff != "" {
		t.Error(diff)
	}
}
