package devstack

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// holder is what the lock file of a state directory says about its owner.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

func lockPath(stateDir string) string { return filepath.Join(stateDir, "lock") }

// hold takes the state directory for this process. Whoever merely looks takes
// a shared lock for a moment, so a failure is tried again before it counts.
func hold(stateDir, commandName string) (*fileLock, error) {
	var lock *fileLock
	var err error
	for range 5 {
		if lock, err = tryLock(lockPath(stateDir), syscall.LOCK_EX); lock != nil || err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return nil, describe("lock the state directory", stateDir, err)
	}
	if lock == nil {
		return nil, heldBy(stateDir)
	}
	text, err := json.Marshal(holder{PID: os.Getpid(), Command: commandName, Since: time.Now().UTC()})
	if err == nil {
		err = lock.file.Truncate(0)
	}
	if err == nil {
		_, err = lock.file.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		lock.release()
		return nil, describe("lock the state directory", stateDir, err)
	}
	return lock, nil
}

// heldBy says who has the state directory.
func heldBy(stateDir string) error {
	failure := &Error{Op: "start the stack", Subject: stateDir, Err: ErrHeld, Hint: "stop it with Ctrl-C in its terminal, or use another state directory"}
	text, err := os.ReadFile(lockPath(stateDir))
	var who holder
	if err != nil || json.Unmarshal(text, &who) != nil {
		return failure // between its lock and its first line
	}
	failure.Err = fmt.Errorf("%w: %s, process %d, since %s", ErrHeld, who.Command, who.PID, who.Since.Local().Format("2 Jan 15:04"))
	failure.Hint = fmt.Sprintf("stop it with Ctrl-C in its terminal or `kill %d`, or use another state directory", who.PID)
	return failure
}

// isHeld is true while a stack has the state directory.
func isHeld(stateDir string) (bool, error) {
	if _, err := os.Stat(lockPath(stateDir)); err != nil {
		if os.IsNotExist(err) {
			return false, nil
		}
		return false, err
	}
	lock, err := tryLock(lockPath(stateDir), syscall.LOCK_SH)
	if err != nil {
		return false, err
	}
	lock.release()
	return lock == nil, nil
}
