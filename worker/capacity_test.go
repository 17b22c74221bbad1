package worker

import (
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/mainspring-ml/mainspring/models"
)

func TestWhatAHostHasToLease(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	const group = "sys/fs/cgroup/system.slice/agent.service/"
	host := fstest.MapFS{
		"proc/meminfo":     file("MemTotal:       65536000 kB\nMemFree:  1 kB"),
		"proc/self/cgroup": file("0::/system.slice/agent.service"),
	}
	for _, step := range []struct {
		cpu, memory         string
		cpuMilli, memoryMiB int64
	}{
		{"", "", 8000, 64000}, // the root group has no such files
		{"max 100000", "max", 8000, 64000},
		{"250000 100000", "17179869184", 2500, 16384},
		{"3200000 100000", "1099511627776", 8000, 64000}, // more than there is
	} {
		if step.cpu != "" {
			host[group+"cpu.max"], host[group+"memory.max"] = file(step.cpu), file(step.memory)
		}
		cpu, err := usableCPUMilli(host, 8)
		if err != nil || cpu != step.cpuMilli {
			t.Errorf("%+v: %d thousandths of a core, %v", step, cpu, err)
		}
		memory, err := usableMemoryMiB(host)
		if err != nil || memory != step.memoryMiB {
			t.Errorf("%+v: %d MiB, %v", step, memory, err)
		}
	}
	for name, host := range map[string]fstest.MapFS{
		"no total": {"proc/meminfo": file("MemFree: 1 kB")}, "no file": {},
		"no limit": {"proc/meminfo": file("MemTotal: 1024 kB"), "proc/self/cgroup": file("0::/g"), "sys/fs/cgroup/g/memory.max": file("lots")},
	} {
		if got, err := usableMemoryMiB(host); err == nil {
			t.Errorf("%s: %d MiB; what is not known is no number", name, got)
		}
	}
}

func TestOptionsSayWhatAHostHasToLease(t *testing.T) {
	told, err := AgentConfig{Node: "n", Pool: "p", CPUs: 1.5, Memory: models.Bytes(3 << 30)}.info()
	if err != nil || told.CPUMilli != 1500 || told.MemoryMiB != 3072 || told.Boot == "" {
		t.Errorf("told: %+v, %v", told, err)
	}
	found, err := AgentConfig{Node: "n"}.info()
	if err != nil || found.CPUMilli <= 0 || found.CPUMilli > int64(runtime.NumCPU())*milli || found.MemoryMiB <= 0 {
		t.Errorf("found: %+v, %v", found, err)
	}
}
