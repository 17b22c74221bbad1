package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const milli = 1000 // thousandths in one

// usableCPUMilli is what this process may use of the host: the cores it may run
// on, or its control group's quota if that is less.
func usableCPUMilli(host fs.FS, cores int) (int64, error) {
	usable := int64(cores) * milli
	text, err := ownGroupFile(host, "cpu.max")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(text) // quota and period in microseconds, or max
	if len(fields) != 2 || fields[0] == "max" {
		return usable, nil
	}
	quota, err1 := strconv.ParseInt(fields[0], 10, 64)
	period, err2 := strconv.ParseInt(fields[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil || period == 0 {
		return 0, fmt.Errorf("cpu.max says %q: no quota can be read from it; give --cpus", text)
	}
	return min(usable, quota*milli/period), nil
}

// usableMemoryMiB is the host's memory, or the control group's limit if that is
// less.
func usableMemoryMiB(host fs.FS) (int64, error) {
	info, err := fs.ReadFile(host, "proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read how much memory this host has: %w; give --memory", err)
	}
	var totalMiB int64
	for line := range strings.Lines(string(info)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read how much memory this host has: %w; give --memory", err)
			}
			totalMiB = kib >> 10
		}
	}
	if totalMiB == 0 {
		return 0, errors.New("/proc/meminfo does not say how much memory this host has; give --memory")
	}
	text, err := ownGroupFile(host, "memory.max")
	if err != nil || text == "" || text == "max" {
		return totalMiB, err
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("memory.max says %q, which is no number; give --memory", text)
	}
	return min(totalMiB, limit>>20), nil
}

// ownGroupFile reads a file of this process' control group; "" where there is
// none, which is so in the root group and without cgroup v2.
func ownGroupFile(host fs.FS, name string) (string, error) {
	groups, err := fs.ReadFile(host, "proc/self/cgroup")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find this process' control group: %w", err)
	}
	for line := range strings.Lines(string(groups)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		text, err := fs.ReadFile(host, path.Join("sys/fs/cgroup", group, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read this process' limits: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	return "", nil
}
