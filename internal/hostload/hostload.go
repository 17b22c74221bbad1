// Package hostload reads how busy a host is: processors, memory, disk, network
// and accelerators, under the names and in the units that MLflow gives them in
// the "System metrics" of a run.
//
//   - A meter belongs to one training. What counts up (processor time, network
//     traffic) it reports since its last reading, or since its first.
//   - A reading leaves out what the host or a device does not tell.
package hostload

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// megabyte is MLflow's, not a mebibyte.
const megabyte = 1e6

// Config says what is read.
type Config struct {
	Disk string // any path on the file system that trainings write to
	// Devices are those of the training, in the order in which its programs
	// number them.
	Devices []models.Device
	// Measurer is nil where devices tell nothing, as virtual ones do.
	Measurer accel.Measurer
	Files    fs.FS // nil: the host's
}

// Meter is used by one goroutine.
type Meter struct {
	config   Config
	cpu      ticks
	received float64 // at the first reading
	sent     float64
}

// NewMeter takes the first reading.
func NewMeter(config Config) *Meter {
	if config.Files == nil {
		config.Files = os.DirFS("/")
	}
	m := &Meter{config: config}
	m.cpu, _ = m.ticks()
	m.received, m.sent, _ = m.traffic()
	return m
}

// Read returns figures by name, without MLflow's prefix "system/". The error
// says what could not be read; the rest is there.
func (m *Meter) Read(ctx context.Context) (map[string]float64, error) {
	figures := map[string]float64{}
	m.processors(figures)
	m.memory(figures)
	m.disk(figures)
	if received, sent, ok := m.traffic(); ok {
		figures["network_receive_megabytes"] = received - m.received
		figures["network_transmit_megabytes"] = sent - m.sent
	}
	return figures, m.devices(ctx, figures)
}

// ticks is processor time since the host's start, of all cores.
type ticks struct{ busy, all float64 }

func (m *Meter) ticks() (ticks, bool) {
	data, err := fs.ReadFile(m.config.Files, "proc/stat")
	if err != nil {
		return ticks{}, false
	}
	line, _, _ := bytes.Cut(data, []byte{'\n'})
	fields := strings.Fields(string(line))
	// cpu user nice system idle iowait irq softirq steal …; what follows is
	// contained in user and nice.
	const idle, iowait, steal = 4, 5, 8
	if len(fields) <= iowait || fields[0] != "cpu" {
		return ticks{}, false
	}
	var t ticks
	for i, field := range fields[1:min(len(fields), steal+1)] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return ticks{}, false
		}
		t.all += n
		if i+1 != idle && i+1 != iowait {
			t.busy += n
		}
	}
	return t, true
}

func (m *Meter) processors(figures map[string]float64) {
	now, ok := m.ticks()
	if !ok {
		return
	}
	if all := now.all - m.cpu.all; all > 0 {
		figures["cpu_utilization_percentage"] = 100 * (now.busy - m.cpu.busy) / all
	}
	m.cpu = now
}

func (m *Meter) memory(figures map[string]float64) {
	data, err := fs.ReadFile(m.config.Files, "proc/meminfo")
	if err != nil {
		return
	}
	kib := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			kib[name], _ = strconv.ParseFloat(fields[0], 64)
		}
	}
	total, available := kib["MemTotal"], kib["MemAvailable"]
	if total <= 0 || available <= 0 {
		return
	}
	figures["system_memory_usage_megabytes"] = (total - available) * 1024 / megabyte
	figures["system_memory_usage_percentage"] = 100 * (total - available) / total
}

func (m *Meter) disk(figures map[string]float64) {
	var stat syscall.Statfs_t
	if syscall.Statfs(m.config.Disk, &stat) != nil {
		return
	}
	block := float64(stat.Bsize)
	used, free := float64(stat.Blocks-stat.Bfree)*block, float64(stat.Bavail)*block
	if used+free <= 0 {
		return
	}
	figures["disk_usage_percentage"] = 100 * used / (used + free)
	figures["disk_usage_megabytes"] = used / megabyte
	figures["disk_available_megabytes"] = free / megabyte
}

// traffic is that of all interfaces since the host's start, in megabytes; as in
// MLflow the loopback interface counts.
func (m *Meter) traffic() (received, sent float64, ok bool) {
	data, err := fs.ReadFile(m.config.Files, "proc/net/dev")
	if err != nil {
		return 0, 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, counters, found := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(counters)
		const receivedBytes, sentBytes = 0, 8
		if !found || name == "" || len(fields) <= sentBytes {
			continue // the headings
		}
		in, errIn := strconv.ParseFloat(fields[receivedBytes], 64)
		out, errOut := strconv.ParseFloat(fields[sentBytes], 64)
		if errIn == nil && errOut == nil {
			received, sent, ok = received+in/megabyte, sent+out/megabyte, true
		}
	}
	return received, sent, ok
}

func (m *Meter) devices(ctx context.Context, figures map[string]float64) error {
	if m.config.Measurer == nil || len(m.config.Devices) == 0 {
		return nil
	}
	measured, err := m.config.Measurer.Measure(ctx)
	if err != nil {
		return fmt.Errorf("measure the devices: %w", err)
	}
	byUUID := map[string]accel.Figures{}
	for _, f := range measured {
		byUUID[f.UUID] = f
	}
	for i, device := range m.config.Devices {
		deviceFigures(figures, fmt.Sprintf("gpu_%d_", i), byUUID[device.UUID], device)
	}
	return nil
}

func deviceFigures(figures map[string]float64, prefix string, f accel.Figures, device models.Device) {
	const mib = 1 << 20
	if f.Utilisation != nil {
		figures[prefix+"utilization_percentage"] = float64(*f.Utilisation)
	}
	if f.MemoryUsedMiB != nil {
		figures[prefix+"memory_usage_megabytes"] = float64(*f.MemoryUsedMiB) * mib / megabyte
		if device.MemoryMiB > 0 {
			figures[prefix+"memory_usage_percentage"] = 100 * float64(*f.MemoryUsedMiB) / float64(device.MemoryMiB)
		}
	}
	if f.PowerW != nil {
		figures[prefix+"power_usage_watts"] = *f.PowerW
		if f.PowerLimitW != nil && *f.PowerLimitW > 0 {
			figures[prefix+"power_usage_percentage"] = 100 * *f.PowerW / *f.PowerLimitW
		}
	}
}
