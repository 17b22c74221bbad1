package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
)

// Entities reaches the workflows that live for ever, through Temporal itself.
type Entities struct {
	Temporal client.Client
	// AsksAtOnce is how many questions this process may have in flight at pools.
	// 0: few enough for a server with its default limits.
	AsksAtOnce int
	Now        func() time.Time // wall clock; nil: time.Now

	asks asks
}

var _ models.Entities = (*Entities)(nil)

// SignalSteward delivers a request, starting the steward when this is the
// model's first.
func (e *Entities) SignalSteward(ctx context.Context, s models.StewardSignal) error {
	var name string
	var message any
	switch {
	case s.Register != nil:
		name, message = models.SignalRegister, s.Register
	case s.RequestApproval != nil:
		name, message = models.SignalRequestApproval, s.RequestApproval
	case s.RollOut != nil:
		name, message = models.SignalRollOut, s.RollOut
	case s.Retrain != nil:
		name, message = models.SignalRetrain, s.Retrain
	case s.Withdraw != nil:
		name, message = models.SignalWithdraw, s.Withdraw
	case s.LifecycleClosed != nil:
		name, message = models.SignalLifecycleClosed, s.LifecycleClosed
	default:
		return &models.Error{Kind: models.KindInvalidSpec, Subject: models.StewardID(s.Model), Message: "the signal is empty"}
	}
	return e.signal(ctx, entity{
		id: models.StewardID(s.Model), workflowType: models.ModelStewardWorkflow,
		input: models.StewardState{Model: s.Model}, summary: "Steward of " + s.Model,
	}, name, message)
}

// SignalMonitor delivers a request to watch, starting the monitor when this is
// the endpoint's first, or news of a retraining, for which it starts none: that
// one would watch nobody, and run, so that the steward's sweep would not see that
// it has to begin the monitor anew.
func (e *Entities) SignalMonitor(ctx context.Context, s models.MonitorSignal) error {
	id := models.MonitorID(s.Endpoint)
	switch {
	case s.Watch != nil:
		return e.signal(ctx, entity{
			id: id, workflowType: models.MonitorWorkflow,
			input: e.newMonitor(s.Endpoint), summary: "Monitor of " + s.Endpoint,
		}, models.SignalWatch, s.Watch)
	case s.Settled != nil:
		err := e.Temporal.SignalWorkflow(ctx, id, "", models.SignalRetrainSettled, s.Settled)
		if missing := (*serviceerror.NotFound)(nil); err != nil && !errors.As(err, &missing) {
			return fmt.Errorf("signal %s to %s: %w", models.SignalRetrainSettled, id, err)
		}
		return nil
	default:
		return &models.Error{Kind: models.KindInvalidSpec, Subject: id, Message: "the signal is empty"}
	}
}

// newMonitor is the state with which a monitor begins. It may follow one that
// somebody terminated, of whose requests the steward has a record and of whose
// notices receivers have one. What is numbered begins where no monitor before can
// have come, or a new request would get an old one's answer.
func (e *Entities) newMonitor(endpoint string) models.MonitorState {
	now := time.Now
	if e.Now != nil {
		now = e.Now
	}
	begin := int(now().Unix())
	return models.MonitorState{Endpoint: endpoint, Orders: begin, Arrivals: begin, Begun: begin}
}

type entity struct {
	id, workflowType string
	input            any
	summary          string
}

func (e *Entities) signal(ctx context.Context, to entity, name string, message any) error {
	_, err := e.Temporal.SignalWithStartWorkflow(ctx, to.id, name, message, client.StartWorkflowOptions{
		ID: to.id, TaskQueue: models.TaskQueue, StaticSummary: to.summary,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, to.workflowType, to.input)
	if err != nil {
		return fmt.Errorf("signal %s to %s: %w", name, to.id, err)
	}
	return nil
}

// ReadChampion queries the steward.
func (e *Entities) ReadChampion(ctx context.Context, request models.ReadChampionRequest) (models.ReadChampionResult, error) {
	answer, err := e.Temporal.QueryWorkflow(ctx, models.StewardID(request.Model), "", models.StatusQuery)
	var absent *serviceerror.NotFound
	if errors.As(err, &absent) {
		return models.ReadChampionResult{}, nil
	}
	if err != nil {
		return models.ReadChampionResult{}, fmt.Errorf("ask %s for the champion: %w", models.StewardID(request.Model), err)
	}
	var status models.StewardStatus
	if err := answer.Get(&status); err != nil {
		return models.ReadChampionResult{}, fmt.Errorf("read the answer of %s: %w", models.StewardID(request.Model), err)
	}
	i := slices.IndexFunc(status.Versions, func(v models.ModelVersion) bool { return v.Version == status.Champion })
	switch {
	case status.Champion == "":
		return models.ReadChampionResult{}, nil
	case i < 0: // not to be taken for a model without a champion, which anything would follow
		return models.ReadChampionResult{}, fmt.Errorf("%s does not know its champion, version %s", models.StewardID(request.Model), status.Champion)
	}
	v := status.Versions[i]
	endpoint := ""
	if v.Spec.Deploy != nil {
		endpoint = v.Spec.Deploy.Endpoint
	}
	return models.ReadChampionResult{Champion: &models.ChampionModel{
		Version: v.Version, Endpoint: endpoint, Artifact: v.Candidate.Artifact,
		Predict: v.Spec.Evaluate.Predict, Prediction: v.Spec.Evaluate.Prediction, Train: v.Spec.Train,
		Task: cmp.Or(v.Spec.Data.Task, models.TaskBinary), Classes: v.Spec.Data.Classes, Profile: v.Candidate.Profile,
	}}, nil
}
