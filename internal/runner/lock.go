package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock is a lock on a file that the kernel releases when its holder dies.
// Child processes do not inherit it.
type lock struct{ file *os.File }

// errHeld: someone else has the lock.
var errHeld = errors.New("the lock is held")

// tryLock takes an exclusive lock, or a shared one, which any number may have
// while nobody has the exclusive one.
func tryLock(path string, shared bool) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		err = unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return &lock{file}, nil
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errHeld
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// waitLock tries until ctx ends.
func waitLock(ctx context.Context, path string) (*lock, error) {
	for {
		l, err := tryLock(path, false)
		if !errors.Is(err, errHeld) {
			return l, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for %s: %w", path, err)
		}
	}
}

func (l *lock) release() { l.file.Close() }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
