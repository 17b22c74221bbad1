package artifact

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// replaceDir fills a fresh directory beside dir and then puts it in dir's
// place.
func replaceDir(op, dir string, fill func(fresh string) error) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return localError(op, dir, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(partName(dir))+"-*")
	if err != nil {
		return localError(op, dir, err)
	}
	defer func() { _ = os.RemoveAll(work) }() // best effort: the name shows that it is left over
	return swapDir(op, work, dir, fill)
}

// resumeDir is replaceDir for one process at a time: what fill has written when
// it is interrupted is there when it is called again. Another process meanwhile
// has a directory of its own.
func resumeDir(op, dir string, fill func(fresh string) error) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return localError(op, dir, err)
	}
	work := partName(dir)
	lock, err := lockDir(work)
	if err != nil {
		return localError(op, dir, err)
	}
	if lock == nil {
		return replaceDir(op, dir, fill)
	}
	defer func() { _ = lock.Close() }() // it was only locked
	err = swapDir(op, work, dir, fill)
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	_ = os.RemoveAll(work) // best effort: the next attempt takes it up
	return err
}

// lockDir makes a directory and takes it until the file is closed; nil: another
// process has it.
func lockDir(path string) (*os.File, error) {
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return nil, err
	}
	lock, err := os.Open(path)
	if os.IsNotExist(err) { // its holder has just finished
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if lockedAs(lock, path) {
		return lock, nil
	}
	_ = lock.Close() // nothing was done
	return nil, nil
}

// lockedAs locks an open file, and is false if another process has it or if it
// is no longer what the path names: its holder may have finished since.
func lockedAs(f *os.File, path string) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	here, statErr := f.Stat()
	there, pathErr := os.Stat(path)
	return cmp.Or(err, statErr, pathErr) == nil && os.SameFile(here, there)
}

// swapDir keeps everything temporary in work, the old content too.
func swapDir(op, work, dir string, fill func(fresh string) error) error {
	fresh, old := filepath.Join(work, "fresh"), filepath.Join(work, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil && !os.IsExist(err) {
		return writeError(dir, err, 0)
	}
	if err := fill(fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(old); err != nil { // of an attempt that was killed
		return localError(op, dir, err)
	}
	if err := os.Rename(dir, old); err != nil && !os.IsNotExist(err) {
		return localError(op, dir, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return localError(op, dir, err)
	}
	return nil
}
