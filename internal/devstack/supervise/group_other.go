//go:build !linux

package supervise

import "syscall"

// groupAttributes makes the child lead its own group. Without Linux's
// parent-death signal, a killed supervisor leaves its children to the
// watchdog and to the next start.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// awaitExit can't wait without reaping here.
func awaitExit(int) bool { return false }
