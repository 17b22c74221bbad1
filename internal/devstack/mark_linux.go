package devstack

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// marked is a process that carries a mark. The descriptor pins its identity:
// a signal sent through it never reaches a later process of the same ID.
type marked struct {
	pid        int
	descriptor int
}

func (m marked) signal(force bool) {
	signal := unix.SIGTERM
	if force {
		signal = unix.SIGKILL
	}
	_ = unix.PidfdSendSignal(m.descriptor, signal, nil, 0)
}

func (m marked) close() { _ = unix.Close(m.descriptor) }

// findMarked looks through the processes that this user may look into.
func findMarked(marks []string) ([]marked, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	spared := lineage()
	var found []marked
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || slices.Contains(spared, pid) {
			continue
		}
		descriptor, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			if errors.Is(err, unix.ENOSYS) {
				return nil, err
			}
			continue // it has just ended
		}
		// Opened first, read second: what is read belongs to what is held.
		block, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !carries(string(block), marks) {
			_ = unix.Close(descriptor)
			continue
		}
		found = append(found, marked{pid: pid, descriptor: descriptor})
	}
	return found, nil
}

// lineage is this process and its ancestors: a stack that is started from
// within another one must not end its own caller.
func lineage() []int {
	var pids []int
	for pid := os.Getpid(); pid > 1; {
		pids = append(pids, pid)
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			break
		}
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			break
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			break
		}
	}
	return pids
}
