package accel

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

func TestVirtualDevicesAreNamedAfterTheirNode(t *testing.T) {
	got, err := Virtual{Node: "east-1", Count: 2, MemoryMiB: 512}.Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []models.Device{
		{UUID: "VIRT-east-1-0", Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 512, Index: 0},
		{UUID: "VIRT-east-1-1", Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 512, Index: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func layouts(t *testing.T, texts ...string) []MIGLayout {
	t.Helper()
	var all []MIGLayout
	for _, text := range texts {
		layout, err := ParseMIGLayout(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, layout)
	}
	return all
}

func TestVirtualDevicesAreCutAndPlaced(t *testing.T) {
	v := Virtual{
		Node: "n", Count: 3, Model: "H100", MemoryMiB: 81920, NUMANodes: 2, Cores: 8, Linked: true, MIG: layouts(t, "none", "1g.10gb, 3g.40gb"),
	}
	got, err := v.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	device := func(uuid string, index int, memory int64, numa int, cpus string) models.Device {
		return models.Device{UUID: uuid, Vendor: models.VendorVirtual, Model: "H100", MemoryMiB: memory, Index: index, NUMANode: &numa, CPUs: cpus}
	}
	whole0, small, large, whole2 := device("VIRT-n-0", 0, 81920, 0, "0-3"), device("VIRT-n-1-mig-0", 1, 10240, 0, "0-3"),
		device("VIRT-n-1-mig-1", 1, 40960, 0, "0-3"), device("VIRT-n-2", 2, 81920, 1, "4-7")
	small.Parent, small.MIGProfile, large.Parent, large.MIGProfile = "VIRT-n-1", "1g.10gb", "VIRT-n-1", "3g.40gb"
	whole0.Links, whole2.Links = []string{"VIRT-n-2"}, []string{"VIRT-n-0"} // instances reach nothing
	if diff := cmp.Diff([]models.Device{whole0, small, large, whole2}, got); diff != "" {
		t.Error(diff)
	}

	v = Virtual{Node: "n", Count: 2, MIG: layouts(t, "1g.10gb*7")}
	if got, err := v.Devices(t.Context()); err != nil || len(got) != 14 {
		t.Errorf("one layout is for all devices: got %d, %v", len(got), err)
	}
}

func TestMIGLayoutsThatNoDeviceHas(t *testing.T) {
	for text, want := range map[string]string{
		"1g.10gb*8": "1 to 7", "1g.10gb*0": "1 to 7", "4g.40gb,4g.40gb": "needs 8 slices", "big": "1g.10gb", "": "1g.10gb", "1g.10gb,,": "1g.10gb",
		"1g.10gb*x": "no number", "1g.99999999999gb": "out of range",
	} {
		if _, err := ParseMIGLayout(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
	if p, err := ParseMIGProfile("1c.3g.40gb+me"); err != nil || p.Slices != 3 || p.MemoryMiB != 40960 {
		t.Errorf("got %+v, %v", p, err)
	}
}

// control writes the control file.
func control(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestControlFileBreaksAndHealsVirtualDevices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.json")
	v := Virtual{Node: "n", Count: 3, MIG: layouts(t, "none", "3g.40gb*2"), Faults: path}
	list := func() map[string]*models.DeviceFault {
		t.Helper()
		devices, err := v.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		faults := map[string]*models.DeviceFault{}
		for _, d := range devices {
			faults[d.UUID] = d.Fault
		}
		return faults
	}
	well := map[string]*models.DeviceFault{"VIRT-n-0": nil, "VIRT-n-1-mig-0": nil, "VIRT-n-1-mig-1": nil, "VIRT-n-2": nil}
	if diff := cmp.Diff(well, list()); diff != "" {
		t.Errorf("without the file: %s", diff)
	}

	control(t, path, `{
		"VIRT-n-0": {"code": "XID 79", "action": "quarantine", "reason": "fell off"},
		"VIRT-n-1": {"action": "restart"},
		"VIRT-n-1-mig-1": {"action": "quarantine"},
		"VIRT-n-2": {"gone": true},
		"VIRT-elsewhere-0": {"gone": true}
	}`)
	told := "told by the control file"
	want := map[string]*models.DeviceFault{
		"VIRT-n-0":       {Code: "XID 79", Action: models.FaultQuarantine, Reason: "fell off"},
		"VIRT-n-1-mig-0": {Code: "injected", Action: models.FaultRestart, Reason: told}, // its parent's
		"VIRT-n-1-mig-1": {Code: "injected", Action: models.FaultQuarantine, Reason: told},
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("broken: %s", diff)
	}
	control(t, path, "{}")
	if diff := cmp.Diff(well, list()); diff != "" {
		t.Errorf("healed: %s", diff)
	}
}

func TestControlFileThatMakesTheProbeFail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.json")
	for text, want := range map[string]string{
		`{"probe": "the driver hangs"}`:       "the driver hangs",
		`{"VIRT-n-0": `:                       "no JSON object",
		`{"VIRT-n-0": {}}`:                    "no action",
		`{"VIRT-n-0": {"action": "explode"}}`: "neither quarantine nor restart",
		`{"VIRT-n-0": {"acton": "restart"}}`:  "VIRT-n-0",
		``:                                    "no JSON object", // it is being written
		`["VIRT-n-0"]`:                        "no JSON object",
	} {
		control(t, path, text)
		if got, err := (Virtual{Node: "n", Count: 1, Faults: path}).Devices(t.Context()); err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want %q", text, got, err, want)
		}
	}
}

func TestChangeOfTheControlFileIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.json")
	v := Virtual{Node: "n", Count: 1, Faults: path}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	changes := -1 // the first report is of what may have changed before
	// Fault, failing probe, healed: each is a reason to look.
	texts := []string{`{"VIRT-n-0": {"action": "restart"}}`, `{"probe": "x"}`, `{}`}
	err := watchByPolling(ctx, 5*time.Millisecond, v.Devices, func(Event) {
		if changes++; changes == len(texts) {
			cancel()
			return
		}
		control(t, path, texts[changes])
	})
	if err != nil || changes != len(texts) {
		t.Errorf("%d changes, %v", changes, err)
	}
}
