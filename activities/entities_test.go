package activities

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/models"
)

// stewardAnswers plays Temporal with one steward.
type stewardAnswers struct {
	client.Client
	status *models.StewardStatus // nil: there is no steward
	name   string                // of the last signal
}

func (s *stewardAnswers) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	if s.status == nil {
		return nil, serviceerror.NewNotFound("no steward")
	}
	return encoded{s.status}, nil
}

func (s *stewardAnswers) SignalWithStartWorkflow(_ context.Context, _, name string, _ any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	s.name = name
	return nil, nil
}

type encoded struct{ value any }

func (e encoded) HasValue() bool { return true }
func (e encoded) Get(into any) error {
	text, err := json.Marshal(e.value)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

func TestTheChampionComesWithHowItPredicts(t *testing.T) {
	spec := models.LifecycleSpec{Train: models.TrainSpec{Command: []string{"python", "train.py"}}}
	spec.Evaluate.Prediction = "probability"
	spec.Evaluate.Predict = models.PredictSpec{Runtime: models.RuntimePyfunc}
	v := models.ModelVersion{Version: "2", Spec: spec, Candidate: models.Candidate{Artifact: models.ModelArtifact{Source: "s3://b/model"}}}
	temporal := &stewardAnswers{status: &models.StewardStatus{StewardState: models.StewardState{Champion: "2", Versions: []models.ModelVersion{{Version: "1"}, v}}}}
	found, err := (&Entities{Temporal: temporal}).ReadChampion(t.Context(), models.ReadChampionRequest{Model: "m"})
	require.NoError(t, err)
	require.Equal(t, &models.ChampionModel{Version: "2", Artifact: v.Candidate.Artifact, Predict: spec.Evaluate.Predict,
		Prediction: "probability", Train: spec.Train, Task: models.TaskBinary}, found.Champion)

	temporal.status.Champion = "9"
	_, err = (&Entities{Temporal: temporal}).ReadChampion(t.Context(), models.ReadChampionRequest{Model: "m"})
	require.ErrorContains(t, err, "does not know its champion, version 9")

	temporal.status.Champion = ""
	found, err = (&Entities{Temporal: temporal}).ReadChampion(t.Context(), models.ReadChampionRequest{Model: "m"})
	require.NoError(t, err)
	require.Nil(t, found.Champion)

	temporal.status = nil
	found, err = (&Entities{Temporal: temporal}).ReadChampion(t.Context(), models.ReadChampionRequest{Model: "m"})
	require.NoError(t, err)
	require.Nil(t, found.Champion, "no steward, no champion")
}

func TestEveryRequestReachesTheStewardByItsSignal(t *testing.T) {
	for name, signal := range map[string]models.StewardSignal{
		models.SignalRegister:        {Register: &models.RegisterRequest{}},
		models.SignalRequestApproval: {RequestApproval: &models.ApprovalRequest{}},
		models.SignalRollOut:         {RollOut: &models.RollOutRequest{}},
		models.SignalRetrain:         {Retrain: &models.RetrainRequest{}},
		models.SignalWithdraw:        {Withdraw: &models.Withdrawal{}},
		models.SignalLifecycleClosed: {LifecycleClosed: &models.LifecycleClosed{}},
	} {
		temporal := &stewardAnswers{}
		require.NoError(t, (&Entities{Temporal: temporal}).SignalSteward(t.Context(), signal))
		require.Equal(t, name, temporal.name)
	}
	require.ErrorContains(t, (&Entities{Temporal: &stewardAnswers{}}).SignalSteward(t.Context(), models.StewardSignal{}), "empty")
}

// monitorAnswers plays Temporal with one monitor, or none.
type monitorAnswers struct {
	client.Client
	runs    bool
	signals []string
	begun   models.MonitorState // with which the last one began
}

func (m *monitorAnswers) SignalWithStartWorkflow(_ context.Context, _, name string, _ any, _ client.StartWorkflowOptions, _ any, input ...any) (client.WorkflowRun, error) {
	if !m.runs {
		m.begun = input[0].(models.MonitorState)
	}
	m.runs, m.signals = true, append(m.signals, name)
	return nil, nil
}

func (m *monitorAnswers) SignalWorkflow(_ context.Context, _, _, name string, _ any) error {
	if !m.runs {
		return serviceerror.NewNotFound("workflow execution already completed")
	}
	m.signals = append(m.signals, name)
	return nil
}

// A monitor that somebody terminated is begun anew by the steward's sweep, with
// whom to watch. One that the news of a retraining began would watch nobody,
// and run, so that no sweep would ever tell it.
func TestNewsOfARetrainingBeginNoMonitor(t *testing.T) {
	temporal := &monitorAnswers{}
	e := &Entities{Temporal: temporal}
	settled := models.MonitorSignal{Endpoint: "flights", Settled: &models.RetrainSettled{RequestID: "r"}}
	require.NoError(t, e.SignalMonitor(t.Context(), settled), "nobody waits for it")
	require.False(t, temporal.runs)
	require.NoError(t, e.SignalMonitor(t.Context(), models.MonitorSignal{Endpoint: "flights", Watch: &models.WatchRequest{}}))
	require.True(t, temporal.runs)
	require.NoError(t, e.SignalMonitor(t.Context(), settled))
	require.Equal(t, []string{models.SignalWatch, models.SignalRetrainSettled}, temporal.signals)
}

// The steward answers a request that it knows with what came of it, and receivers
// of notices drop one that they have had. A monitor that follows a terminated one
// must not ask, or tell, under the same IDs.
func TestAMonitorThatIsBegunAnewNumbersNothingAsTheOneBefore(t *testing.T) {
	temporal := &monitorAnswers{}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	e := &Entities{Temporal: temporal, Now: func() time.Time { return now }}
	begin := func() models.MonitorState {
		temporal.runs = false
		require.NoError(t, e.SignalMonitor(t.Context(), models.MonitorSignal{Endpoint: "flights", Watch: &models.WatchRequest{}}))
		return temporal.begun
	}
	first := begin()
	now = now.Add(time.Hour)
	second := begin()
	require.Equal(t, "flights", second.Endpoint)
	const most = 100 // in an hour
	require.Greater(t, second.Orders, first.Orders+most)
	require.Greater(t, second.Arrivals, first.Arrivals+most)
	require.Greater(t, second.Begun, first.Begun+most)
}
