package worker

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// A schedule of the real server: made, left alone, changed while a person holds
// it, fired, and deleted.
func TestSchedulesOfARealServer(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("NOT TESTED with a real Temporal: MAINSPRING_TEST_STACK is not set (make test sets it)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	outlets, err := telemetry.New(ctx, "test")
	require.NoError(t, err)
	temporal, err := Dial(ctx, outlets)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	model := fmt.Sprintf("scheduled-%d", time.Now().UnixNano())
	keeper := &activities.Retrainings{Schedules: temporal.ScheduleClient()}
	handle := temporal.ScheduleClient().GetHandle(ctx, models.RetrainID(model))
	t.Cleanup(func() { _ = handle.Delete(context.WithoutCancel(ctx)) })
	keep := func(schedule *models.ScheduleSpec) {
		t.Helper()
		require.NoError(t, keeper.KeepSchedule(ctx, models.ScheduleRequest{Model: model, Endpoint: "e", Schedule: schedule}))
	}
	look := func() *client.ScheduleDescription {
		t.Helper()
		found, err := handle.Describe(ctx)
		require.NoError(t, err)
		return found
	}

	yearly := &models.ScheduleSpec{Every: 365 * models.Day, CatchUp: models.Duration(3 * time.Hour)}
	keep(nil)
	keep(yearly)
	made := look()
	require.Equal(t, 365*24*time.Hour, made.Schedule.Spec.Intervals[0].Every)
	require.Equal(t, 3*time.Hour, made.Schedule.Policy.CatchupWindow)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, made.Schedule.Policy.Overlap)
	keep(yearly)
	require.Equal(t, made.Info.LastUpdateAt, look().Info.LastUpdateAt, "one that is as wanted is left alone")

	require.NoError(t, handle.Pause(ctx, client.SchedulePauseOptions{Note: "ada: not this week"}))
	mondays := &models.ScheduleSpec{Cron: "0 4 * * 1", CatchUp: models.Duration(3 * time.Hour)}
	keep(mondays)
	changed := look()
	require.True(t, changed.Schedule.State.Paused)
	require.Equal(t, "ada: not this week", changed.Schedule.State.Note)
	require.Empty(t, changed.Schedule.Spec.Intervals)
	next := changed.Info.NextActionTimes
	require.NotEmpty(t, next)
	require.Equal(t, time.Monday, next[0].UTC().Weekday())
	require.Equal(t, 4, next[0].UTC().Hour())
	updated := changed.Info.LastUpdateAt
	require.True(t, updated.After(made.Info.LastUpdateAt))
	keep(mondays)
	require.Equal(t, updated, look().Info.LastUpdateAt)

	fires(ctx, t, temporal, handle, model)
	keep(nil)
	_, err = handle.Describe(ctx)
	var missing *serviceerror.NotFound
	require.ErrorAs(t, err, &missing)
	wrong := keeper.KeepSchedule(ctx, models.ScheduleRequest{Model: model, Schedule: &models.ScheduleSpec{Cron: "0 4 * * 9"}})
	require.ErrorContains(t, wrong, "correct monitor.retrain.schedule")
}

// fires triggers the schedule on a queue of the test's own, where a steward is
// played that carries everything out at once.
func fires(ctx context.Context, t *testing.T, temporal client.Client, handle client.ScheduleHandle, model string) {
	t.Helper()
	queue := "test-" + model
	w := worker.New(temporal, queue, worker.Options{})
	workflows.Register(w)
	asked := make(chan models.RetrainRequest, 10)
	w.RegisterActivityWithOptions(func(ctx context.Context, s models.StewardSignal) error {
		asked <- *s.Retrain
		return temporal.SignalWorkflow(ctx, s.Retrain.ReplyTo, "", models.SignalRetrainSettled, models.RetrainSettled{
			RequestID: s.Retrain.RequestID, Outcome: models.RetrainPromoted, Lifecycle: "lifecycle/m/x", Reason: "safe"})
	}, activity.RegisterOptions{Name: "SignalSteward"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	require.NoError(t, handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		schedule := in.Description.Schedule
		schedule.Action.(*client.ScheduleWorkflowAction).TaskQueue = queue
		return &client.ScheduleUpdate{Schedule: &schedule}, nil
	}}))
	require.NoError(t, handle.Trigger(ctx, client.ScheduleTriggerOptions{}))

	var request models.RetrainRequest
	select {
	case request = <-asked:
	case <-ctx.Done():
		require.Fail(t, "the schedule started nothing")
	}
	require.Equal(t, models.TriggerSchedule, request.Trigger.Kind)
	require.Equal(t, "by schedule, cron 0 4 * * 1", request.Trigger.Reason)
	require.Equal(t, models.RetrainID(model)+"-"+request.AsOf.Format(time.RFC3339), request.RequestID,
		"the request is named after the time that it is as of, which is the scheduled one")
	var result models.RetrainResult
	require.NoError(t, temporal.GetWorkflow(ctx, request.RequestID, "").Get(ctx, &result))
	require.Equal(t, models.RetrainResult{Outcome: models.RetrainPromoted, Lifecycle: "lifecycle/m/x", Reason: "safe"}, result)
}
