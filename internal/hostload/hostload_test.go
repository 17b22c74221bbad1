package hostload

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

const devHeader = "Inter-|   Receive                                                |  Transmit\n" +
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"

// host has files as Linux writes them.
func host(stat, traffic string) fstest.MapFS {
	return fstest.MapFS{
		"proc/stat":    {Data: []byte(stat + "\ncpu0 1 1 1 1 1 1 1 1 1 1\n")},
		"proc/meminfo": {Data: []byte("MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:   12000000 kB\n")},
		"proc/net/dev": {Data: []byte(devHeader + traffic)},
	}
}

type measurer struct {
	figures []accel.Figures
	err     error
}

func (m measurer) Measure(context.Context) ([]accel.Figures, error) { return m.figures, m.err }

func TestReadNamesFiguresAsMLflowDoes(t *testing.T) {
	devices := []models.Device{{UUID: "GPU-b", MemoryMiB: 1000}, {UUID: "GPU-a"}, {UUID: "VIRT-0"}}
	m := NewMeter(Config{
		Disk: t.TempDir(), Devices: devices,
		Files: host("cpu  100 0 100 700 100 0 0 0 50 0", "    lo: 1000000 1 0 0 0 0 0 0 1000000 1 0 0 0 0 0 0\n  eth0:5000000 1 0 0 0 0 0 0 2000000 1 0 0 0 0 0 0\n"),
		Measurer: measurer{figures: []accel.Figures{
			{UUID: "GPU-a", Utilisation: new(30)},
			{UUID: "GPU-b", Utilisation: new(90), MemoryUsedMiB: new(int64(250)), PowerW: new(100.0), PowerLimitW: new(400.0)},
			{UUID: "GPU-other", Utilisation: new(1)},
		}},
	})
	m.config.Files = host("cpu  180 10 110 780 120 0 0 0 60 0", "    lo: 2000000 1 0 0 0 0 0 0 2000000 1 0 0 0 0 0 0\n  eth0:7000000 1 0 0 0 0 0 0 2500000 1 0 0 0 0 0 0\n")
	got, err := m.Read(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"disk_usage_percentage", "disk_usage_megabytes", "disk_available_megabytes"} {
		require.Positive(t, got[name], name)
		delete(got, name)
	}
	want := map[string]float64{
		"cpu_utilization_percentage": 50, "system_memory_usage_megabytes": 4096, "system_memory_usage_percentage": 25,
		"network_receive_megabytes": 3, "network_transmit_megabytes": 1.5,
		"gpu_0_utilization_percentage": 90, "gpu_0_memory_usage_megabytes": 262.144, "gpu_0_memory_usage_percentage": 25,
		"gpu_0_power_usage_watts": 100, "gpu_0_power_usage_percentage": 25, "gpu_1_utilization_percentage": 30,
	}
	require.InDeltaMapValues(t, want, got, 1e-9)
	require.Len(t, got, len(want))
	// No time has passed: a share of nothing is not told.
	got, err = m.Read(t.Context())
	require.NoError(t, err)
	require.NotContains(t, got, "cpu_utilization_percentage")
	require.InDelta(t, 3, got["network_receive_megabytes"], 1e-9, "since the first reading")
}

func TestReadLeavesOutWhatIsNotTold(t *testing.T) {
	broken := errors.New("driver does not answer")
	m := NewMeter(Config{Disk: "/no/such/directory", Files: fstest.MapFS{
		"proc/stat": {Data: []byte("cpu x")}, "proc/net/dev": {Data: []byte("eth0: 1 2")},
	}, Devices: []models.Device{{UUID: "GPU-a"}}, Measurer: measurer{err: broken}})
	got, err := m.Read(t.Context())
	require.ErrorIs(t, err, broken)
	require.Empty(t, got)
}

func TestReadThisHost(t *testing.T) {
	got, err := NewMeter(Config{Disk: t.TempDir()}).Read(t.Context())
	require.NoError(t, err)
	require.Greater(t, got["system_memory_usage_percentage"], 0.0)
	require.LessOrEqual(t, got["system_memory_usage_percentage"], 100.0)
}

// TestReadRealDevices runs where there are some.
func TestReadRealDevices(t *testing.T) {
	inventory := accel.Detect("here")
	devices, err := inventory.Devices(t.Context())
	measurer, ok := inventory.(accel.Measurer)
	if err != nil || len(devices) == 0 || devices[0].Parent != "" || !ok {
		t.Skipf("NOT TESTED with a whole accelerator: %d devices, error %v", len(devices), err)
	}
	got, err := NewMeter(Config{Disk: t.TempDir(), Devices: devices, Measurer: measurer}).Read(t.Context())
	require.NoError(t, err)
	t.Log(got)
	for _, name := range []string{"gpu_0_utilization_percentage", "gpu_0_memory_usage_megabytes", "gpu_0_memory_usage_percentage", "gpu_0_power_usage_watts"} {
		require.Contains(t, got, name)
	}
}
