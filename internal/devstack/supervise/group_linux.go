package supervise

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttributes makes the child lead its own group and die with the thread
// that started it.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the child has exited and leaves it unreaped, so that
// its process and group ID can't be given to anybody else yet. False means
// that the system can't tell.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
