package laptop

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Processes are the command lines of everything that carries the stack's
// mark, by process ID. A process that has ended and waits to be reaped has no
// environment any more, and does not count.
func (l *Laptop) Processes() map[int]string {
	mark := []byte("MAINSPRING_STACK_DIR=" + l.StateDir() + "\x00")
	found := map[int]string{}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range environments {
		block, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append(block, 0), mark) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		line, gone := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if err == nil && gone == nil && len(line) > 0 {
			found[pid] = strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		}
	}
	return found
}

// ModelServers are the process IDs of `mainspring serve`.
func (l *Laptop) ModelServers() []int {
	all := l.Processes()
	maps.DeleteFunc(all, func(_ int, line string) bool {
		return !strings.HasPrefix(line, filepath.Join(l.Bin, "mainspring")+" serve ")
	})
	return slices.Sorted(maps.Keys(all))
}

// Running are those of the process IDs that still belong to the stack.
func (l *Laptop) Running(pids []int) []int {
	all := l.Processes()
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { _, there := all[pid]; return !there })
}
