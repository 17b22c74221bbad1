package activities

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	unpackedPrefix = "mainspring-model-"
	// unlockedFor is how long a directory may be without a lock at most before
	// its maker takes it.
	unlockedFor = time.Minute
)

// unpackDir is a directory for the files of one model. It is locked for as long
// as the process lives, so that others can tell what a killed one has left: a
// model that takes the worker's memory is loaded again at every attempt, and
// must not take the disk as well.
type unpackDir struct {
	path string
	lock *os.File
}

func newUnpackDir(below string) (unpackDir, error) {
	if below == "" {
		below = os.TempDir()
	}
	if err := os.MkdirAll(below, 0o755); err != nil {
		return unpackDir{}, err
	}
	sweepUnpacked(below, time.Now())
	path, err := os.MkdirTemp(below, unpackedPrefix)
	if err != nil {
		return unpackDir{}, err
	}
	lock, err := lockDir(path)
	if err != nil {
		return unpackDir{}, errors.Join(err, os.RemoveAll(path))
	}
	return unpackDir{path, lock}, nil
}

func (d unpackDir) remove() error { return errors.Join(os.RemoveAll(d.path), d.lock.Close()) }

// lockDir fails when someone else has the lock.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// sweepUnpacked removes what killed processes have left, as far as it may.
func sweepUnpacked(below string, now time.Time) {
	left, _ := filepath.Glob(filepath.Join(below, unpackedPrefix+"*")) // fails for bad patterns only
	for _, path := range left {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < unlockedFor {
			continue
		}
		if lock, err := lockDir(path); err == nil {
			_ = unpackDir{path, lock}.remove() // it may be another user's
		}
	}
}
