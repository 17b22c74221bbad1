package artifact

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
)

// writer names the file in errors of writing, so that they are not taken for
// errors of the stream.
type writer struct {
	file    string
	w       io.Writer
	missing int64 // bytes that have yet to come
}

func (w *writer) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.missing -= int64(n)
	if err != nil {
		err = writeError(w.file, err, w.missing)
	}
	return n, err
}

// IsDiskFull reports whether a failure is that a disk, or somebody's part of it,
// has no room.
func IsDiskFull(err error) bool {
	return errors.Is(err, ErrDiskFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// writeError is a failure to write a file that lacks so many bytes.
func writeError(file string, cause error, missing int64) error {
	if IsDiskFull(cause) {
		return diskFull(file, missing, cause)
	}
	return localError("get", file, cause)
}

func diskFull(file string, missing int64, cause error) error {
	return &Error{Op: "get", URI: file, Class: ErrDiskFull, Cause: cause,
		Message: fmt.Sprintf("disk full: needs %d bytes (%.1f MiB) more", missing, float64(missing)/(1<<20)),
		Hint:    "free space in " + filepath.Dir(file) + ", then try again; nothing of the file was left there"}
}

// enoughSpace fails before a large file is fetched that can't be held.
func enoughSpace(file string, missing int64) error {
	var stat syscall.Statfs_t
	if syscall.Statfs(filepath.Dir(file), &stat) != nil {
		return nil // writing will tell
	}
	if free := int64(stat.Bavail) * int64(stat.Bsize); free < missing {
		return diskFull(file, missing-free, nil)
	}
	return nil
}

// allocated is what a file takes of the disk.
func allocated(file string) int64 {
	const blockUnit = 512 // of stat, on any file system
	var stat syscall.Stat_t
	if syscall.Stat(file, &stat) != nil {
		return 0
	}
	return stat.Blocks * blockUnit
}
