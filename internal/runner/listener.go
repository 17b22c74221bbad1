package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PortOfAnother reports whether a process of another job listens on a TCP port
// of this host. A server that starts later than somebody else took its port
// would otherwise be mistaken for that one. What can't be seen, such as the
// sockets of other users' processes, is nobody's.
func (h *Handle) PortOfAnother(port int) bool {
	sockets := listeners(port)
	if len(sockets) == 0 {
		return false
	}
	own := map[int]bool{}
	for _, pid := range strays(h.dir) {
		own[pid] = true
	}
	other := false
	for _, pid := range processes() {
		if !holdsAny(pid, sockets) {
			continue
		}
		if own[pid] {
			return false
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		other = other || err == nil && strings.Contains("\x00"+string(environ), "\x00"+markVariable+"=")
	}
	return other
}

// listeners are the sockets that listen on a port, as /proc/<pid>/fd names them.
func listeners(port int) map[string]bool {
	const listen = "0A"
	found := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // a kernel without IPv6 has no second table
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != listen {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			if n, err := strconv.ParseInt(hex, 16, 32); err == nil && int(n) == port {
				found["socket:["+fields[9]+"]"] = true
			}
		}
	}
	return found
}

func holdsAny(pid int, sockets map[string]bool) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			return true
		}
	}
	return false
}
