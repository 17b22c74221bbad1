package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// attributes are the typed search attributes by the names of package models.
var (
	attributeModel    = temporal.NewSearchAttributeKeyKeyword(models.AttributeModel)
	attributeStage    = temporal.NewSearchAttributeKeyKeyword(models.AttributeStage)
	attributeVersion  = temporal.NewSearchAttributeKeyKeyword(models.AttributeVersion)
	attributeVerdict  = temporal.NewSearchAttributeKeyKeyword(models.AttributeVerdict)
	attributeEndpoint = temporal.NewSearchAttributeKeyKeyword(models.AttributeEndpoint)
)

// publish sets search attributes. It fails only on a programming error, which
// the caller can't mend: the workflow goes on and the log has it.
func publish(ctx workflow.Context, updates ...temporal.SearchAttributeUpdate) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not set", "error", err)
	}
}

// answer registers the status query.
func answer[T any](ctx workflow.Context, status func() T) error {
	return workflow.SetQueryHandler(ctx, models.StatusQuery, func() (T, error) { return status(), nil })
}

// page is the Markdown that the UI shows as a workflow's current details: what
// it does now, what it waits for, and why.
type page struct{ lines []string }

func (p *page) linef(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

// row escapes its cells: a value of the data, or what a person wrote, must not end
// the table.
func (p *page) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(strings.Join(strings.Fields(cell), " "), "|", `\|`)
	}
	p.lines = append(p.lines, "| "+strings.Join(cells, " | ")+" |")
}

func (p *page) header(cells ...string) {
	p.lines = append(p.lines, "")
	p.row(cells...)
	p.lines = append(p.lines, "|"+strings.Repeat(" --- |", len(cells)))
}

// show keeps an interval before a parenthesis from being read as a link: Temporal's
// UI does so in spite of the space, which real links do not have.
func (p *page) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, strings.ReplaceAll(strings.Join(p.lines, "\n"), "] (", `\] (`))
}

// key derives an idempotency key from the workflow and a step's name. It is
// the same for every attempt, and hex because MLflow's filters can't quote.
func key(ctx workflow.Context, step string) string {
	info := workflow.GetInfo(ctx)
	return digest(info.Namespace, info.WorkflowExecution.ID, info.FirstRunID, step)
}

// digest is the hex SHA-256 of the parts as a JSON list.
func digest(parts ...any) string {
	data, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("digest of %T: %v", parts, err)) // only unmarshalable types, a programming error
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// failure turns a contract error into one that carries its kind through
// Temporal and fails the workflow.
func failure(err *models.Error) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(err.Kind),
		temporal.ApplicationErrorOptions{NonRetryable: true})
}

// kindOf is the contract kind of an error that came through Temporal; empty
// for others, such as time-outs and cancellation.
func kindOf(err error) models.ErrorKind {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return models.ErrorKind(application.Type())
	}
	return ""
}

// reason is the message of an error without Temporal's wrapping, with what our
// own code has said before it.
func reason(err error) string {
	said := saidBefore(err)
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return said + application.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return said + "no sign of life in time (" + timeout.TimeoutType().String() + ")"
	}
	if temporal.IsCanceledError(err) {
		return said + "cancelled"
	}
	return err.Error()
}

// saidBefore is what stands before the first of Temporal's errors in a chain.
func saidBefore(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e.(type) { //nolint:errorlint // it walks the chain itself
		case *temporal.ActivityError, *temporal.ChildWorkflowExecutionError,
			*temporal.ApplicationError, *temporal.TimeoutError, *temporal.CanceledError:
			said, _ := strings.CutSuffix(err.Error(), e.Error())
			if said == err.Error() {
				return "" // it does not end with that error
			}
			return said
		}
	}
	return ""
}

// number writes a figure with four significant digits.
func number(v float64) string { return fmt.Sprintf("%.4g", v) }
