package runner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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

// killStrays kills every process that carries the mark of the job in dir, until
// there is none.
func killStrays(dir string) {
	needle := append([]byte{0}, mark(dir)+"\x00"...)
	for found := true; found; {
		found = false
		for _, pid := range processes() {
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil || pid == os.Getpid() || !bytes.Contains(append([]byte{0}, environ...), needle) {
				continue
			}
			if unix.Kill(pid, unix.SIGKILL) == nil {
				found = true
			}
		}
	}
}
