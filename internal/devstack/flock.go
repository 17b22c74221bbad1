package devstack

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// fileLock is an advisory lock that the kernel drops when its holder dies.
// The file stays: removing it would let two processes lock different files
// of the same name.
type fileLock struct {
	file *os.File
}

// tryLock takes the lock at path or returns nil when another process has it.
// how is syscall.LOCK_EX or LOCK_SH.
func tryLock(path string, how int) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		return &fileLock{file: file}, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

// waitLock takes the exclusive lock at path; waiting is called once if
// another process has it.
func waitLock(ctx context.Context, path string, waiting func()) (*fileLock, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for first := true; ; first = false {
		lock, err := tryLock(path, syscall.LOCK_EX)
		if lock != nil || err != nil {
			return lock, err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// release gives the lock back; on nil it does nothing.
func (l *fileLock) release() {
	if l != nil {
		_ = l.file.Close()
	}
}
