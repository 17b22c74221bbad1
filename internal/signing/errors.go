package signing

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of failure; use errors.Is.
var (
	// ErrMalformed: it is no bundle or statement of a form that is known here.
	ErrMalformed = errors.New("not a signature that can be read")
	// ErrUnknownKey: no trusted key has the ID that the bundle names.
	ErrUnknownKey = errors.New("signed with a key that is not trusted")
	// ErrBadSignature: the statement is not what the key has signed.
	ErrBadSignature = errors.New("the signature does not belong to the statement")
	// ErrDiffers: the files are not those that were signed.
	ErrDiffers = errors.New("the files are not those that were signed")
	// ErrKey: a key can't be read, or is of a kind that is not supported.
	ErrKey = errors.New("the key can't be used")
)

// Error is what the package's functions fail with.
type Error struct {
	Subject string // a file, a key, the bundle
	Message string
	Hint    string // what to do next; may be empty
	Class   error  // one of the sentinels
	Cause   error  // may be nil
}

// Error implements error: "subject: message: cause (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Subject != "" {
		fmt.Fprintf(&b, "%s: ", e.Subject)
	}
	b.WriteString(e.Message)
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
	if e.Cause == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.Cause}
}

func malformed(message string, cause error) error {
	return &Error{
		Subject: "signature", Message: message, Class: ErrMalformed, Cause: cause,
		Hint: "sign the model anew with mainspring sign, or with model_signing sign key",
	}
}
