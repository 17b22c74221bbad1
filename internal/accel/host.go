package accel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Host is where inventories without a driver library look: files below /, the
// environment, and the vendors' tools.
type Host struct {
	Node  string // becomes part of the names of devices without a UUID
	Files fs.FS
	// Run returns what a program prints to standard output.
	Run    func(ctx context.Context, name string, args ...string) ([]byte, error)
	Getenv func(string) string
}

func thisHost(node string) Host {
	return Host{Node: node, Files: hostFiles(), Run: runTool, Getenv: os.Getenv}
}

// runTool adds what the tool complained about to the error.
func runTool(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return out, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}

// probeLimit bounds a probe: calls into a driver with a dying device can hang.
const probeLimit = 30 * time.Second

// text reads a small file of sysfs. A file that is not there is "", as is one
// that the device does not support, which sysfs tells when it is read.
func (h Host) text(path string) string {
	data, err := fs.ReadFile(h.Files, path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// number reads a file that holds one number, decimal or 0x-hexadecimal.
func (h Host) number(path string) (int64, bool) {
	n, err := strconv.ParseInt(h.text(path), 0, 64)
	return n, err == nil
}

// entries lists a directory; one that is not there has none.
func (h Host) entries(dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(h.Files, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list /%s: %w", dir, err)
	}
	return entries, nil
}

const pciDevices = "sys/bus/pci/devices"

// place says where in the host the PCI device sits: the memory node and the
// cores next to it. Hosts with one memory node say -1, which means unknown.
func (h Host) place(address string) (numa *int, cpus string) {
	if address == "" {
		return nil, ""
	}
	if n, ok := h.number(pciDevices + "/" + address + "/numa_node"); ok && n >= 0 {
		node := int(n)
		numa = &node
	}
	return numa, h.text(pciDevices + "/" + address + "/local_cpulist")
}

// pollEvery is how often inventories that tell nothing by themselves are looked
// at; reading sysfs costs well under a millisecond a device.
const pollEvery = 2 * time.Second

// watchByPolling reports whenever the list has changed, or can't be had when it
// could before; and once at first, for what has changed since the caller's own
// listing.
func watchByPolling(ctx context.Context, every time.Duration, list func(context.Context) ([]models.Device, error), report func(Event)) error {
	before, failed := list(ctx)
	report(Event{})
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := list(ctx)
		if (err == nil) != (failed == nil) || !reflect.DeepEqual(now, before) {
			report(Event{})
		}
		before, failed = now, err
	}
}
