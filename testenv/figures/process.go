package figures

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// ProcessorSeconds is the processor time of this process, or of its children
// that have ended: syscall.RUSAGE_SELF or RUSAGE_CHILDREN.
func ProcessorSeconds(who int) float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(who, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// PeakMiB is the largest resident set of a process that ended; Linux counts in
// KiB.
func PeakMiB(state *os.ProcessState) float64 {
	used, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(used.Maxrss) / (1 << 20)
	}
	return float64(used.Maxrss) / (1 << 10)
}
