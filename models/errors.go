package models

import (
	"fmt"
	"strings"
)

// ErrorKind tells failures apart for programs. It is the type of the Temporal
// application error that a workflow or activity fails with.
type ErrorKind string

const (
	// KindInvalidSpec means: the spec can't be carried out as written.
	KindInvalidSpec ErrorKind = "InvalidSpec"
	// KindNoRows means: the window holds no usable rows.
	KindNoRows ErrorKind = "NoRows"
	// KindDataCheckFailed means: a check of severity error failed.
	KindDataCheckFailed ErrorKind = "DataCheckFailed"
	// KindPreparationFailed means: the preparing program ended with an error of its
	// own, or left nothing that can be read.
	KindPreparationFailed ErrorKind = "PreparationFailed"
	// KindTrainingFailed means: the training command ended with an error of its own.
	KindTrainingFailed ErrorKind = "TrainingFailed"
	// KindRankLost means: a rank or its agent was killed or lost; a restart from the
	// last checkpoint is worth trying.
	KindRankLost ErrorKind = "RankLost"
	// KindModelRejected means: the training left no model, or one that does not fit
	// the data.
	KindModelRejected ErrorKind = "ModelRejected"
	// KindEnvironmentFailed means: the program's environment can't be built.
	KindEnvironmentFailed ErrorKind = "EnvironmentFailed"
	// KindStaleFence means: a newer lease owns the devices.
	KindStaleFence ErrorKind = "StaleFence"
	// KindStaleRoute means: a newer route generation is in place.
	KindStaleRoute ErrorKind = "StaleRoute"
	// KindServerFailed means: a model server does not become ready.
	KindServerFailed ErrorKind = "ServerFailed"
	// KindUnavailable means: a store or server does not answer; retried until it does.
	KindUnavailable ErrorKind = "Unavailable"
	// KindWithdrawn means: the request was taken back by whoever made it.
	KindWithdrawn ErrorKind = "Withdrawn"
	// KindLeaseRefused means: the pool can never grant the request, or did not
	// within its max_wait.
	KindLeaseRefused ErrorKind = "LeaseRefused"
	// KindNotOwner means: another steward holds the model in MLflow.
	KindNotOwner ErrorKind = "NotOwner"
	// KindAliasMoved means: somebody else moved an alias.
	KindAliasMoved ErrorKind = "AliasMoved"
	// KindNotFound means: what the request names does not exist any more.
	KindNotFound ErrorKind = "NotFound"
	// KindNotTrusted means: a signature is missing or does not verify.
	KindNotTrusted ErrorKind = "NotTrusted"
)

// Retryable reports whether the same activity may succeed when tried again
// unchanged. Kinds this version does not know are retryable.
func (k ErrorKind) Retryable() bool {
	switch k {
	case KindInvalidSpec, KindNoRows, KindDataCheckFailed, KindPreparationFailed, KindTrainingFailed, KindRankLost,
		KindModelRejected, KindEnvironmentFailed, KindStaleFence, KindStaleRoute, KindServerFailed, KindWithdrawn,
		KindLeaseRefused, KindNotOwner, KindAliasMoved, KindNotFound, KindNotTrusted:
		return false
	case KindUnavailable:
		return true
	default:
		return true
	}
}

// Error is the one rich error of the engine: what failed, on what, and what
// the user can do. Activities return it; the worker turns it into a Temporal
// application error whose type is Kind.
type Error struct {
	Kind    ErrorKind
	Subject string // what it is about: a column, a URI, a field of the spec
	Message string // what is wrong, with figures
	Hint    string // what to do; may be empty
	Cause   error  // may be nil
	// Details travel with the Temporal application error; nil: none.
	Details any
}

// Error implements error: "subject: message (hint): cause".
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
