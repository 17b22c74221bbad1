package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

func TestDevicesOfFlags(t *testing.T) {
	faults := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`{"VIRT-n-2": {"code": "XID 79", "action": "quarantine", "reason": "it fell off the bus"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{
		"devices", "--node", "n", "--virtual-devices", "3", "--virtual-model", "H100", "--virtual-memory", "80GiB",
		"--virtual-mig", "none", "--virtual-mig", "3g.40gb,1g.10gb", "--virtual-links", "--virtual-faults", faults,
	}
	got := mainspring(t, flags...)
	want := `UUID            MODEL  MEMORY     MIG      PARENT    HEALTH
VIRT-n-0        H100   81920 MiB  -        -         ok
VIRT-n-1-mig-0  H100   40960 MiB  3g.40gb  VIRT-n-1  ok
VIRT-n-1-mig-1  H100   10240 MiB  1g.10gb  VIRT-n-1  ok
VIRT-n-2        H100   81920 MiB  -        -         quarantine (XID 79): it fell off the bus

Links (NVLink, XGMI or the like):
             0  1
0  VIRT-n-0  ·  x
1  VIRT-n-2  x  ·
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.code != 0 {
		t.Errorf("exit %d, %s%s", got.code, got.stderr, diff)
	}

	var listed []surveyed
	if got := mainspring(t, append(flags, "--json")...); json.Unmarshal([]byte(got.stdout), &listed) != nil || len(listed) != 4 {
		t.Fatalf("exit %d: %s", got.code, got.stdout)
	}
	if last := listed[3]; last.UUID != "VIRT-n-2" || last.Fault.Code != "XID 79" || last.Links[0] != "VIRT-n-0" || listed[1].MIGProfile != "3g.40gb" {
		t.Errorf("listed %+v", listed)
	}
}

func TestDevicesWithWrongFlags(t *testing.T) {
	got := mainspring(t, "devices", "--virtual-devices", "1", "--virtual-mig", "9g.10gb")
	if got.code != exitUsage || !strings.Contains(got.stderr, "needs 9 slices") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	control := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(control, []byte(`{"probe": "the driver hangs"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got = mainspring(t, "devices", "--virtual-devices", "1", "--virtual-faults", control)
	if got.code != exitFailed || !strings.Contains(got.stderr, "the driver hangs") || got.stdout != "" {
		t.Errorf("a probe that fails: exit %d, %s%s", got.code, got.stdout, got.stderr)
	}
}

func TestNoDevicesAreAnEmptyList(t *testing.T) {
	var out bytes.Buffer
	if err := printDevices(&out, []surveyed{}); err != nil || !strings.Contains(out.String(), "--virtual-devices") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestDeviceTableShowsFigures(t *testing.T) {
	busy := surveyed{
		Device: models.Device{
			UUID: "GPU-a", Model: "NVIDIA H100 80GB HBM3", MemoryMiB: 81920, NUMANode: new(0), CPUs: "0-15,32-47",
		},
		Figures: &accel.Figures{
			PowerW: new(412.5), PowerLimitW: new(700.0), TemperatureC: new(61), Utilisation: new(97), MemoryUsedMiB: new(int64(70144)),
			ECC: &accel.ECC{Enabled: true, Uncorrected: new(uint64(2))}, Remapped: &accel.Remapped{Correctable: 1, Pending: true},
			Processes: []accel.Process{{PID: 4242, Name: "python3", MemoryMiB: 69000}, {PID: 77}},
		},
	}
	silent := surveyed{Device: models.Device{UUID: "GPU-b", Model: "NVIDIA H100 80GB HBM3", MemoryMiB: 81920}}
	want := `UUID   MODEL                  MEMORY              NUMA  CPUS        LOAD  POWER         TEMP   ECC            REMAPPED    HEALTH
GPU-a  NVIDIA H100 80GB HBM3  70144 of 81920 MiB  0     0-15,32-47  97 %  412 of 700 W  61 °C  2 uncorrected  1, pending  ok
GPU-b  NVIDIA H100 80GB HBM3  81920 MiB           -     -           -     -             -      -              -           ok

Processes:
PID   NAME     MEMORY     DEVICE
4242  python3  69000 MiB  GPU-a
77    -        -          GPU-a
`
	var out bytes.Buffer
	if err := printDevices(&out, []surveyed{busy, silent}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
