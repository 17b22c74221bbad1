package testenv_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

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

// watched is a model with its world.
type watched struct {
	l       *laptop
	store   artifact.Store
	spec    models.LifecycleSpec
	gateway monitors.Gateway
	now     atomic.Int64 // microseconds of event time
}

// The days of the worlds of these tests.
const (
	trainedDay = 24 // before it, the first champion has learnt
	noiseDay   = 30 // from here on nothing can be learnt
	turnedDay  = 50 // from here on the contrary can
	worldDays  = 80
)

// day is a number of days, as specs have it.
func day(n int) models.Duration { return models.Duration(n) * models.Day }

// watch makes a model, whose training takes a second, of a world.
func watch(l *laptop, store artifact.Store, model string, start time.Time) *watched {
	world := monitors.World{
		Endpoint: model, Seed: 11, Start: start, RowsPerDay: 120, Maturity: day(1).Std(), Corrections: day(1).Std(),
		Phases: []monitors.Phase{{Version: "1", Truth: monitors.Rising}},
	}
	corrections, limit := day(1), 0.65
	program := filepath.Join(l.Bin, "faulty-model")
	spec := models.LifecycleSpec{
		Model: models.ModelSpec{Name: model},
		Data: models.DataSpec{
			Source: "s3://" + store.Bucket() + "/sources/" + model + "/", Time: "at", Key: "id", Label: "y", LabelTime: "label_time", Features: []string{"x"},
			AsOf: world.Moment(trainedDay), Window: day(trainedDay), Holdout: day(10),
		},
		Train: models.TrainSpec{Command: []string{program, "learn"}},
		Evaluate: models.EvaluateSpec{
			Prediction: "probability", Predict: models.PredictSpec{Runtime: models.RuntimeCommand, Command: []string{program, "predict"}},
			Limits:   []models.MetricLimit{{Metric: models.LogLoss, Max: &limit}},
			Champion: models.ChampionGate{Resamples: 200},
		},
		Deploy: &models.DeploySpec{
			Endpoint: model, Replicas: 1,
			Canary: models.CanarySpec{Steps: []float64{50}, Evidence: models.EvidenceRequests, MaxErrorRate: 0.1, Poll: models.Duration(time.Second)},
			Server: models.ServerSpec{Command: []string{program, "serve", "{model_dir}", "{host}:{port}", "{endpoint}", "{version}"}},
		},
		Monitor: &models.MonitorSpec{
			Corrections: &corrections, Poll: models.Duration(time.Second), ReferenceBlocks: 10,
			Slices:  []models.SliceSpec{{Column: "x", Quantiles: 2}},
			Retrain: models.RetrainSpec{Window: day(14), Holdout: day(7), Cooldown: day(2), MaxFailures: 1},
		},
	}
	return &watched{l: l, store: store, spec: spec, gateway: monitors.Gateway{Store: store, World: world, Next: trainedDay}}
}

func (w *watched) model() string { return w.spec.Model.Name }

// learnable writes days of the world where trainings find them.
func (w *watched) learnable(ctx context.Context, t *testing.T, from, to int) {
	t.Helper()
	for d := from; d < to; d++ {
		var file bytes.Buffer
		require.NoError(t, parquet.Write(&file, w.gateway.World.Rows(d)))
		_, err := artifact.PutBytes(ctx, w.store, fmt.Sprintf("sources/%s/day-%03d.parquet", w.model(), d), file.Bytes(), artifact.PutOptions{})
		require.NoError(t, err)
	}
}

// release makes the first champion, and waits until its monitor watches it.
func (w *watched) release(ctx context.Context, t *testing.T) {
	t.Helper()
	id := models.LifecycleID(w.model(), "first")
	require.NoError(t, w.l.Submit(ctx, t.TempDir(), id, w.spec))
	var result models.LifecycleResult
	require.NoError(t, w.l.temporal.GetWorkflow(ctx, id, "").Get(ctx, &result))
	require.True(t, result.Promoted, result.Reason)
	w.await(ctx, t, func(s models.MonitorStatus) bool { return s.Reference != nil })
}

// await returns the monitor's status when it is as wanted.
func (w *watched) await(ctx context.Context, t *testing.T, wanted func(models.MonitorStatus) bool) (status models.MonitorStatus) {
	t.Helper()
	eventually(t, patience, func() (bool, any) {
		status = models.MonitorStatus{}
		err := w.l.query(ctx, models.MonitorID(w.model()), &status)
		text, _ := json.Marshal(brief(status)) // it was JSON before
		return err == nil && wanted(status), fmt.Sprint(string(text), err)
	})
	return status
}

// brief is a status without what fills pages.
func brief(s models.MonitorStatus) models.MonitorStatus {
	s.Blocks, s.Watch, s.Inputs, s.Reference = s.Blocks[max(0, len(s.Blocks)-8):], nil, nil, nil
	s.Detector.Detectors = nil
	return s
}

