package testenv_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	stack "github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/monitors"
	"github.com/mainspring-ml/mainspring/testenv/rollouts"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

const monitorLimit = 10 * time.Minute // of everything

// TestMonitors lets served models decay on a stack of its own, and looks at what
// becomes of them.
func TestMonitors(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: monitors need a whole stack; `make test` runs them, " +
			"or `go run ./testenv/withstack -- go test -run TestMonitors ./testenv`")
	}
	ctx, cancel := context.WithTimeout(t.Context(), monitorLimit)
	defer cancel()
	l := startLaptopWith(ctx, t, stack.Config{Devices: 8, Programs: []string{rollouts.Program}})
	bench, err := rollouts.New(l.Laptop, t.TempDir(), t.Logf)
	require.NoError(t, err)
	scheduled := onSchedule(ctx, t, l, bench.Store) // its minutes pass meanwhile
	t.Run("Arrival", func(t *testing.T) { retrainsOnArrival(ctx, t, l, bench.Store) })
	t.Run("Loop", func(t *testing.T) { decays(ctx, t, l, bench.Store) })
	t.Run("Schedule", func(t *testing.T) { retrainsBySchedule(ctx, t, scheduled) })
}

// decays is the whole loop: the world becomes noise, which no retraining helps
// against, and then the contrary of what it was, which one does. The days of the
// first alarm go by in pairs while Temporal is down.
func decays(ctx context.Context, t *testing.T, l *laptop, store artifact.Store) {
	w := watch(l, store, "decaying", time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
	w.gateway.World.Phases = append(w.gateway.World.Phases,
		monitors.Phase{Day: noiseDay, Version: "1", Truth: monitors.Coin}, monitors.Phase{Day: turnedDay, Version: "1", Truth: monitors.Falling})
	w.learnable(ctx, t, 0, worldDays)
	w.release(ctx, t)
	w.now.Store(w.gateway.World.Moment(trainedDay).UnixMicro())
	first := w.answers(ctx, t)
	for i := range w.gateway.World.Phases {
		w.gateway.World.Phases[i].Answer = first
	}
	// A gateway is asked all the time, because a canary needs traffic. It says
	// how far its log is complete like any other.
	asked := traffic.Start(ctx, traffic.Config{Gateways: l.Gateways, Endpoint: w.model(), Prefix: "asked", Rate: 40, Body: rollouts.Body, EventTime: w.moment})
	defer asked.Stop()

	status := w.seen(ctx, t, noiseDay)
	require.Empty(t, status.Alarms)
	require.NotNil(t, status.Reference.Object, status.Reference.Note)

	until := noiseDay
	for len(status.Alarms) == 0 {
		require.Less(t, until, turnedDay-4, "no alarm although the champion knows nothing any more")
		until += 2
		require.NoError(t, monitors.WithoutTemporal(ctx, l.Stack, func() error {
			for d := until - 1; d <= until; d++ { // two days
				if err := w.gateway.Serve(ctx, w.gateway.World.Moment(d)); err != nil {
					return err
				}
			}
			return nil
		}))
		w.now.Store(w.gateway.World.Moment(until).UnixMicro())
		status = w.await(ctx, t, w.sawAll)
	}
	status = w.await(ctx, t, func(s models.MonitorStatus) bool { return s.Pending == "" })
	refused := status.Alarms[0]
	t.Logf("noise from day %d, alarm of day %d: %s", noiseDay, w.gateway.World.DayOf(refused.Block), refused.Action)
	require.Equal(t, models.AlarmNotHelping, refused.State, refused.Action)
	require.Contains(t, refused.Action, "log_loss", "the gate's evidence is on record")
	require.Len(t, status.Alarms, 1)
	steward := w.started(ctx, t, 1)
	require.Equal(t, models.RetrainNotHelping, steward.Retrainings[0].Outcome)
	require.Equal(t, models.TriggerAlarm, steward.Retrainings[0].Trigger.Kind)
	require.Equal(t, "1", steward.Champion)
	w.turns(ctx, t)
}

// turns goes on where noise is the new level, with a gateway that is asked, and
// has the world become the contrary of what the champion has learnt.
func (w *watched) turns(ctx context.Context, t *testing.T) {
	// The noise is the new level: nothing more is said about it.
	status := w.seen(ctx, t, turnedDay)
	require.Len(t, status.Alarms, 1)
	consistent(t, status)

	until := turnedDay
	for len(status.Alarms) == 1 {
		require.Less(t, until, turnedDay+14, "no alarm although the champion is wrong all the time")
		until++
		status = w.seen(ctx, t, until)
	}
	status = w.await(ctx, t, func(s models.MonitorStatus) bool { return s.Alarms[1].State == models.AlarmPerson })
	require.Contains(t, status.Alarms[1].Action, "promoted nothing")
	w.started(ctx, t, 1) // max_failures: 1
	until = max(until, turnedDay+14)
	w.seen(ctx, t, until) // so that the window of a retraining has the new world only
	w.l.output(ctx, t, "mainspring", "monitor", w.model(), "retrain", "--by", "ada", "--reason", "the labels were checked", "--state-dir", w.l.StateDir())
	status = w.await(ctx, t, func(s models.MonitorStatus) bool {
		return s.Watch.Version == "2" && s.Pending == "" && s.Alarms[1].Promoted
	})
	require.Equal(t, models.AlarmPromoted, status.Alarms[1].State)
	require.True(t, slices.ContainsFunc(status.Actions, func(e models.MonitorEvent) bool { return e.By == "ada" }))
	steward := w.started(ctx, t, 2)
	require.Equal(t, "2", steward.Champion)
	require.True(t, steward.Retrainings[1].Forced)
	champion(ctx, t, w.l, w.model(), "2")

	w.gateway.World.Phases = append(w.gateway.World.Phases, monitors.Phase{Day: until, Version: "2", Answer: w.answers(ctx, t), Truth: monitors.Falling})
	status = w.seen(ctx, t, until+6)
	require.Len(t, status.Alarms, 2)
	last := status.Blocks[len(status.Blocks)-1]
	require.Equal(t, "2", last.Version)
	require.True(t, last.Conclusive)
	require.Less(t, last.Loss, 0.6)
	consistent(t, status)
}

// consistent wants every block once, in order.
func consistent(t *testing.T, status models.MonitorStatus) {
	t.Helper()
	for i := 1; i < len(status.Blocks); i++ {
		require.Equal(t, status.Blocks[i-1].End, status.Blocks[i].Start)
	}
}

// retrainsOnArrival adds partitions to the source: the first ones start a
// retraining, those that come within its cooldown do not.
func retrainsOnArrival(ctx context.Context, t *testing.T, l *laptop, store artifact.Store) {
	w := watch(l, store, "arriving", time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
	w.spec.Deploy.Canary.StepDeadline = models.Duration(2 * time.Second)
	w.spec.Monitor.Retrain.Arrival = &models.ArrivalSpec{Poll: models.Duration(time.Second), Quiet: models.Duration(2 * time.Second)}
	w.spec.Monitor.Retrain.Cooldown, w.spec.Monitor.Retrain.MaxFailures = day(30), 3
	w.learnable(ctx, t, 0, trainedDay)
	w.release(ctx, t)
	w.await(ctx, t, func(s models.MonitorStatus) bool { return s.Arrival != nil })
	w.learnable(ctx, t, trainedDay, trainedDay+8) // one retraining for all of them
	status := w.ended(ctx, t, 1)
	require.Equal(t, models.TriggerArrival, status.Retrainings[0].Trigger.Kind)
	require.WithinRange(t, status.Retrainings[0].AsOf, w.gateway.World.Moment(trainedDay+7), w.gateway.World.Moment(trainedDay+10))

	w.learnable(ctx, t, trainedDay+8, trainedDay+10)
	w.refused(ctx, t, "cooldown")
	w.started(ctx, t, 1)
}

// onSchedule releases a model that is retrained every minute, and whose cooldown
// is longer.
func onSchedule(ctx context.Context, t *testing.T, l *laptop, store artifact.Store) *watched {
	today := time.Now().UTC().Truncate(day(1).Std())
	w := watch(l, store, "scheduled", today.AddDate(0, 0, -trainedDay-1))
	w.spec.Deploy.Canary.StepDeadline = models.Duration(2 * time.Second)
	w.spec.Monitor.Retrain.MaxFailures = 3
	w.spec.Monitor.Retrain.Schedule = &models.ScheduleSpec{Every: models.Duration(time.Minute)}
	w.learnable(ctx, t, 0, trainedDay)
	w.release(ctx, t)
	return w
}

// retrainsBySchedule wants one retraining, and that the cooldown refused what
// came after.
func retrainsBySchedule(ctx context.Context, t *testing.T, w *watched) {
	status := w.ended(ctx, t, 1)
	require.Equal(t, models.TriggerSchedule, status.Retrainings[0].Trigger.Kind)
	require.WithinDuration(t, time.Now(), status.Retrainings[0].AsOf, monitorLimit)
	w.refused(ctx, t, "cooldown")
	w.started(ctx, t, 1)
}
