package client

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// Failure is why a lifecycle has no result.
type Failure struct {
	WorkflowID string
	// Kind is empty when the lifecycle was cancelled, terminated or timed out.
	Kind    models.ErrorKind
	Stage   string // the child workflow's type; empty: the lifecycle itself
	Message string // with what to do about it
	Cause   error
}

// Error implements error.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lifecycle %s failed", f.WorkflowID)
	if f.Stage != "" {
		fmt.Fprintf(&b, " in %s", f.Stage)
	}
	if f.Kind != "" {
		fmt.Fprintf(&b, " (%s)", f.Kind)
	}
	b.WriteString(":\n  " + strings.ReplaceAll(f.Message, "\n", "\n  "))
	return b.String()
}

// Unwrap returns Temporal's error.
func (f *Failure) Unwrap() error { return f.Cause }

// failureOf finds the reason at the bottom of the errors that workflows and
// activities have wrapped.
func failureOf(workflowID string, err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return fmt.Errorf("there is no lifecycle %s: list them with `temporal workflow list --query 'WorkflowType=\"%s\"'`", workflowID, models.LifecycleWorkflow)
	}
	failure := &Failure{WorkflowID: workflowID, Cause: err}
	for at := err; at != nil; at = errors.Unwrap(at) {
		switch at := at.(type) { //nolint:errorlint // each link of the chain is looked at in turn
		case *temporal.ChildWorkflowExecutionError:
			failure.Stage = at.WorkflowType()
		case *temporal.ApplicationError:
			failure.Kind, failure.Message = models.ErrorKind(at.Type()), at.Message()
		case *temporal.CanceledError:
			failure.Kind, failure.Message = "", "it was cancelled"
		case *temporal.TerminatedError:
			failure.Kind, failure.Message = "", "it was terminated"
		case *temporal.TimeoutError:
			failure.Kind, failure.Message = "", "it ran out of time: "+at.Error()
		}
	}
	if failure.Message == "" {
		failure.Message = err.Error()
	}
	return failure
}
