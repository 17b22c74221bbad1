package devstack

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The failures that callers tell apart.
var (
	ErrMissing    = errors.New("not installed")
	ErrHeld       = errors.New("in use by another stack")
	ErrPortTaken  = errors.New("port is in use")
	ErrDiskFull   = errors.New("disk is full")
	ErrNotRunning = errors.New("no stack is running")
	ErrUnsuitable = errors.New("can't be used")
)

// Error says what was being done, to what, and what the user can do.
type Error struct {
	Op      string // "install MLflow"
	Subject string // a path, port or program; may be empty
	Err     error
	Hint    string // may be empty
}

// Error implements error: "op: subject: cause (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteString(": " + e.Subject)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// describe wraps the failure of op and recognises a full disk, also in the
// output of a program that failed.
func describe(op, subject string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "No space left on device") ||
		strings.Contains(err.Error(), "no space left on device") {
		return &Error{
			Op: op, Subject: subject, Err: errors.Join(ErrDiskFull, err),
			Hint: "free some space on that disk and try again",
		}
	}
	return &Error{Op: op, Subject: subject, Err: err}
}
