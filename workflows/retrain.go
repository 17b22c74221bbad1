package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// retrainWithin is how long a Retrain workflow waits for the end of the
	// retraining that it asked for. A canary that a person holds may take longer:
	// then it ends without, and the lifecycle goes on.
	retrainWithin = 30 * 24 * time.Hour
	// retrainAnswered is how long a steward may take for its first word.
	retrainAnswered = 24 * time.Hour
)

// attributeScheduled is when a schedule meant to start the workflow; the server
// sets it.
var attributeScheduled = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// Retrain asks the model's steward for a retraining as of now, and ends with its
// outcome. Schedules start it. It waits for the end so that a schedule that
// skips overlaps does not ask while the last one is under way.
func Retrain(ctx workflow.Context, input models.RetrainInput) (models.RetrainResult, error) {
	r := newRetraining(ctx, input)
	if err := answer(ctx, func() models.RetrainStatus { return r.status }); err != nil {
		return models.RetrainResult{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model))
	if input.Endpoint != "" {
		publish(ctx, attributeEndpoint.ValueSet(input.Endpoint))
	}
	return r.run(ctx)
}

type retraining struct {
	model  string
	status models.RetrainStatus
}

func newRetraining(ctx workflow.Context, input models.RetrainInput) *retraining {
	at := workflow.Now(ctx)
	if scheduled, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(attributeScheduled); ok {
		at = scheduled // however late it starts, so that a time that was made up for is treated alike
	}
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	return &retraining{
		model: input.Model,
		status: models.RetrainStatus{
			// A schedule names its workflows after the scheduled time, so that one that
			// is started again for the same time asks nothing new.
			Request: models.RetrainRequest{
				RequestID: id, ReplyTo: id, AsOf: at.UTC(), Endpoint: input.Endpoint,
				Trigger: models.Trigger{Kind: input.Kind, Reason: input.Reason, At: at.UTC()},
			},
			Until: workflow.Now(ctx).Add(retrainWithin),
		},
	}
}

// run asks, less and less often: a steward that knows the request says again
// what it said.
func (r *retraining) run(ctx workflow.Context) (models.RetrainResult, error) {
	channel := workflow.GetSignalChannel(ctx, models.SignalRetrainSettled)
	request := r.status.Request
	silent := workflow.Now(ctx).Add(retrainAnswered)
	for repeat := 5 * time.Minute; ; repeat = min(2*repeat, 12*time.Hour) {
		r.show(ctx)
		if err := do(quick(ctx, "Ask the steward to retrain"), models.Entities.SignalSteward,
			models.StewardSignal{Model: r.model, Retrain: &request}); err != nil {
			return models.RetrainResult{}, err
		}
		for again := workflow.Now(ctx).Add(repeat); workflow.Now(ctx).Before(again); {
			var settled models.RetrainSettled
			received, _ := channel.ReceiveWithTimeout(ctx, again.Sub(workflow.Now(ctx)), &settled)
			if ctx.Err() != nil {
				return models.RetrainResult{}, ctx.Err()
			}
			if !received || settled.RequestID != request.RequestID {
				continue
			}
			r.status.Settled = settled
			r.show(ctx)
			if settled.Outcome != models.RetrainStarted {
				return r.result(settled.Reason), nil
			}
		}
		switch now := workflow.Now(ctx); {
		case r.status.Settled.Outcome == "" && now.After(silent):
			return models.RetrainResult{}, failure(&models.Error{Kind: models.KindUnavailable, Subject: models.StewardID(r.model),
				Message: fmt.Sprintf("the steward did not answer within %s", retrainAnswered), Hint: "see what it does; `mainspring audit` has its record"})
		case now.After(r.status.Until):
			return r.result(fmt.Sprintf("it has not ended within %s and goes on", retrainWithin)), nil
		}
	}
}

func (r *retraining) result(why string) models.RetrainResult {
	settled := r.status.Settled
	return models.RetrainResult{Outcome: settled.Outcome, Lifecycle: settled.Lifecycle, Reason: why, RetryAt: settled.RetryAt}
}

func (r *retraining) show(ctx workflow.Context) {
	var p page
	request, settled := r.status.Request, r.status.Settled
	p.linef("**Retraining of %s** as of %s, by %s", r.model, moment(request.AsOf), request.Trigger.Kind)
	p.linef("")
	switch settled.Outcome {
	case "":
		p.linef("Waiting for %s to answer", models.StewardID(r.model))
	case models.RetrainStarted:
		p.linef("Waiting for %s to end, at most until %s", settled.Lifecycle, moment(r.status.Until))
	default:
		p.linef("%s: %s", settled.Outcome, settled.Reason)
	}
	p.show(ctx)
}
