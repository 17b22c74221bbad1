package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessID names a process for good: numbers are used again, but not with the
// same start.
type ProcessID struct {
	PID   int   `json:"pid"`
	Start int64 `json:"start"` // clock ticks since boot
}

// identify returns the identity of a live process.
func identify(pid int) (ProcessID, bool) {
	stat, ok := readStat(pid)
	return ProcessID{PID: pid, Start: stat.start}, ok
}

// Alive reports whether exactly this process runs; a zombie does not.
func (id ProcessID) Alive() bool {
	stat, ok := readStat(id.PID)
	return ok && id.PID > 0 && stat.start == id.Start && stat.state != "Z"
}

type procStat struct {
	state  string
	parent int
	start  int64
}

// readStat parses /proc/<pid>/stat. The second field is the program's name in
// parentheses, which may hold anything.
func readStat(pid int) (procStat, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	end := bytes.LastIndexByte(data, ')')
	if err != nil || end < 0 {
		return procStat{}, false
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 {
		return procStat{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	start, err := strconv.ParseInt(fields[19], 10, 64)
	return procStat{state: fields[0], parent: parent, start: start}, err == nil
}

// processes lists the numbers of all visible processes.
func processes() []int {
	paths, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	pids := make([]int, 0, len(paths))
	for _, path := range paths {
		if pid, err := strconv.Atoi(filepath.Base(path)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// markVariable is set in the environment of every process of a job, and
// inherited by its descendants.
const markVariable = "MAINSPRING_JOB"

func mark(dir string) string { return markVariable + "=" + dir }

// ErrStuck means: a process of a job does not end even when it is killed. The kernel
// waits for something, usually a device that does not answer.
var ErrStuck = errors.New("a killed process does not end: it is stuck in the kernel")

// strayLimit is how long killed processes may take to go: one with much memory
// takes seconds.
const strayLimit = 20 * time.Second

// strays lists the processes that carry the mark of the job in dir.
func strays(dir string) []int {
	needle := append([]byte{0}, mark(dir)+"\x00"...)
	var found []int
	for _, pid := range processes() {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && pid != os.Getpid() && bytes.Contains(append([]byte{0}, environ...), needle) {
			found = append(found, pid)
		}
	}
	return found
}

// killAll kills what find returns until it returns nothing. Killing may uncover
// others, and a killed process is there for a moment longer.
func killAll(find func() []int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		pids := find()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // ESRCH: it has just gone
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v: %w", pids, ErrStuck)
		}
	}
}
