package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Retrainings reach what starts retrainings beside alarms, schedules and new
// partitions, and the people who are told.
type Retrainings struct {
	Store     artifact.Store // sources, and what they held when they were last listed
	Schedules Schedules
	// WorkflowPage is where a person sees a workflow; nil or empty: nowhere.
	WorkflowPage func(workflowID, runID string) string
	// Getenv resolves references to receivers' addresses; nil: there are none.
	Getenv func(string) string
	// HTTP posts notices; nil: a client of its own, with a time-out.
	HTTP *http.Client
	Now  func() time.Time // wall clock; nil: time.Now
}

var _ models.Retrainings = (*Retrainings)(nil)

// Schedules are Temporal's; a client.ScheduleClient.
type Schedules interface {
	Create(context.Context, client.ScheduleOptions) (client.ScheduleHandle, error)
	GetHandle(ctx context.Context, id string) client.ScheduleHandle
}

var _ Schedules = client.ScheduleClient(nil)

// KeepSchedule implements models.Retrainings. A schedule that is as wanted is
// left alone, so that its next time does not move; one that a person paused
// stays paused.
func (r *Retrainings) KeepSchedule(ctx context.Context, request models.ScheduleRequest) error {
	id := models.RetrainID(request.Model)
	handle := r.Schedules.GetHandle(ctx, id)
	if request.Schedule == nil {
		if err := handle.Delete(ctx); !noSchedule(err) {
			return scheduleFailure(id, "deleted", err)
		}
		return nil
	}
	wanted := scheduleOf(id, request)
	err := handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(found client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		schedule := found.Description.Schedule
		if asWanted(schedule, wanted) {
			return nil, temporal.ErrSkipScheduleUpdate
		}
		schedule.Action, schedule.Spec = wanted.Action, &wanted.Spec
		schedule.Policy = &client.SchedulePolicies{Overlap: wanted.Overlap, CatchupWindow: wanted.CatchupWindow}
		return &client.ScheduleUpdate{Schedule: &schedule}, nil
	}})
	if !noSchedule(err) {
		return scheduleFailure(id, "changed", err)
	}
	// One that somebody else has created meanwhile is looked at by the next try.
	_, err = r.Schedules.Create(ctx, wanted)
	return scheduleFailure(id, "created", err)
}

// scheduleOf is Temporal's form of a schedule. One retraining at a time: a time
// that comes while the last one runs is skipped.
func scheduleOf(id string, request models.ScheduleRequest) client.ScheduleOptions {
	options := client.ScheduleOptions{
		ID: id, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: request.Schedule.CatchUp.Std(),
		Spec: client.ScheduleSpec{TimeZoneName: "UTC"},
	}
	when := "cron " + request.Schedule.Cron
	if request.Schedule.Every > 0 {
		when = "every " + request.Schedule.Every.String()
		options.Spec.Intervals = []client.ScheduleIntervalSpec{{Every: request.Schedule.Every.Std()}}
	} else {
		options.Spec.CronExpressions = []string{request.Schedule.Cron}
	}
	options.Action = &client.ScheduleWorkflowAction{
		ID: id, Workflow: models.RetrainWorkflow, TaskQueue: models.TaskQueue,
		Args: []any{models.RetrainInput{
			Model: request.Model, Endpoint: request.Endpoint, Kind: models.TriggerSchedule, Reason: "by schedule, " + when, Schedule: request.Schedule,
		}},
		StaticSummary: fmt.Sprintf("Retrain %s, %s", request.Model, when),
	}
	return options
}

// asWanted compares what a schedule was made from, which is among its
// workflow's input: the server keeps cron expressions in a form of its own.
func asWanted(found client.Schedule, wanted client.ScheduleOptions) bool {
	action, ok := found.Action.(*client.ScheduleWorkflowAction)
	want, made := wanted.Action.(*client.ScheduleWorkflowAction)
	if !ok || !made || len(action.Args) != 1 || found.Policy == nil {
		return false
	}
	payload, ok := action.Args[0].(*commonpb.Payload)
	var input models.RetrainInput
	if !ok || converter.GetDefaultDataConverter().FromPayload(payload, &input) != nil {
		return false
	}
	return reflect.DeepEqual(input, want.Args[0]) && action.Workflow == want.Workflow && action.TaskQueue == want.TaskQueue &&
		found.Policy.Overlap == wanted.Overlap && found.Policy.CatchupWindow == wanted.CatchupWindow
}

// noSchedule: Temporal has none of that ID.
func noSchedule(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}

func scheduleFailure(id, done string, err error) error {
	var invalid *serviceerror.InvalidArgument
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return &models.Error{Kind: models.KindInvalidSpec, Subject: "schedule " + id, Message: "it can't be " + done, Cause: err,
			Hint: "correct monitor.retrain.schedule"}
	default:
		return &models.Error{Kind: models.KindUnavailable, Subject: "schedule " + id, Message: "it can't be " + done, Cause: err}
	}
}

func (r *Retrainings) now() time.Time {
	if r.Now != nil {
		return r.Now().UTC()
	}
	return time.Now().UTC()
}
