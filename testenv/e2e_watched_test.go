package testenv_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/monitors"
)

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

// started wants so many retrainings on the steward's record, and as many
// lifecycles that Temporal knows of beside the first.
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
			return r.Action == models.ActionRetrainRefused && strings.Contains(r.Reason, why)
		}), fmt.Sprintf("%+v %+v %+v %v", monitor.Arrival, monitor.Request, monitor.Actions, err)
	})
}
