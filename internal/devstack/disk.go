package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// requireSpace fails when fewer than needMiB are free where dir is or will be.
func requireSpace(op, dir string, needMiB uint64, hint string) error {
	free, err := freeMiB(dir)
	if err != nil {
		return describe(op, dir, err)
	}
	if free >= needMiB {
		return nil
	}
	return &Error{
		Op: op, Subject: dir, Hint: hint,
		Err: fmt.Errorf("%w: %d MiB are free, about %d MiB are needed", ErrDiskFull, free, needMiB),
	}
}

// freeMiB asks the closest existing parent of dir.
func freeMiB(dir string) (uint64, error) {
	for {
		var stat syscall.Statfs_t
		err := syscall.Statfs(dir, &stat)
		if err == nil {
			return stat.Bavail * uint64(stat.Bsize) >> 20, nil
		}
		parent := filepath.Dir(dir)
		if !os.IsNotExist(err) || parent == dir {
			return 0, err
		}
		dir = parent
	}
}
