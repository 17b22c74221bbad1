package artifact

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of failure; use errors.Is.
var (
	// ErrNotFound: the object or bucket does not exist.
	ErrNotFound = errors.New("object not found")
	// ErrPreconditionFailed: the object exists, or has another ETag.
	ErrPreconditionFailed = errors.New("object changed by somebody else")
	// ErrConflict: one key would be a directory of another, as "a" of "a/b",
	// which stores on file systems can't hold.
	ErrConflict = errors.New("key is a directory of another object's key")
	// ErrCorrupt: the bytes are not those the reference or manifest names.
	ErrCorrupt = errors.New("content differs from its digest")
	// ErrChanged: a local file changed while it was read.
	ErrChanged = errors.New("file changed while it was read")
	// ErrDiskFull: this host's disk can't hold the bytes.
	ErrDiskFull = errors.New("disk is full")
	// ErrInvalid: the call can't succeed as it is, on any store.
	ErrInvalid = errors.New("invalid artifact request")
	// ErrTooLarge: more bytes than the caller's limit.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrDenied: credentials are missing, wrong or do not suffice.
	ErrDenied = errors.New("access to the store denied")
	// ErrUnavailable: the store does not answer or failed; the same call may
	// succeed later. A write may have happened.
	ErrUnavailable = errors.New("store is unavailable")
)

// Error is what the package's functions fail with.
type Error struct {
	Op      string // "put"
	URI     string // what it is about: an object's URI or a local path
	Profile string // prefix of the profile whose store was asked; empty: the default store
	Message string
	Hint    string // what to do next; may be empty
	Class   error  // one of the sentinels, or nil
	Cause   error  // may be nil
}

// Error implements error: "op URI: message: cause (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Op, e.URI)
	if e.Profile != "" {
		fmt.Fprintf(&b, " by the profile %s", e.Profile)
	}
	switch {
	case e.Message != "":
		fmt.Fprintf(&b, ": %s", e.Message)
	case e.Class != nil:
		fmt.Fprintf(&b, ": %v", e.Class)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the class and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Class != nil {
		all = append(all, e.Class)
	}
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	return all
}

// ofProfile makes a hint speak of a profile's fields, where it names the
// variables of the default store.
func ofProfile(hint string) string {
	return strings.NewReplacer(
		"MAINSPRING_S3_ENDPOINT", "the profile's endpoint",
		"set MAINSPRING_S3_BUCKET to", "change the profile's prefix to",
		"AWS_ACCESS_KEY_ID", "the profile's access_key",
		"AWS_SECRET_ACCESS_KEY", "its secret_key",
	).Replace(hint)
}

// localError is a failure of this host's file system.
func localError(op, path string, cause error) *Error {
	return &Error{Op: op, URI: path, Message: "local file", Cause: cause}
}

func corrupt(op, uri, got, want string) *Error {
	return &Error{Op: op, URI: uri, Class: ErrCorrupt,
		Message: fmt.Sprintf("content differs from its digest: found %s, want %s", got, want),
		Hint:    "the object was overwritten or damaged; produce it again"}
}