// steward is the model's steward as it sees itself.
func (w *watched) steward(ctx context.Context, t *testing.T) (status models.StewardStatus) {
	t.Helper()
	eventually(t, patience, func() (bool, any) {
		err := w.l.query(ctx, models.StewardID(w.model()), &status)
		return err == nil, err
	})
	return status
}

// retrainings are those that started, and lifecycles all that Temporal knows of.
func (w *watched) started(ctx context.Context, t *testing.T, retrainings int) models.StewardStatus {
	t.Helper()
	status := w.steward(ctx, t)
	require.Len(t, status.Retrainings, retrainings)
	eventually(t, patience, func() (bool, any) { // what is listed lags behind
		listed, err := w.l.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowType = %q AND WorkflowId STARTS_WITH %q", models.LifecycleWorkflow, "lifecycle/"+w.model()+"/"),
		})
		return err == nil && len(listed.GetExecutions()) == retrainings+1, fmt.Sprint(len(listed.GetExecutions()), err)
	})
	return status
}

// answers asks the served model: it has two answers.
func (w *watched) answers(ctx context.Context, t *testing.T) func(x float64) float64 {
	t.Helper()
	var both [2]float64
	for i, x := range []float64{0.25, 0.75} {
		body := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[%v]}]}`, x)
		eventually(t, patience, func() (bool, any) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.l.Access().Gateway+"/v2/models/"+w.model()+"/infer", bytes.NewReader([]byte(body)))
			if err != nil {
				return false, err
			}
			request.Header.Set("Mainspring-Event-Time", w.moment(time.Time{}).Format(time.RFC3339Nano))
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return false, err
			}
			defer response.Body.Close()
			var answer struct {
				Outputs []struct{ Data []float64 } `json:"outputs"`
			}
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Outputs) != 1 || len(answer.Outputs[0].Data) != 1 {
				return false, fmt.Sprint(response.Status, answer, err)
			}
			both[i] = answer.Outputs[0].Data[0]
			return true, nil
		})
	}
	return func(x float64) float64 { return both[int(math.Round(x))] }
}

// moment is the story's present, whatever the wall clock says.
func (w *watched) moment(time.Time) time.Time { return time.UnixMicro(w.now.Load()).UTC() }

// serve lets the days before one go by.
func (w *watched) serve(ctx context.Context, t *testing.T, until int) {
	t.Helper()
	at := w.gateway.World.Moment(until)
	require.NoError(t, w.gateway.Serve(ctx, at))
	w.now.Store(at.UnixMicro())
}

// seen lets the days before one go by, and waits until the monitor has seen them.
func (w *watched) seen(ctx context.Context, t *testing.T, until int) models.MonitorStatus {
	t.Helper()
	w.serve(ctx, t, until)
	return w.await(ctx, t, w.sawAll)
}

func (w *watched) sawAll(s models.MonitorStatus) bool {
	return s.Watermark.UnixMicro() == w.now.Load() && s.Reference != nil && !s.Next.Add(day(2).Std()).Before(s.Watermark)
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

	// The noise is the new level: nothing more is said about it.
	status = w.seen(ctx, t, turnedDay)
	require.Len(t, status.Alarms, 1)
	consistent(t, status)

	until = turnedDay
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
	l.output(ctx, t, "mainspring", "monitor", w.model(), "retrain", "--by", "ada", "--reason", "the labels were checked", "--state-dir", l.StateDir())
	status = w.await(ctx, t, func(s models.MonitorStatus) bool {
		return s.Watch.Version == "2" && s.Pending == "" && s.Alarms[1].Promoted
	})
	require.Equal(t, models.AlarmPromoted, status.Alarms[1].State)
	require.True(t, slices.ContainsFunc(status.Actions, func(e models.MonitorEvent) bool { return e.By == "ada" }))
	steward = w.started(ctx, t, 2)
	require.Equal(t, "2", steward.Champion)
	require.True(t, steward.Retrainings[1].Forced)
	champion(ctx, t, l, w.model(), "2")

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

// ended waits until so many retrainings have started, and ended.
func (w *watched) ended(ctx context.Context, t *testing.T, n int) (status models.StewardStatus) {
	t.Helper()
	eventually(t, patience, func() (bool, any) {
		status = w.steward(ctx, t)
		return len(status.Retrainings) == n && status.Retrainings[n-1].Ended, fmt.Sprintf("%+v", status.Retrainings)
	})
	return status
}

// refused waits for a refusal on the steward's record that names a reason.
func (w *watched) refused(ctx context.Context, t *testing.T, why string) {
	t.Helper()
	eventually(t, patience, func() (bool, any) {
		records := w.steward(ctx, t).Records
		var monitor models.MonitorStatus
		err := w.l.query(ctx, models.MonitorID(w.model()), &monitor)
		return slices.ContainsFunc(records, func(r models.Record) bool {
			return r.Action == models.ActionRetrainRefused && bytes.Contains([]byte(r.Reason), []byte(why))
		}), fmt.Sprintf("%+v %+v %+v %v", monitor.Arrival, monitor.Request, monitor.Actions, err)
	})
}
