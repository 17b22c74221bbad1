package mlflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The classes of failure; use errors.Is.
var (
	// ErrNotFound: the experiment, run, model, version or alias does not exist.
	ErrNotFound = errors.New("not found in MLflow")
	// ErrAlreadyExists: a unique name is taken.
	ErrAlreadyExists = errors.New("already exists in MLflow")
	// ErrInvalid: the request can't succeed as it is, on any server.
	ErrInvalid = errors.New("refused by MLflow's rules")
	// ErrDenied: credentials are missing or do not suffice.
	ErrDenied = errors.New("access to MLflow denied")
	// ErrUnavailable: the server does not answer, is overloaded or failed; the
	// same call may succeed later. A write may have been carried out.
	ErrUnavailable = errors.New("MLflow is unavailable")
)

// Error is what every call fails with. It never holds credentials.
type Error struct {
	Op      string // "create run"
	Subject string // "experiment 3"
	Code    string // MLflow's error_code; empty when the server sent none
	Status  int    // HTTP status; 0 when there was no answer
	Message string
	Hint    string // what to do next; may be empty
	Class   error  // one of the sentinels, or nil
	Cause   error  // may be nil
	// RetryAfter is how long the server asks to be left alone; 0: it did not say.
	RetryAfter time.Duration
}

// Error implements error: "mlflow: op subject: code: message: cause (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mlflow: %s", e.Op)
	if e.Subject != "" {
		fmt.Fprintf(&b, " (%s)", e.Subject)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ": %s", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
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

// maxMessage bounds what of a server's message reaches an error: messages can
// carry whole SQL statements.
const maxMessage = 500

// answerError turns an answer that is not 2xx into an Error.
func answerError(c call, status int, body []byte) *Error {
	var wire struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	// A proxy, or MLflow for an unknown route, answers in HTML.
	if err := json.Unmarshal(body, &wire); err != nil || wire.Code == "" {
		wire.Code, wire.Message = "", fmt.Sprintf("HTTP status %d without an MLflow error", status)
	}
	message, _, _ := strings.Cut(wire.Message, "\n[SQL:")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	e := &Error{Op: c.op, Subject: c.subject, Code: wire.Code, Status: status, Message: message}
	e.Class, e.Hint = classify(wire.Code, status, message)
	return e
}

// codeBadRequest is also what a write fails with that another client overtook.
const codeBadRequest = "BAD_REQUEST"

// classify looks at the code first: MLflow reports an existing name and an
// unknown alias with status 400, and a feature that is switched off with 500.
func classify(code string, status int, message string) (class error, hint string) { //nolint:revive,staticcheck // the class is a value here, not a failure of this function
	switch code {
	case "RESOURCE_DOES_NOT_EXIST":
		return ErrNotFound, ""
	case "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS", "RESOURCE_CONFLICT":
		return ErrAlreadyExists, ""
	case "INVALID_PARAMETER_VALUE":
		if strings.HasPrefix(message, "Registered model alias ") && strings.HasSuffix(message, " not found.") {
			return ErrNotFound, ""
		}
		return ErrInvalid, ""
	case codeBadRequest, "INVALID_STATE":
		// The SQL stores look before they insert. One who is overtaken in
		// between finds the row there on the next try.
		if strings.Contains(message, "IntegrityError") || strings.Contains(message, "UniqueViolation") {
			return ErrUnavailable, "another client wrote the same at the same moment; try again"
		}
		return ErrInvalid, ""
	case "FEATURE_DISABLED":
		return ErrInvalid, "leave the workspace empty, or enable workspaces on the server"
	case "ENDPOINT_NOT_FOUND":
		return ErrInvalid, wrongServerHint
	case "PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED":
		return ErrDenied, credentialsHint
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ErrDenied, credentialsHint
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return ErrInvalid, wrongServerHint
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		return ErrUnavailable, "try again later; the server's log says more"
	}
	return nil, ""
}

const (
	credentialsHint = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; " +
		"behind a proxy, check the server's --allowed-hosts"
	wrongServerHint = "check that the tracking URI names an MLflow server, with its path prefix if it has one"
)

// refuse is an error found before any request is sent.
func refuse(op, subject, message, hint string) *Error {
	return &Error{Op: op, Subject: subject, Message: message, Hint: hint, Class: ErrInvalid}
}
