package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
)

// fakeSchedules is a server with at most one schedule.
type fakeSchedules struct {
	client.ScheduleHandle
	schedule                  *client.Schedule
	created, updated, deleted int
	err                       error  // of everything
	meanwhile                 func() // what somebody else does before a create
}

func (f *fakeSchedules) GetHandle(context.Context, string) client.ScheduleHandle { return f }

// kept is how the server tells of a schedule: arguments as payloads, cron
// expressions as calendars.
func kept(action client.ScheduleAction, spec client.ScheduleSpec, policy client.SchedulePolicies) *client.Schedule {
	start := *action.(*client.ScheduleWorkflowAction)
	payload, err := converter.GetDefaultDataConverter().ToPayload(start.Args[0])
	if err != nil {
		panic(err)
	}
	start.Args = []any{payload}
	if spec.CronExpressions != nil {
		spec.CronExpressions, spec.Calendars = nil, []client.ScheduleCalendarSpec{{}}
	}
	return &client.Schedule{Action: &start, Spec: &spec, Policy: &policy, State: &client.ScheduleState{}}
}

func (f *fakeSchedules) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if f.meanwhile != nil {
		f.meanwhile()
	}
	if f.err != nil {
		return nil, f.err
	}
	if f.schedule != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	f.created++
	f.schedule = kept(o.Action, o.Spec, client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow})
	return f, nil
}

func (f *fakeSchedules) Update(_ context.Context, o client.ScheduleUpdateOptions) error {
	if f.err != nil {
		return f.err
	}
	if f.schedule == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	update, err := o.DoUpdate(client.ScheduleUpdateInput{Description: client.ScheduleDescription{Schedule: *f.schedule}})
	if errors.Is(err, temporal.ErrSkipScheduleUpdate) {
		return nil
	}
	f.updated++
	state := update.Schedule.State
	f.schedule = kept(update.Schedule.Action, *update.Schedule.Spec, *update.Schedule.Policy)
	f.schedule.State = state
	return err
}

func (f *fakeSchedules) Delete(context.Context) error {
	if f.err != nil {
		return f.err
	}
	if f.schedule == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	f.deleted++
	f.schedule = nil
	return nil
}

func TestKeepSchedule(t *testing.T) {
	server := &fakeSchedules{}
	r := &activities.Retrainings{Schedules: server}
	weekly := models.ScheduleRequest{Model: "m", Endpoint: "e", Schedule: &models.ScheduleSpec{Cron: "0 4 * * 1", CatchUp: models.Duration(time.Hour)}}
	keep := func(request models.ScheduleRequest, created, updated, deleted int) {
		t.Helper()
		if err := r.KeepSchedule(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if server.created != created || server.updated != updated || server.deleted != deleted {
			t.Fatalf("%d created, %d updated, %d deleted; want %d, %d, %d", server.created, server.updated, server.deleted, created, updated, deleted)
		}
	}
	keep(models.ScheduleRequest{Model: "m"}, 0, 0, 0) // there is none
	keep(weekly, 1, 0, 0)
	keep(weekly, 1, 0, 0) // as wanted
	action := server.schedule.Action.(*client.ScheduleWorkflowAction)
	if action.ID != "retrain/m" || action.Workflow != models.RetrainWorkflow || action.TaskQueue != models.TaskQueue {
		t.Errorf("action %+v", action)
	}
	if policy := *server.schedule.Policy; policy.Overlap != enums.SCHEDULE_OVERLAP_POLICY_SKIP || policy.CatchupWindow != time.Hour {
		t.Errorf("policy %+v", policy)
	}
	server.schedule.State.Paused = true
	daily := weekly
	daily.Schedule = &models.ScheduleSpec{Every: models.Day, CatchUp: 2 * models.Duration(time.Hour)}
	keep(daily, 1, 1, 0)
	if spec := *server.schedule.Spec; len(spec.Intervals) != 1 || spec.Intervals[0].Every != 24*time.Hour || spec.TimeZoneName != "UTC" || len(spec.Calendars) != 0 {
		t.Errorf("spec %+v", spec)
	}
	if !server.schedule.State.Paused || server.schedule.Policy.CatchupWindow != 2*time.Hour {
		t.Error("a person's pause is gone, or the catch-up window is the old one")
	}
	moved := daily
	moved.Endpoint = "other"
	keep(moved, 1, 2, 0)
	server.schedule.Policy.Overlap = enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL // by hand
	keep(moved, 1, 3, 0)
	keep(models.ScheduleRequest{Model: "m"}, 1, 3, 1)
	keep(models.ScheduleRequest{Model: "m"}, 1, 3, 1)
}

func TestSchedulesThatCantBeKept(t *testing.T) {
	weekly := models.ScheduleRequest{Model: "m", Schedule: &models.ScheduleSpec{Cron: "0 4 * * 1"}}
	r := &activities.Retrainings{Schedules: &fakeSchedules{err: serviceerror.NewInvalidArgument("invalid cron")}}
	wantFailure(t, r.KeepSchedule(t.Context(), weekly), models.KindInvalidSpec, "schedule retrain/m", "invalid cron", "correct monitor.retrain.schedule")
	for _, request := range []models.ScheduleRequest{weekly, {Model: "m"}} {
		r = &activities.Retrainings{Schedules: &fakeSchedules{err: serviceerror.NewUnavailable("no leader")}}
		wantFailure(t, r.KeepSchedule(t.Context(), request), models.KindUnavailable, "no leader")
	}
	// Somebody else creates it in between: the next try finds it.
	server := &fakeSchedules{}
	other := &activities.Retrainings{Schedules: server}
	server.meanwhile = func() {
		server.meanwhile = nil
		if err := other.KeepSchedule(context.Background(), weekly); err != nil {
			t.Error(err)
		}
	}
	wantFailure(t, other.KeepSchedule(t.Context(), weekly), models.KindUnavailable)
	if err := other.KeepSchedule(t.Context(), weekly); err != nil || server.created != 1 || server.updated != 0 {
		t.Errorf("%v, %d created, %d updated", err, server.created, server.updated)
	}
}
