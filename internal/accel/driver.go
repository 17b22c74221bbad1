package accel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// driverTraces are left by NVIDIA's kernel driver, whether or not its library
// is visible to this process.
func driverTraces() []string {
	return []string{"proc/driver/nvidia/version", "sys/module/nvidia", "dev/nvidiactl"}
}

// hostFiles is the file system in which the driver leaves its traces.
func hostFiles() fs.FS { return os.DirFS("/") }

// driverInstalled returns the trace found, or "" on a host without a driver.
func driverInstalled(host fs.FS) (string, error) {
	for _, trace := range driverTraces() {
		_, err := fs.Stat(host, trace)
		switch {
		case err == nil:
			return "/" + trace, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for the NVIDIA driver: %w", err)
		}
	}
	return "", nil
}
